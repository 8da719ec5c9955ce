"""A feature that ranks the clicks far better than all others is suspected, and a good one is not."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import roc_auc_score

from components.dataset.loader import load_declaration
from components.dataset.names import LOCAL_TIME
from pipeline.datasets.checking.leaks import LeakSample

ROWS = 6_000
DECLARED = load_declaration("simulated", ())


def log(**columns: np.ndarray) -> tuple[pl.DataFrame, np.ndarray]:
    """Rows of two domains, whose click rates differ and whose features say nothing, but for the given ones."""
    rng = np.random.default_rng(0)
    domain = rng.integers(0, 2, ROWS)
    click = (rng.random(ROWS) < np.where(domain == 0, 0.1, 0.6)).astype(np.int8)
    noise = {name: rng.integers(0, 9, ROWS) for name in DECLARED.features if name != DECLARED.domain}
    moment = {LOCAL_TIME: np.arange(ROWS)}
    return pl.DataFrame({**noise, **moment, DECLARED.domain: domain, DECLARED.label: click}), click


@pytest.mark.parametrize(
    ("strength", "other", "suspected"),
    [
        (2.2, 2.2, ["age_days", "duration_s"]),  # AUCs of .94
        (1.5, 0.0, ["duration_s"]),  # .86, the next .5
        (1.5, 1.3, []),  # .86 beside .82
        (1.0, 0.0, []),  # .76: a good feature
    ],
)
def test_what_stands_out_is_suspected(strength: float, other: float, suspected: list[str]) -> None:
    rows, click = log()
    rng = np.random.default_rng(1)
    rows = rows.with_columns(
        duration_s=pl.Series(strength * click + rng.normal(size=ROWS)),
        age_days=pl.Series(other * click + rng.normal(size=ROWS)),
    )
    sample = LeakSample(DECLARED, ROWS)
    for start in range(0, ROWS, 1_000):
        sample.add(rows[start : start + 1_000])
    found = list(sample.findings())
    assert sorted(finding.found.split(" ")[0] for finding in found) == suspected
    for finding in found:
        name = finding.found.split(" ")[0]
        domain, values = rows[DECLARED.domain].to_numpy(), rows[name].to_numpy()
        exact = [roc_auc_score(click[domain == value], values[domain == value]) for value in (0, 1)]
        told = float(finding.found.split("AUC of ")[1][:4])
        assert told == pytest.approx(np.average(exact, weights=np.bincount(domain)), abs=0.015)


def test_a_domains_click_rate_is_no_leak() -> None:
    rows, _ = log()
    # It tells the domain, and with it most of what is known of a click over all rows together.
    rows = rows.with_columns(category=rows[DECLARED.domain].cast(pl.String))
    sample = LeakSample(DECLARED, ROWS)
    sample.add(rows)
    assert list(sample.findings()) == []


def test_a_list_that_only_clicked_rows_have_is_suspected() -> None:
    declared = load_declaration(
        "simulated", ["features.bid={type: int, treatment: vocabulary, separator: '|', max_length: 2}"]
    )
    rows, click = log()
    sample = LeakSample(declared, ROWS)
    sample.add(
        rows.with_columns(
            bid=pl.Series([[5, number % 9] if one else None for number, one in enumerate(click)])
        )
    )
    [finding] = sample.findings()
    assert finding.found == "bid is filled only in rows whose label is 1"
    assert "--set-aside" in finding.remedy


def test_a_tables_count_of_the_log_itself_is_suspected() -> None:
    rows, click = log()
    rng = np.random.default_rng(2)
    item = rng.choice(60, ROWS, p=np.arange(1, 61) / np.arange(1, 61).sum())
    clicks = np.bincount(item, click)[item]
    rows = rows.with_columns(item_id=pl.Series(item), duration_s=pl.Series(clicks.astype(float)))
    sample = LeakSample(DECLARED, ROWS)
    sample.add(rows)
    [finding] = [one for one in sample.findings() if "duration_s" in one.found]
    assert finding.found.startswith(
        "duration_s: of each item_id it tells the rows or clicks of the last days"
    )
