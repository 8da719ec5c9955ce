"""What varies in files' names, and the patterns that read those of other days and parts."""

from __future__ import annotations

import doctest
from fnmatch import fnmatch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.dataset import file_names
from components.dataset.file_names import patterns_of, pieces, shape


def test_the_examples_of_the_docs() -> None:
    assert doctest.testmod(file_names).failed == 0


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["log-2026-03-14.csv"], ["log-????-??-??.csv"]),
        ([f"log-2026-03-{day:02}.csv" for day in range(1, 10)], ["log-????-??-??.csv"]),
        (["2026/03/14/log.csv", "2026/03/15/log.csv"], ["????/??/??/log.csv"]),
        (["20260314.tsv.gz", "20260401.tsv.gz"], ["????????.tsv.gz"]),
        (["e_20260314T1300.csv"], ["e_????????T????.csv"]),
        (["2026-3-9.csv", "2026-3-10.csv"], ["*-*-*.csv"]),
        (["a-jan.csv", "a-feb.csv"], ["a-*.csv"]),
        (["log_2026W51.csv", "log_2026W52.csv"], ["log_*W*.csv"]),
        (["2026-Q1.csv", "2026-Q2.csv"], ["*-Q*.csv"]),
        (["01Mar2026_log.csv", "02Mar2026_log.csv"], ["*_log.csv"]),
        (["dt=2026-03-14/scene=a/part-00000-5b8a.c000.snappy.parquet"], ["dt=*/scene=*/part-*.parquet"]),
        (["year=2026/month=3/x.csv"], ["year=*/month=*/x.csv"]),
        (["v2-part-0.csv", "v2-part-1.csv"], ["v2-part-*.csv"]),
        (["log_4_08_to_4_21.csv", "log_4_22_to_5_08.csv"], ["log_*_*_to_*_*.csv"]),
        (["log.csv", "log2.csv"], ["log.csv", "log2.csv"]),
        (["a/part-0.csv", "b/part-0.csv"], ["a/part-*.csv", "b/part-*.csv"]),
        (["what?[1].csv"], ["what[?][[]1].csv"]),
        (["market.csv"], ["market.csv"]),
    ],
)
def test_patterns(names: list[str], expected: list[str]) -> None:
    assert patterns_of(names) == expected


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("log-2026-03-14.csv", "log-2026-04-01.csv.gz", True),
        ("log-2026-03-14.csv", "random-2026-03-14.csv", False),
        ("dt=2026-03-14/part-0.parquet", "dt=2026-03-15/part-00001-ab.c000.snappy.parquet", True),
        (
            "part-5b8a0c1e-3f2a-4d5e-8f90-0123456789ab.csv",
            "part-aaaa0c1e-3f2a-4d5e-8f90-0123456789ab.csv",
            True,
        ),
        ("users.csv", "items.csv", False),
    ],
)
def test_shapes(one: str, other: str, alike: bool) -> None:
    assert (shape(one) == shape(other)) is alike


@given(st.lists(st.text("ab01-_.[*=", min_size=1, max_size=6), min_size=1, max_size=3), st.integers(0, 10**6))
def test_a_pattern_matches_the_name_it_was_made_of(parts: list[str], number: int) -> None:
    name = "/".join([*(part.strip(".") or "x" for part in parts), f"log{number}.csv"])
    assert "".join(pieces(name)) == name
    [pattern] = patterns_of([name])
    assert fnmatch(name, pattern)
