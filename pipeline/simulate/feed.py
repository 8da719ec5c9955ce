"""Writes a simulated feed, day by day."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import date, timedelta
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import polars as pl
import pyarrow as pa

from components.dataset.parquet import ParquetWriter
from components.progress import Progress
from models.arrays import Array
from pipeline.simulate.directory import require_space, written_whole
from pipeline.simulate.exposure import Exposure, Impressions, clock
from pipeline.simulate.facts import SimulationFacts, is_reusable, read_facts
from pipeline.simulate.population import draw_items, draw_users
from pipeline.simulate.response import Answers, World, answer, calibrate
from pipeline.simulate.settings import (
    DAY_MS,
    FIRST_DAY,
    FIRST_DAY_MS,
    FORMAT,
    Relatedness,
    SimulationSettings,
    Strengths,
    make_settings,
)
from pipeline.simulate.truth import (
    TRUTH_FILE,
    TruthTally,
)
from pipeline.simulate.world import draw_domains, stream

# Rows that are in memory at a time.
_SLICE_ROWS = 250_000
_BYTES_PER_ROW = 60
_BYTES_PER_TABLE_ROW = 80

# Places of use of a random stream: what is drawn in one does not move the others.
_DOMAINS, _USERS, _ITEMS, _MEMBERS, _PILOT, _PLAN, _ROWS = range(7)


def simulate(
    directory: Path,
    *,
    domains: int = 21,
    rows: int = 200_000,
    users: int | None = None,
    items: int | None = None,
    days: int = 14,
    seed: int = 0,
    eval_days: int = 2,
    min_rows: int = 500,
    progress: Callable[[Progress], None] | None = None,
) -> SimulationFacts:
    """Writes a multi-domain feed of impressions whose best possible AUC is known.

    The true logit of a click in domain d on day t is
    `b_d + drift_dt + sharpness_d (features + propensity_u . l_d + appeal_i . m_d + sum_k w_dk z_uk(t) q_ik)`.
    Everything with an index d is a sum of a part of all domains, one of d's cluster, and one of its own.

    Layout: `impressions/part-*.csv` (one per UTC day), `users.csv`, `items.csv`, `truth.json`, and
    `truth/part-*.parquet` with the true click probability of every row of the part of the same number. The
    directory is written as a whole or not at all; memory does not grow with the number of rows.

    Args:
        directory: to be created; the same feed already there is reused.
        domains, rows, days, seed: size of the feed, and the seed of all draws.
        users, items: sizes of the tables; one per 25 and one per 50 rows when None.
        eval_days: the last days, on which the best possible AUC is stated.
        min_rows: evaluation rows that a domain needs to count in the average AUC.
        progress: listens to how many rows are written.

    Raises:
        InputError: a size is out of range, the directory holds something else, or the disk is full.
    """
    settings = make_settings(
        domains=domains,
        rows=rows,
        users=users,
        items=items,
        days=days,
        seed=seed,
        eval_days=eval_days,
        min_rows=min_rows,
    )
    if directory.exists() and is_reusable(directory, settings):
        return read_facts(directory, reused=True)
    needed = _BYTES_PER_ROW * rows + _BYTES_PER_TABLE_ROW * (settings.users + settings.items)
    require_space(directory, needed, f"a feed of {rows:,} rows")
    with written_whole(directory) as partial:
        _write(partial, settings, progress)
    return read_facts(directory, reused=False)


def _write(
    directory: Path, settings: SimulationSettings, progress: Callable[[Progress], None] | None
) -> None:
    strengths, relatedness = Strengths(), Relatedness()
    world = build_world(settings, strengths, relatedness)
    base = calibrate(stream(settings.seed, _PILOT), world)
    world.users.table().write_csv(directory / "users.csv")
    world.items.table(settings.categories).write_csv(directory / "items.csv")
    (directory / "impressions").mkdir()
    (directory / "truth").mkdir()
    tallies = {"eval": TruthTally(settings.domains), "all_days": TruthTally(settings.domains)}
    cold = _ColdCount(settings)
    done = 0
    for day in range(settings.days):
        csv = directory / "impressions" / f"part-{day:03}.csv"
        probabilities = directory / "truth" / f"part-{day:03}.parquet"
        schema = pa.schema([("probability", pa.float64())])
        with csv.open("wb") as rows_file, ParquetWriter(probabilities, schema) as truth_file:
            for number, (time, rows, answers) in enumerate(_slices(world, base, settings, day)):
                _append(rows_file, time, rows, answers, header=number == 0)
                truth_file.write_table(pa.table({"probability": answers.probability}, schema=schema))
                tallies["all_days"].add(rows.domain, answers.probability, answers.click)
                cold.add(rows)
                if day >= settings.days - settings.eval_days:
                    tallies["eval"].add(rows.domain, answers.probability, answers.click)
                done += len(rows)
                if progress is not None:
                    progress(Progress("simulating", done, settings.rows))
    document = {
        "format": FORMAT,
        "settings": settings.to_dict(),
        "strengths": asdict(strengths),
        "relatedness": asdict(relatedness),
        "first_day": FIRST_DAY,
        "last_day": str(date.fromisoformat(FIRST_DAY) + timedelta(days=settings.days - 1)),
        "time_zone": "UTC",
        "cold": cold.to_dict(),
        "best_possible": {
            period: tally.best_possible(settings.min_rows).to_dict() for period, tally in tallies.items()
        },
        "domains": _describe_domains(world, base),
        "files": _sizes(directory),
    }
    (directory / TRUTH_FILE).write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def build_world(settings: SimulationSettings, strengths: Strengths, relatedness: Relatedness) -> World:
    """Draws all that is drawn once for a feed."""
    seed = settings.seed
    domains = draw_domains(
        stream(seed, _DOMAINS), settings, relatedness, daily=strengths.daily, trend=strengths.trend
    )
    users = draw_users(stream(seed, _USERS), settings)
    items = draw_items(stream(seed, _ITEMS), settings)
    exposure = Exposure(stream(seed, _MEMBERS), domains, users, items)
    return World(domains, users, items, exposure, strengths, settings.days)


def _slices(
    world: World, base: Array, settings: SimulationSettings, day: int
) -> Iterator[tuple[Array, Impressions, Answers]]:
    """The impressions of a day in the order of time, with their answers, some hundred thousand at a time."""
    in_day = world.domains.rows_by_day[:, day]
    parts = max(1, -(-int(in_day.sum()) // _SLICE_ROWS))
    plan = stream(settings.seed, _PLAN, day).multinomial(in_day, np.full(parts, 1 / parts))
    for part in range(parts):
        rng = stream(settings.seed, _ROWS, day, part)
        count = int(plan[:, part].sum())
        time = FIRST_DAY_MS + day * DAY_MS + clock(rng, count, part, parts)
        rows = world.exposure.draw(rng, day, plan[:, part]).take(rng.permutation(count))
        yield time, rows, answer(rng, world, base, rows)


def _append(file: BinaryIO, time: Array, rows: Impressions, answers: Answers, header: bool) -> None:
    frame = pl.DataFrame(
        {
            "timestamp_ms": time,
            "domain_id": rows.domain,
            "user_id": rows.user,
            "item_id": rows.item,
            "position": rows.position,
            "click": answers.click.astype(np.int8),
            "long_view": answers.long_view.astype(np.int8),
            "dwell_ratio": answers.dwell_ratio,
        }
    )
    frame.write_csv(file, include_header=header, float_precision=3)


class _ColdCount:
    """Counts evaluation rows of users and items that have no row before the evaluation."""

    def __init__(self, settings: SimulationSettings):
        self._first_eval_day = settings.days - settings.eval_days
        self._known = {"user": np.zeros(settings.users, bool), "item": np.zeros(settings.items, bool)}
        self._cold = {"user": 0, "item": 0}
        self._rows = 0

    def add(self, rows: Impressions) -> None:
        for kind, ids in (("user", rows.user), ("item", rows.item)):
            if rows.day < self._first_eval_day:
                self._known[kind][ids] = True
            else:
                self._cold[kind] += int((~self._known[kind][ids]).sum())
        if rows.day >= self._first_eval_day:
            self._rows += len(rows)

    def to_dict(self) -> dict[str, float]:
        return {f"{kind}_share": count / max(self._rows, 1) for kind, count in self._cold.items()}


def _describe_domains(world: World, base: Array) -> list[dict[str, Any]]:
    domains = world.domains
    return [
        {
            "domain_id": d,
            "rows": int(domains.rows[d]),
            "cluster": int(domains.cluster[d]),
            "target_click_rate": float(domains.click_rate[d]),
            "base_logit": float(base[d]),
            "daily_logits": [round(float(value), 4) for value in domains.drift[d]],
        }
        for d in range(len(domains.rows))
    ]


def _sizes(directory: Path) -> dict[str, int]:
    files = sorted(path for path in directory.rglob("*") if path.is_file())
    return {path.relative_to(directory).as_posix(): path.stat().st_size for path in files}
