"""A feed's day as a package: what each task is told, and what ends it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format
from kfp.dsl import structures
from kfp.pipeline_spec import pipeline_spec_pb2 as pipeline_pb2
from tfx.components.evaluator import constants

from components.dataset.declaration import Declaration
from components.dataset.loader import load_declaration
from components.errors import InputError
from kubeflow import day as days
from kubeflow import mounts, overrides
from kubeflow import runtime_parameters as names
from kubeflow.daily_package import GATES
from kubeflow.options import check_request
from kubeflow.resolve_day import feed_root
from pipeline.daily.days import Delivery, Part
from pipeline.daily.declared import for_day
from pipeline.daily.ledger import Carry, DayEntry, LearnedDay
from tests.kubeflow.conftest import Compiled, request

DAY = "2024-01-05"


def _day(**changes: Any) -> days.Day:
    feed = load_declaration(
        "simulated",
        [
            "daily.replay_share=0.25",
            "daily.learning_rate_scale=0.5",
            "evaluation.thresholds.gauc={min: 0.123}",
        ],
    )
    declaration = for_day(feed, Delivery(day=DAY, parts={"part-4.csv": Part(rows=3, hash="1")}))
    learned = [LearnedDay(day="2024-01-04", examples="/rows", transform_graph="/graph")]
    told: dict[str, Any] = {
        "feed": feed.to_json(),
        "declaration": declaration.to_json(),
        "schema_text": "feature {}",
        "data_dir": "/data/logs",
        "root": "/data/feed",
        "serving": "/data/serving/dfei",
        "entry": DayEntry(day=DAY, status="refused", accepted=True),
        "carry": Carry(learned=learned, measured=["/figures"], progressive=["/judged"]),
        **changes,
    }
    return days.Day(**told)


def test_the_package_is_what_kubeflow_takes(daily_package: Compiled) -> None:
    json_format.ParseDict(
        daily_package.documents[1], pipeline_pb2.PlatformSpec(), ignore_unknown_fields=False
    )
    loaded = structures.ComponentSpec.from_yaml_documents(daily_package.path.read_text())
    assert set(loaded.inputs or {}) == {parameter.name for parameter in names.of_a_day()}
    assert {e.WhichOneof("spec") for e in daily_package.deployment.executors.values()} == {"container"}
    schedule = json.loads((daily_package.path.parent / "feed.recurring.json").read_text())
    assert (schedule["cron_expression"], schedule["max_concurrency"]) == ("0 30 5 * * *", 1)
    assert schedule["params"] == {
        "data_dir": "/data/logs",
        "root": "/data/feed",
        "push_destination": "/data/serving",
    }


def test_the_first_task_gets_the_parameters_and_every_other_the_day(daily_package: Compiled) -> None:
    reached: dict[str, set[str]] = {}
    for name, task in daily_package.tasks.items():
        for value in task.inputs.parameters.values():
            if value.WhichOneof("kind") == "component_input_parameter":
                reached.setdefault(value.component_input_parameter, set()).add(name)
        if name not in (names.RESOLVE, names.CLOSE):
            assert task.inputs.artifacts[names.DAY].task_output_artifact.producer_task == names.RESOLVE
    assert reached.pop("beam_args") == {*names.BEAM_TASKS, names.PROGRESSIVE}
    assert set(map(frozenset, reached.values())) == {frozenset({names.RESOLVE})}
    assert not daily_package.tasks[names.RESOLVE].caching_options.enable_cache


def test_what_a_gate_refuses_ends_all_that_would_learn_of_it(daily_package: Compiled) -> None:
    after = {names.AFTER + gate.lower() for gate in GATES}
    for name in (names.TRANSFORM, names.CANDIDATE, names.EVALUATOR, names.TRAINER, names.PUSHER):
        assert after <= set(daily_package.tasks[name].inputs.artifacts)
    blessing = daily_package.tasks[names.TRAINER].inputs.artifacts[names.NEEDS + "blessing"]
    assert blessing.task_output_artifact.producer_task == names.EVALUATOR
    assert set(daily_package.tasks[names.CLOSE].dependent_tasks) >= {names.PUSHER, names.TRAINER, *GATES}


def test_a_day_fills_in_what_was_compiled() -> None:
    day = _day()
    gates = {"declaration": "", "day": "", "baseline": "", "known": "", "accepted": 0, "code": "c"}
    told = days.apply(gates, day, "gates")
    assert (told["day"], told["baseline"], told["known"]) == (DAY, '["/figures"]', "/graph")
    assert (told["accepted"], told["code"]) == (1, "c")
    assert days.apply({"baseline": "", "drop": 0.0}, day, "")["baseline"] == '["/judged"]'
    config = {"declaration": "", "replay": [], "replay_share": 1.0, "continues": True, "calibrate": False}
    trained = json.loads(days.apply({"custom_config": json.dumps(config)}, day, "trainer")["custom_config"])
    assert trained["replay"] == [{"examples": "/rows", "transform_graph": "/graph"}]
    # No model is in service: all earlier days, whole.
    assert trained["replay_share"] == 1.0
    assert (trained["calibrate"], trained["learning_rate_scale"]) == (True, 0.5)
    assert Declaration.from_json(trained["declaration"]).model.name == "dfei"
    assert "0.123" in days.apply({"eval_config": "{}"}, day, "")["eval_config"]
    pushed = days.apply({"custom_config": "null", "push_destination": "{}"}, day, "")
    # The version says whose it is.
    assert json.loads(pushed["custom_config"]) == {"day": DAY, "root": "/data/feed"}
    assert json.loads(pushed["push_destination"])["filesystem"]["base_directory"] == "/data/serving/dfei"
    assert 'deviations\\": 3.0' in days.apply({"eval_config": "{}"}, day, "evaluation")["eval_config"]
    assert 'drop_deviations\\": 3.0' in days.apply({"eval_config": "{}"}, day, "evaluation")["eval_config"]
    # Chance is no excuse to be worse than a model that no day has made.
    judged = _day(carry=Carry(incumbent="/data/feed/served/7"))
    assert 'drop_deviations\\": 0.0' in days.apply({"eval_config": "{}"}, judged, "evaluation")["eval_config"]
    ingestion = json.loads(days.apply({"declaration": "", "data_dir": ""}, day, "ingestion")["declaration"])
    assert ingestion["impressions"]["files"] == ["part-4.csv"]


def _task(folder: Path, monkeypatch: pytest.MonkeyPatch, artifacts: dict[str, days.Absence | None]) -> Any:
    """The inputs of a task; what is absent says why."""
    monkeypatch.setenv(mounts.ROOT_VARIABLE, str(folder))
    found = pipeline_pb2.ExecutorInput()
    for name, absence in artifacts.items():
        address = f"minio://bucket/{name}"
        if absence is not None:
            days.write_absence(mounts.to_local(address), absence)
        elif name == names.DAY:
            days.write_day(mounts.to_local(address), _day())
        found.inputs.artifacts[name].artifacts.add().uri = address
    found.inputs.parameter_values[names.TASK].string_value = names.CANDIDATE
    found.inputs.parameter_values[names.OPTIONAL].string_value = "earlier_run"
    found.outputs.artifacts["model"].artifacts.add().uri = "minio://bucket/model"
    found.outputs.output_file = str(folder / "output.json")
    return found


@pytest.mark.parametrize(
    ("absent", "absence"),
    [
        ({}, None),
        ({"earlier_run": days.Absence()}, None),
        ({"runtime_after_progressivegate": days.Absence()}, None),
        ({"runtime_after_progressivegate": days.Absence(refused="data", reasons="why")}, "data"),
        ({"runtime_needs_state": days.Absence()}, ""),
        ({"examples": days.Absence()}, ""),
        ({names.DAY: days.Absence()}, ""),
    ],
)
def test_when_a_task_has_nothing_to_do(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    absent: dict[str, days.Absence],
    absence: str | None,
) -> None:
    inputs = (names.DAY, "examples", "earlier_run", "runtime_needs_state", "runtime_after_progressivegate")
    given = _task(tmp_path, monkeypatch, {**dict.fromkeys(inputs), **absent})
    told = days.take(given)
    assert told is not None
    assert set(given.inputs.artifacts) == {"examples", "earlier_run"}
    assert not given.inputs.parameter_values
    assert (told.absence.refused if told.absence is not None else None) == absence
    if told.absence is not None:
        days.leave_out(given, given.outputs.output_file, told.absence)
        [model] = json.loads((tmp_path / "output.json").read_text())["artifacts"]["model"]["artifacts"]
        assert (model["uri"], model["metadata"]) == ("minio://bucket/model", {"absent": 1.0})
        assert days.read_absence(mounts.to_local(model["uri"])) == told.absence


@pytest.mark.parametrize(("file", "trains"), [("BLESSED", True), (constants.NOT_BLESSED_FILE_NAME, False)])
def test_nothing_more_is_learned_of_a_day_whose_candidate_is_refused(
    file: str, trains: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needed = names.NEEDS + "blessing"
    given = _task(tmp_path, monkeypatch, dict.fromkeys((names.DAY, "examples", needed)))
    blessing = Path(mounts.to_local(given.inputs.artifacts[needed].artifacts[0].uri))
    blessing.mkdir(parents=True)
    (blessing / file).touch()
    told = days.take(given)
    assert told is not None
    assert (told.absence is None) == trains


def test_a_task_of_a_run_is_told_nothing() -> None:
    assert days.take(pipeline_pb2.ExecutorInput()) is None


def test_dates_in_the_names_of_files_are_the_feeds(tmp_path: Path) -> None:
    feed = load_declaration("simulated", ["impressions.files=['log-{data_day}.csv']"])
    properties, _ = overrides.apply(
        {"declaration": feed.to_json()}, {"view": "feed", "settings": "seed=3", "root": "/data/feed"}
    )
    told = Declaration.from_json(properties["declaration"])
    assert (told.impressions.files, told.seed) == (["log-{data_day}.csv"], 3)
    assert properties["root"] == "/data/feed"


def test_a_root_that_no_container_can_keep_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(mounts.ROOT_VARIABLE, str(tmp_path))
    with pytest.raises(InputError, match="a folder of a volume"):
        feed_root("minio://bucket/feed")
    with pytest.raises(InputError, match="root is empty"):
        feed_root("")
    with pytest.raises(InputError, match="--recurring"):
        check_request(request(tmp_path / "p.yaml", root="/data/feed"))
    with pytest.raises(InputError, match="--root feed"):
        check_request(request(tmp_path / "p.yaml", root="feed", recurring="30 5 * * *"))
