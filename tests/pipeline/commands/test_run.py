"""What `dfei run --json` prints is of this run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NoReturn

import pytest

import pipeline.run
from components.errors import GateError
from pipeline.commands import run as command
from pipeline.commands import shared
from pipeline.report import write_metrics
from tests.pipeline.report.summaries import run


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root with the metrics of a run that pushed."""
    write_metrics(run(), tmp_path / "metrics.json")
    return tmp_path


def _printed(
    root: Path, outcome: Any, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> tuple[Any, str]:
    """Exit code and standard output of a run that ends with `outcome`."""

    def leave(code: int) -> NoReturn:
        raise SystemExit(code)

    monkeypatch.setattr(pipeline.run, "run", outcome)
    monkeypatch.setattr(shared, "leave", leave)
    monkeypatch.setattr(shared, "_note_interrupt", list)
    with pytest.raises(SystemExit) as ended:
        command.run(dataset="simulated", root=root, as_json=True)
    return ended.value.code, capfd.readouterr().out


def test_a_run_that_was_refused_without_a_summary_prints_nothing_of_an_earlier_one(
    root: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def refused(*_: object) -> NoReturn:
        raise GateError("the data does not fit its schema")

    assert _printed(root, refused, monkeypatch, capfd) == (1, "")


def test_a_refused_run_prints_its_reasons(
    root: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    summary = run(blessed=False, pushed_to=None, reasons=["the data does not fit its schema"])

    def refused(*_: object) -> Any:
        write_metrics(summary, root / "metrics.json")
        return summary

    code, printed = _printed(root, refused, monkeypatch, capfd)
    assert code == 1
    found = json.loads(printed)
    assert (found["blessed"], found["reasons"]) == (False, ["the data does not fit its schema"])
