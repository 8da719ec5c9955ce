"""Feeds in which domains appear late."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from pipeline.study import feeds


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return feeds.feed(tmp_path_factory.mktemp("study"), domains=6, rows=2000)


def rows_of(directory: Path, day: int) -> pl.DataFrame:
    return pl.read_csv(directory / f"impressions/part-{day:03}.csv", infer_schema=False)


@pytest.mark.parametrize("seen", [0, 3, 10_000])
def test_late_domains_have_their_first_rows_from_the_day_on_and_the_evaluation_is_whole(
    whole: Path, tmp_path: Path, seen: int
) -> None:
    late = feeds.late_domains(whole)
    assert len(late) == 2
    found = feeds.with_late_domains(whole, tmp_path / "late", late, 8, seen)
    left = dict.fromkeys(late, seen)
    for day in range(14):
        before, after = rows_of(whole, day), rows_of(found, day)
        if day >= 12:
            assert after.equals(before)
            continue
        expected = []
        for n, domain in enumerate(before["domain_id"]):
            if domain in left:
                if day < 8 or not left[domain]:
                    continue
                left[domain] -= 1
            expected.append(n)
        assert after.equals(before[expected])
    assert (found / "users.csv").read_bytes() == (whole / "users.csv").read_bytes()


def test_the_truth_is_that_of_the_evaluation_days(whole: Path) -> None:
    domain, probability, click = feeds.truth(whole)
    rows = pl.concat([rows_of(whole, 12), rows_of(whole, 13)])
    assert domain.tolist() == rows["domain_id"].to_list()
    assert click.tolist() == rows["click"].cast(float).to_list()
    assert np.corrcoef(probability, click)[0, 1] > 0.2
