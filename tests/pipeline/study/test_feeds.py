"""Feeds in which domains appear late."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from components.dataset.declaration import DAY_MS
from components.dataset.impressions import read_piece
from components.dataset.loader import load_declaration
from components.dataset.read_plan import cut, plan_reading
from components.errors import InputError
from pipeline.simulate.settings import FIRST_DAY_MS
from pipeline.study import feeds, held_back


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return feeds.feed(tmp_path_factory.mktemp("study"), domains=6, rows=2000)


def rows_of(directory: Path, day: int) -> pl.DataFrame:
    return pl.read_csv(directory / f"impressions/part-{day:03}.csv", infer_schema=False)


@pytest.mark.parametrize("seen", [0, 3, 10_000])
def test_of_domains_held_back_the_last_rows_before_the_evaluation_are_read(whole: Path, seen: int) -> None:
    late = feeds.late_domains(whole)
    assert len(late) == 2
    declaration = load_declaration("simulated")
    setting = held_back.setting(declaration, whole, late, seen)
    plan = plan_reading(load_declaration("simulated", [setting]), str(whole))
    found = pl.concat([block.text for piece in cut(plan) for block in read_piece(plan, piece)])
    everything = pl.concat([rows_of(whole, day) for day in range(14)])
    new = everything["domain_id"].is_in(late)
    evaluated = everything["timestamp_ms"].cast(pl.Int64) >= FIRST_DAY_MS + 12 * DAY_MS
    for domain in late:
        mine = everything.filter((everything["domain_id"] == domain) & ~evaluated).sort(
            pl.col("timestamp_ms").cast(pl.Int64)
        )
        last = mine.tail(seen)
        assert len(last) == min(seen, len(mine))
        held = found.filter(found["domain_id"] == domain)
        kept = held.filter(held["timestamp_ms"].cast(pl.Int64) < FIRST_DAY_MS + 12 * DAY_MS)
        assert set(kept["timestamp_ms"]) == set(last["timestamp_ms"])
    others = found.filter(~found["domain_id"].is_in(late))
    assert others.sort(others.columns).equals(everything.filter(~new).sort(others.columns))
    assert len(found.filter(found["domain_id"].is_in(late))) >= len(everything.filter(new & evaluated))


def test_a_domain_that_is_not_in_the_log_is_named(whole: Path) -> None:
    with pytest.raises(InputError, match=r"--hold 99: .*: no row of this domain"):
        held_back.setting(load_declaration("simulated"), whole, ["1", "99"], 0)


def test_the_truth_is_that_of_the_evaluation_days(whole: Path) -> None:
    domain, probability, click = feeds.truth(whole)
    rows = pl.concat([rows_of(whole, 12), rows_of(whole, 13)])
    assert domain.tolist() == rows["domain_id"].to_list()
    assert click.tolist() == rows["click"].cast(float).to_list()
    assert np.corrcoef(probability, click)[0, 1] > 0.2
