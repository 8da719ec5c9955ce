"""Rows that are equal in every column are found wherever they are; the first one stays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from components.example_gen.duplicates import (
    DROPS,
    HASHES,
    HashWriter,
    drops_of_piece,
    find_duplicates,
    hash_rows,
)


def drops(folder: Path, pieces: list[list[int]], partitions: int, run_rows: int) -> list[list[int]]:
    """Rows to drop of each piece, whose rows are given by numbers that stand for their values."""
    for kind in (HASHES, DROPS):
        (folder / kind).mkdir()
    for piece, values in enumerate(pieces):
        writer = HashWriter(str(folder), piece, partitions, run_rows)
        for row, value in enumerate(values):
            writer.add(hash_rows(pl.DataFrame({"value": [str(value)]})), np.array([row]))
        writer.close()
    found = [find_duplicates(str(folder), len(pieces), p, partitions) for p in range(partitions)]
    kept = [drops_of_piece(str(folder), piece, range(partitions)).tolist() for piece in range(len(pieces))]
    assert sum(found) == sum(map(len, kept))
    return kept


@pytest.mark.parametrize("partitions", [1, 2, 7])
@pytest.mark.parametrize("run_rows", [1, 3, 100])
def test_first_occurrence_stays_for_any_partitions_and_runs(
    tmp_path: Path, partitions: int, run_rows: int
) -> None:
    pieces = [[5, 6, 5], [], [6, 7, 8, 7], [5, 9]]
    assert drops(tmp_path, pieces, partitions, run_rows) == [[2], [], [0, 3], [0]]


def test_hash_depends_on_every_column_and_on_which_is_which() -> None:
    rows = pl.DataFrame({"a": ["1", "1", "2", "", None, "12"], "b": ["2", "2", "1", "12", "12", ""]})
    hashes = [tuple(row) for row in hash_rows(rows).tolist()]
    assert hashes[0] == hashes[1]
    assert hashes[3] == hashes[4]  # an empty value is a missing value
    assert len(set(hashes)) == 4


def test_order_of_columns_does_not_matter() -> None:
    rows = pl.DataFrame({"a": ["1", "x"], "b": ["2", "y"]})
    assert (hash_rows(rows) == hash_rows(rows.select("b", "a"))).all()


def test_lists_are_hashed() -> None:
    rows = pl.DataFrame({"a": [[1, 2], [1, 2], [2, 1], []]})
    assert len({tuple(row) for row in hash_rows(rows).tolist()}) == 3


@pytest.mark.parametrize("kind", [pl.Time, pl.Duration("us"), pl.Datetime("us"), pl.Binary])
def test_every_type_counts_to_the_last_digit(kind: pl.DataType) -> None:
    numbers = pl.Series([1, 2, 1000, 1, None])
    values = numbers.cast(pl.String).cast(kind) if kind == pl.Binary else numbers.cast(kind)
    hashes = [tuple(row) for row in hash_rows(pl.DataFrame({"a": values})).tolist()]
    assert hashes[0] == hashes[3]
    assert len(set(hashes)) == 4


def test_bytes_that_are_no_text_are_hashed() -> None:
    assert len(np.unique(hash_rows(pl.DataFrame({"a": [b"\xff", b"\xfe", b"\xff\xff"]}))[:, 0])) == 3


def test_both_halves_of_the_hash_are_spread() -> None:
    hashes = hash_rows(pl.DataFrame({"a": [str(i) for i in range(100_000)]}))
    for half in (hashes[:, 0], hashes[:, 1], hashes[:, 0] ^ hashes[:, 1]):
        assert len(np.unique(half)) == 100_000
        counts = np.bincount((half >> np.uint64(60)).astype(int), minlength=16)
        assert counts.min() > 5_900  # 6,250 expected, 77 of standard deviation
