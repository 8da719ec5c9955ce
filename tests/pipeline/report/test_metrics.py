"""`metrics.json` has the agreed shape, and null where a figure is undefined."""

from __future__ import annotations

import json
from pathlib import Path

from pipeline.report import RunSummary, write_metrics
from tests.pipeline.report.summaries import run


def test_the_shape_is_the_agreed_one(tmp_path: Path) -> None:
    write_metrics(run(), tmp_path / "metrics.json")
    found = json.loads((tmp_path / "metrics.json").read_text())
    assert list(found) == [
        "dataset",
        "model",
        "seed",
        "rows",
        "eval_state",
        "average_auc",
        "overall_auc",
        "gauc",
        "log_loss",
        "domains",
        "blessed",
        "reasons",
        "pushed_to",
        "seconds",
    ]
    assert found["rows"] == {"train": 150_011, "eval": 30_373}
    assert found["seconds"] == {"ExampleGen": 6.1, "Trainer": 41.7}
    assert found["blessed"] is True
    assert found["reasons"] == []
    assert found["eval_state"] == "frozen"
    assert len(found["domains"]) == 15
    assert all(
        list(domain) == ["rows", "positives", "auc", "log_loss", "calibration"]
        for domain in found["domains"].values()
    )
    assert found["domains"]["14"] == {
        "rows": 30,
        "positives": 0,
        "auc": None,
        "log_loss": 0.6,
        "calibration": None,
    }
    assert list(tmp_path.iterdir()) == [tmp_path / "metrics.json"]


def test_a_run_that_was_not_judged_has_nulls_and_the_reasons(tmp_path: Path) -> None:
    write_metrics(RunSummary(dataset="d", model="m", reasons=["no such column"]), tmp_path / "metrics.json")
    found = json.loads((tmp_path / "metrics.json").read_text())
    assert found["average_auc"] is None
    assert found["domains"] == {}
    assert found["blessed"] is False
    assert found["reasons"] == ["no such column"]
    assert found["pushed_to"] is None
