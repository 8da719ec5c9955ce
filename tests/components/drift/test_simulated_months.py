"""The gates of rows and click rates on whole months: good days pass, and half the clicks of a domain are missed."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from components.dataset.loader import load_declaration
from components.drift.figures import Counts, Measured
from components.drift.gates import findings
from pipeline.simulate import simulate

DAYS, ROWS = 30, 6000


def figures(path: Path, number: int) -> Measured:
    log = pl.read_csv(path)
    counts = log.group_by("domain_id").agg(pl.len(), pl.col("click").sum())
    hours = (log["timestamp_ms"] // 3_600_000) % 24
    return Measured(
        day=f"2024-01-{number + 1:02}",
        overall=Counts(rows=len(log), clicks=log["click"].sum()),
        domains={str(name): Counts(rows=rows, clicks=clicks) for name, rows, clicks in counts.iter_rows()},
        hours=[int((hours == hour).sum()) for hour in range(24)],
        clicks=[int(log.filter(hours == hour)["click"].sum()) for hour in range(24)],
    )


@pytest.mark.slow
@pytest.mark.parametrize("domains", [6, 21])
@pytest.mark.parametrize("seed", range(4))
def test_a_month_of_good_days_and_half_the_clicks_of_a_domain(
    tmp_path: Path, domains: int, seed: int
) -> None:
    declaration = load_declaration("simulated", [])
    simulate(tmp_path, days=DAYS, rows=DAYS * ROWS, domains=domains, seed=seed)
    month = [figures(path, n) for n, path in enumerate(sorted((tmp_path / "impressions").glob("*.csv")))]
    refused, found = [], 0
    for n in range(1, DAYS):
        history, today = month[max(0, n - 7) : n][::-1], month[n]
        refused += [one.words for one in findings(declaration, history, today) if one.refuses]
        largest = max(today.domains, key=lambda name: today.domains[name].rows)
        counts = today.domains[largest]
        halved = today.model_copy(
            update={
                "domains": {**today.domains, largest: Counts(rows=counts.rows, clicks=counts.clicks // 2)}
            }
        )
        words = [one.words for one in findings(declaration, history, halved) if one.refuses]
        found += n >= 3 and any(text.startswith(f"domain {largest}:") for text in words)
    print(f"{domains} domains, seed {seed}: {found} of {DAYS - 3} found")
    assert refused == []
    assert found >= 0.6 * (DAYS - 3)
