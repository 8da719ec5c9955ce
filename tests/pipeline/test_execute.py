"""What a run says of its decision is what a server does."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tfx.types import standard_artifacts

from components.pusher import atomic
from pipeline import execute
from pipeline.events import NodeRun


@pytest.fixture
def serving(tmp_path: Path) -> Path:
    return tmp_path / "serving" / "dfei"


def _model(folder: Path) -> Any:
    """A Trainer's model that was exported into `folder`."""
    saved = folder / "Format-Serving"
    saved.mkdir(parents=True)
    (saved / "saved_model.pb").write_bytes(folder.name.encode())
    model = standard_artifacts.Model()
    model.uri = str(folder)
    return model


def _runs(
    folder: Path,
    model: Any,
    monkeypatch: pytest.MonkeyPatch,
    failures: tuple[str, ...] = (),
    version: Path | None = None,
) -> dict[str, NodeRun]:
    """A run that judged `model`; its Pusher came from the cache, and once pushed `version`."""
    pushed = standard_artifacts.PushedModel()
    pushed.set_string_custom_property("pushed_destination", str(version))
    (folder / execute.SIGNATURE_REPORT).write_text(json.dumps([{"check": "it loads", "passed": True}]))
    monkeypatch.setattr(execute, "read_evaluation", lambda uri: SimpleNamespace(failures=failures))
    there = SimpleNamespace(uri=str(folder))
    outputs: dict[str, dict[str, list[Any]]] = {
        "Evaluator": {"evaluation": [there]},
        "SignatureCheck": {"blessing": [there]},
        "Trainer": {"model": [model]},
        "AtomicPusher": {"pushed_model": [pushed]},
    }
    return {node: NodeRun(node, True, 0.0, 0.0, found) for node, found in outputs.items()}


def _push(model: Any, serving: Path) -> Path:
    return atomic.push(Path(model.uri) / "Format-Serving", serving, model.uri)


def test_a_cached_run_whose_model_is_served_pushes_nothing(
    serving: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = _model(tmp_path / "a")
    version = _push(model, serving)
    runs = _runs(tmp_path, model, monkeypatch, version=version)
    assert execute.decision(runs, serving) == ([], str(version))
    assert atomic.versions(serving) == [int(version.name)]


def test_a_cached_run_after_another_ones_push_is_served_again(
    serving: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, other = _model(tmp_path / "a"), _model(tmp_path / "b")
    version = _push(model, serving)
    _push(other, serving)
    reasons, pushed_to = execute.decision(_runs(tmp_path, model, monkeypatch, version=version), serving)
    newest = serving / str(atomic.versions(serving)[-1])
    assert (reasons, pushed_to) == ([], str(newest))
    assert (newest / "saved_model.pb").read_bytes() == b"a"


def test_a_version_that_somebody_deleted_is_pushed_again(
    serving: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = _model(tmp_path / "a")
    version = _push(model, serving)
    shutil.rmtree(version)
    _, pushed_to = execute.decision(_runs(tmp_path, model, monkeypatch, version=version), serving)
    assert pushed_to is not None
    assert (Path(pushed_to) / "saved_model.pb").read_bytes() == b"a"


def test_a_refused_model_is_not_pushed(
    serving: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = _runs(tmp_path, _model(tmp_path / "a"), monkeypatch, ("the AUC is too low",))
    assert execute.decision(runs, serving) == (["the AUC is too low"], None)
    assert not serving.exists()
