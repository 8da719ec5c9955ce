"""The data of studies: simulated feeds, and which of their domains are held back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from pipeline.simulate import read_day, read_facts, simulate

EVAL_DAYS = 2
FEEDS = "feeds"

Truth = tuple[npt.NDArray[np.str_], npt.NDArray[np.float64], npt.NDArray[np.float64]]


def feed(root: Path, domains: int, rows: int, seed: int = 0) -> Path:
    """A simulated feed below the root, made where it is missing."""
    directory = root / FEEDS / f"{domains}-domains-{rows}-rows"
    simulate(directory, domains=domains, rows=rows, seed=seed)
    return directory


def truth(directory: Path) -> Truth:
    """Domain, true click probability and click of the evaluation days."""
    days = read_facts(directory).settings.days
    rows = pl.concat([read_day(directory, day) for day in range(days - EVAL_DAYS, days)])
    return (
        rows["domain_id"].cast(pl.String).to_numpy().astype(str),
        rows["probability"].to_numpy(),
        rows["click"].to_numpy().astype(float),
    )


def late_domains(directory: Path, every: int = 3) -> list[str]:
    """Every third domain in the order of size, the first two left out: what is held back in a study of new domains."""
    rows = {name: score.rows for name, score in read_facts(directory).best_all_days.domains.items()}
    ordered = sorted(rows, key=lambda name: -rows[name])
    return ordered[2::every]
