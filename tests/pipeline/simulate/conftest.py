"""One simulated feed of the default size, read once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest

from pipeline.simulate import SimulationFacts, read_day, simulate


@dataclass(frozen=True)
class Feed:
    directory: Path
    facts: SimulationFacts
    rows: pl.DataFrame
    users: pl.DataFrame
    items: pl.DataFrame

    @property
    def first_eval_day(self) -> int:
        return self.facts.settings.days - self.facts.settings.eval_days


@pytest.fixture(scope="session")
def feed(tmp_path_factory: pytest.TempPathFactory) -> Feed:
    directory = tmp_path_factory.mktemp("simulated") / "feed"
    facts = simulate(directory)
    rows = pl.concat(
        read_day(directory, day).with_columns(day=pl.lit(day)) for day in range(facts.settings.days)
    )
    return Feed(
        directory=directory,
        facts=facts,
        rows=rows,
        users=pl.read_csv(directory / "users.csv"),
        items=pl.read_csv(directory / "items.csv"),
    )
