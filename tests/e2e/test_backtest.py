"""`dfei backtest` end to end: what each period was trained and evaluated on, and what comes from the cache."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.e2e.conftest import SMALL, Finished, dfei

SETTINGS = [part for setting in (*SMALL, "model.layers=[16,8]") for part in ("--set", setting)]


def backtest(feed: Path, root: Path, *options: str) -> Finished:
    models = ("--models", "mlp,lightgbm", "--seeds", "1")
    return dfei(
        "backtest", "--dataset", "simulated", "--data", feed, "--root", root, *models, *SETTINGS, *options
    )


def document(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text())
    return content


@pytest.fixture(scope="module")
def root(small_feed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two periods of two models."""
    root = tmp_path_factory.mktemp("backtest") / "root"
    finished = backtest(small_feed, root, "--periods", "2")
    assert finished.code == 0, finished.text + "".join(
        log.read_text(errors="replace")[-5000:] for log in (root / "logs").glob("*.log")
    )
    assert "period 2 of 2: evaluated on 2024-01-11 to 2024-01-12" in finished.out
    assert "Traceback" not in finished.text
    return root


@pytest.mark.slow
def test_each_period_knows_nothing_later(root: Path, small_feed: Path) -> None:
    lines = {
        day: (small_feed / "impressions" / f"part-{day:03}.csv").read_text().count("\n") - 1
        for day in range(14)
    }
    for last, end in (("2024-01-14", 14), ("2024-01-12", 12)):
        [examples] = (root / "periods" / last / "artifacts" / "DeclaredExampleGen" / "examples").iterdir()
        report = document(examples / "ingest_report.json")
        assert report["last_day"] == last
        assert report["rows_read"] == sum(lines[day] for day in range(end))
        assert report["later"] == sum(lines[day] for day in range(end, 14))
        evaluated = document(root / "periods" / last / "comparison.json")["rows"]["eval"]
        assert evaluated == report["eval"] <= lines[end - 1] + lines[end - 2]


@pytest.mark.slow
def test_the_whole_is_the_mean_of_the_periods(root: Path) -> None:
    whole = document(root / "backtest.json")
    parts = [document(root / period["comparison"] / "comparison.json") for period in whole["periods"]]
    assert [period["last"] for period in whole["periods"]] == ["2024-01-14", "2024-01-12"]
    for model in whole["models"]:
        averages = [
            next(m for m in part["models"] if m["name"] == model["name"])["average_auc"]["mean"]
            for part in parts
        ]
        assert [period["mean"] for period in model["periods"]] == averages
        assert model["average_auc"]["mean"] == pytest.approx(np.mean(averages))
    for period in whole["periods"]:
        assert 0.6 < period["best_possible_average_auc"] < 0.95
    assert "Period by period" in (root / "backtest.html").read_text()


@pytest.mark.slow
def test_again_trains_nothing(root: Path, small_feed: Path) -> None:
    before = document(root / "backtest.json")
    finished = backtest(small_feed, root, "--periods", "2")
    assert finished.code == 0, finished.text
    assert not [line for line in finished.out.splitlines() if re.match(r"✓ \w+ .* s$", line)]
    after = document(root / "backtest.json")
    assert after["models"] == before["models"]


def test_too_many_periods_are_refused_before_anything_is_trained(small_feed: Path, tmp_path: Path) -> None:
    finished = backtest(small_feed, tmp_path / "root", "--periods", "8")
    assert finished.code == 2
    assert "give --periods 6" in " ".join(finished.err.split())
    assert not (tmp_path / "root" / "periods").exists()
