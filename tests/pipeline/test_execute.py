"""What a run says of its decision is what a server does, and it is not what an earlier run said."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console
from tfx.types import standard_artifacts

from components.dataset.loader import load_declaration
from components.errors import GateError, InputError
from components.pusher import atomic
from pipeline import execute
from pipeline.events import NodeRun
from pipeline.layout import RunLayout
from pipeline.place import Place
from pipeline.report import RunSummary, write_metrics, write_report
from pipeline.request import RunRequest, bounds_set_in
from tests.pipeline.report.summaries import run


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
    """A run that evaluated `model`; its Pusher came from the cache, and once pushed `version`."""
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
    # Where TFX's conditions hold, nothing runs after the Evaluator.
    judged = {node: runs[node] for node in ("Trainer", "Evaluator")}
    assert execute.decision(judged, serving) == (["the AUC is too low"], None)
    assert not serving.exists()


def _after_a_run_that_pushed(root: Path) -> RunLayout:
    layout = RunLayout(root)
    layout.root.mkdir()
    layout.summary.write_text(run().model_dump_json())
    write_metrics(run(), layout.metrics)
    write_report(run(), layout.report)
    return layout


def _execute(layout: RunLayout, error: Exception, monkeypatch: pytest.MonkeyPatch) -> RunSummary:
    """A run in which ExampleGen ends and the next component raises what a library made of `error`."""
    examples = layout.root / "examples"
    examples.mkdir()
    (examples / "ingest_report.json").write_text(json.dumps({"rows_read": 9, "train": 7, "eval": 2}))

    class Runner:
        def __init__(self, listener: object) -> None:
            outputs = {"examples": [SimpleNamespace(uri=str(examples))]}
            self.runs = {"DeclaredExampleGen": NodeRun("DeclaredExampleGen", False, 1.0, 1.0, outputs)}

        def run(self, pipeline: object) -> None:
            raise RuntimeError("a component failed") from error

    monkeypatch.setattr(execute, "LocalRunner", Runner)
    monkeypatch.setattr(execute, "create_pipeline", lambda settings: None)
    monkeypatch.setattr(execute, "data_fingerprint", lambda declaration, data: "f")
    monkeypatch.setattr(execute, "file_notes", lambda declaration, data: [])
    request = RunRequest("simulated", layout.root, layout.root)
    console = Console(file=io.StringIO())
    declaration = load_declaration("simulated", [])
    place = Place(layout.root, layout, layout.serving, (), None, console)
    return execute.execute(request, declaration, place)


def test_refused_data_replaces_what_the_run_before_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout = _after_a_run_that_pushed(tmp_path / "root")
    reason = "the data does not fit its schema (1 anomalies)"
    summary = _execute(layout, GateError(f"{reason}."), monkeypatch)
    found = json.loads(layout.metrics.read_text())
    assert (found["blessed"], found["pushed_to"], found["reasons"]) == (False, None, [reason])
    assert (found["average_auc"], found["domains"]) == (None, {})
    assert RunSummary.model_validate_json(layout.summary.read_text()) == summary
    page = layout.report.read_text()
    assert f"It was not blessed, and nothing was pushed: {reason}." in page
    assert "learned from" not in page


def test_wrong_input_leaves_the_files_of_the_run_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout = _after_a_run_that_pushed(tmp_path / "root")
    with pytest.raises(RuntimeError):
        _execute(layout, InputError("no such file"), monkeypatch)
    assert json.loads(layout.metrics.read_text())["pushed_to"] == run().pushed_to


def test_a_refusal_says_where_its_bounds_were_set(tmp_path: Path) -> None:
    drop, least = (f"evaluation.thresholds.average_auc.{side}" for side in ("max_drop", "min"))
    reasons = [f"average AUC is below 0.7: {least}", f"average AUC fell by 0.012: {drop}"]
    mine = tmp_path / "my.yaml"
    mine.write_text("evaluation: {thresholds: {average_auc: {min: 0.6, max_drop: 0.01}}}\n")
    assert bounds_set_in(RunRequest(str(mine), None, tmp_path), reasons) == f"The bounds are set in {mine}"
    request = RunRequest(str(mine), None, tmp_path, overrides=("seed=3", f"{least}=0.7"))
    assert bounds_set_in(request, reasons) == f"{least} is set by --set {least}=0.7; {drop} is set in {mine}"
    mine.write_text("evaluation: {min_rows: 100}\n")
    plain = RunRequest(str(mine), None, tmp_path)
    assert bounds_set_in(plain, reasons[:1]) == f"The bound is the default: {mine} sets none"
    moved = "domain 7: 0 rows where about 300 are usual (daily.gates.factor)"
    assert bounds_set_in(plain, [moved]) == f"The bound is the default: {mine} sets none"
    assert bounds_set_in(plain, ["the signature check failed"]) == ""


def test_days_whose_clicks_are_lost_are_told() -> None:
    declaration = load_declaration("simulated")
    assert execute._ingested({"silent_days": []}, declaration) == []
    reject = {"file": "log.csv", "line": 7, "reason": "column scene: missing"}
    unusable = {"rejected": 4, "rows_read": 4080, "rejects": [reject], "doubts": ["a is spelled as A"]}
    assert execute._ingested(unusable, declaration) == [
        "4 of 4,080 rows cannot be used and were left out; the first: log.csv:7: column scene: missing",
        "a is spelled as A",
    ]
    days = [f"2024-01-0{day}" for day in range(1, 8)]
    [warned] = execute._ingested({"silent_days": days}, declaration)
    assert warned.startswith("no row of 2024-01-01, ")
    assert (
        "2024-01-05 ... is clicked, which chance does not do: is click written there as elsewhere?" in warned
    )
