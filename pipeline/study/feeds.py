"""The data of studies: simulated feeds, and feeds in which some domains appear late."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from pipeline.simulate import read_day, read_facts, simulate
from pipeline.simulate.directory import written_whole

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


def with_late_domains(
    whole: Path, target: Path, late: Sequence[str], first_day: int, seen: int, eval_days: int = EVAL_DAYS
) -> Path:
    """A feed in which some domains appear on a day, and have only so many rows from then on until the evaluation.

    Args:
      whole: the simulated feed.
      target: to be made; one already there is taken as it is.
      late: ids of these domains.
      first_day: the first day on which they have rows, from 0.
      seen: rows of each that are there before the evaluation days, the first in time.
      eval_days: the last days, which are left as they are.
    """
    if target.is_dir():
        return target
    days = read_facts(whole).settings.days
    left = dict.fromkeys(map(int, late), seen)
    with written_whole(target) as partial:
        (partial / "impressions").mkdir()
        for table in ("users.csv", "items.csv"):
            (partial / table).write_bytes((whole / table).read_bytes())
        for day in range(days):
            name = f"impressions/part-{day:03}.csv"
            if day >= days - eval_days:
                (partial / name).write_bytes((whole / name).read_bytes())
                continue
            rows = pl.read_csv(whole / name, infer_schema=False)
            domain = rows["domain_id"].cast(pl.Int64).to_numpy()
            kept = ~np.isin(domain, list(left))
            for one, most in left.items():
                mine = np.flatnonzero(domain == one)[: most if day >= first_day else 0]
                kept[mine] = True
                left[one] = most - len(mine)
            rows.filter(pl.Series(kept)).write_csv(partial / name)
    return target
