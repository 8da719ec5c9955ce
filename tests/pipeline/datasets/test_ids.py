"""Newcomers of the evaluation, against sets."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.datasets.ids import DaysOfIds

ROW = st.tuples(st.one_of(st.none(), st.integers(0, 12)), st.integers(0, 6))


@given(st.lists(st.lists(ROW, max_size=20), max_size=5), st.integers(0, 7))
def test_newcomers_are_those_without_an_earlier_day(
    blocks: list[list[tuple[int | None, int]]], first: int
) -> None:
    counter = DaysOfIds()
    for block in blocks:
        counter.add(
            pl.Series([i for i, _ in block], dtype=pl.Int64), pl.Series([d for _, d in block], dtype=pl.Int64)
        )
    rows = [(i, d) for block in blocks for i, d in block if i is not None]
    known = {i for i, d in rows if d < first}
    later = [i for i, d in rows if d >= first]
    found = counter.newcomers(first)
    assert (found.ids, found.new) == (len(set(later)), len(set(later) - known))
    assert (found.rows, found.new_rows) == (len(later), sum(i not in known for i in later))
    assert found.one_in == 1


def test_many_identifiers_are_sampled_whole() -> None:
    rng = np.random.default_rng(0)
    counter = DaysOfIds(most_entries=4_000)
    ids, days = rng.integers(0, 20_000, 120_000), rng.integers(0, 10, 120_000)
    # A third of the identifiers only comes on the last day.
    days = np.where(ids % 3 == 0, 9, days)
    for start in range(0, len(ids), 10_000):
        counter.add(pl.Series(ids[start : start + 10_000]), pl.Series(days[start : start + 10_000]))
    found = counter.newcomers(9)
    assert found.one_in > 1
    later = set(ids[days == 9].tolist())
    new = later - set(ids[days < 9].tolist())
    assert found.ids == pytest.approx(len(later), rel=0.15)
    assert found.new / found.ids == pytest.approx(len(new) / len(later), abs=0.04)
    assert found.new_rows / found.rows == pytest.approx(np.isin(ids[days == 9], list(new)).mean(), abs=0.04)
