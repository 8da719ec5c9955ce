"""The last task of a single run: red with the reasons where the model was refused, else green with the version."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tfx.types import standard_artifacts
from tfx.types.experimental import simple_artifacts

from components.errors import GateError
from kubeflow.close_run import DECISION_FILE, CloseRun
from pipeline import execute


def _close(folder: Path, monkeypatch: pytest.MonkeyPatch, failures: list[str], *, checked: bool) -> Path:
    """Runs the task on what an Evaluator, a signature check and a Pusher left; returns the folder of its output."""
    monkeypatch.setattr(execute, "read_evaluation", lambda uri: SimpleNamespace(failures=failures))
    given: dict[str, Any] = {
        "evaluation": standard_artifacts.ModelEvaluation(),
        "checks": standard_artifacts.InfraBlessing(),
        "pushed": standard_artifacts.PushedModel(),
        "decision": simple_artifacts.File(),
    }
    for name, artifact in given.items():
        artifact.uri = str(folder / name)
        (folder / name).mkdir()
    report = [{"check": "it loads", "passed": checked, "detail": "no such file"}]
    (folder / "checks" / execute.SIGNATURE_REPORT).write_text(json.dumps(report))
    given["pushed"].set_string_custom_property("pushed_version", "1796042092")
    CloseRun.test_call(**given)
    return folder / "decision"


def test_every_reason_of_a_refusal_is_in_the_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(GateError) as caught:
        _close(tmp_path, monkeypatch, ["average AUC 0.6933 is below the threshold 0.7"], checked=False)
    assert str(caught.value).splitlines() == [
        "the model was not pushed, what was served before stays:",
        "  average AUC 0.6933 is below the threshold 0.7",
        "  signature check: it loads: no such file",
    ]


def test_a_pushed_model_leaves_its_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = _close(tmp_path, monkeypatch, [], checked=True)
    assert json.loads((folder / DECISION_FILE).read_text()) == {"pushed_version": "1796042092"}
