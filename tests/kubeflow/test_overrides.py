"""Runtime parameters as components get to see them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from components.dataset.declaration import SCHEMAS_DIR, Declaration
from components.dataset.loader import load_declaration
from components.dataset.schema import schema_text
from components.errors import InputError
from kubeflow import mounts, overrides
from kubeflow import runtime_parameters as names
from pipeline import views
from pipeline.request import declared


@pytest.fixture(scope="module")
def declaration() -> Declaration:
    """The simulated feed's."""
    return declared("simulated", [], None)


def _resolved(compiled: Declaration, /, **values: object) -> Declaration:
    text = overrides.resolve(views.for_trainer(compiled), "trainer", values)
    return Declaration.from_json(text)


def test_parameters_are_set_as_on_the_command_line(declaration: Declaration) -> None:
    resolved = _resolved(
        declaration,
        learning_rate=0.01,
        epochs=3.0,
        decay=0.8,
        model="mmoe",
        settings="training.batch_size=64",
    )
    expected = load_declaration(
        "simulated",
        [
            "training.learning_rate=0.01",
            "training.epochs=3",
            "model.decay=0.8",
            "training.batch_size=64",
            "model.name=mmoe",
        ],
    )
    assert resolved == Declaration.from_json(views.for_trainer(expected))


def test_free_settings_win_and_may_be_many(declaration: Declaration) -> None:
    resolved = _resolved(
        declaration, seed=1.0, settings="seed=7; model.layers=[32, 16]\n training.epochs=2 ;"
    )
    assert (resolved.seed, resolved.model.layers, resolved.training.epochs) == (7, [32, 16], 2)


def test_unchanged_parameters_leave_the_compiled_text(declaration: Declaration) -> None:
    for view in ("ingestion", "transform", "trainer", "signatures", "evaluation"):
        base = overrides.VIEWS[view](declaration)
        assert overrides.resolve(base, view, {"settings": "", "declaration": ""}) == base


def test_a_setting_of_another_task_changes_nothing(declaration: Declaration) -> None:
    base = views.for_ingestion(declaration)
    assert overrides.resolve(base, "ingestion", {"settings": "training.learning_rate=0.5"}) == base


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ({"settings": "training.epoch=3"}, "epochs"),
        ({"learning_rate": -1.0}, "learning_rate"),
        ({"model": "deepfm"}, "dfei"),
        ({"settings": "model.options.expert=6", "model": "mmoe"}, "There is: experts"),
        ({"settings": "model.options.experts=0", "model": "mmoe"}, "at least 1, got 0"),
        ({"declaration": "kuairand"}, "kuairand-pure"),
        ({"declaration": "/nowhere/mine.yaml"}, "/nowhere/mine.yaml"),
    ],
)
def test_wrong_parameters_are_named(declaration: Declaration, values: dict[str, object], word: str) -> None:
    with pytest.raises(InputError) as caught:
        _resolved(declaration, **values)
    assert word in str(caught.value)


def test_another_declaration_by_name_or_address(
    declaration: Declaration, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = overrides.resolve(
        views.for_ingestion(declaration), "ingestion", {"declaration": "kuairand-pure", "settings": ""}
    )
    assert json.loads(other)["name"] == "kuairand-pure"
    monkeypatch.setenv(mounts.ROOT_VARIABLE, str(tmp_path))
    folder = tmp_path / "gcs" / "bucket"
    folder.mkdir(parents=True)
    for suffix in ("yaml", "pbtxt"):
        shutil.copy(SCHEMAS_DIR / f"kuairand-pure.{suffix}", folder / f"mine.{suffix}")
    values = {"declaration": "gs://bucket/mine.yaml", "schema_text": "the compiled one"}
    assert json.loads(overrides.resolve("{}", "ingestion", values))["name"] == "kuairand-pure"
    properties, _ = overrides.apply({"schema_file": ""}, values)
    assert Path(properties["schema_file"]).read_text() == schema_text(load_declaration("kuairand-pure"))


def test_the_compiled_schema_becomes_a_file() -> None:
    properties, beam_args = overrides.apply(
        {"schema_file": ""}, {"schema_text": "feature {}", "declaration": ""}
    )
    assert Path(properties["schema_file"]).read_text() == "feature {}"
    assert beam_args == []


def test_the_folder_of_the_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "2024-05-05").mkdir()
    properties, _ = overrides.apply({"data_dir": ""}, {"data_dir": f"{tmp_path}/2024-05-05"})
    assert properties["data_dir"] == f"{tmp_path}/2024-05-05"
    with pytest.raises(InputError, match="mount the volume"):
        overrides.apply({}, {"data_dir": f"{tmp_path}/2024-05-06"})
    with pytest.raises(InputError, match="data_dir is empty"):
        overrides.apply({}, {"data_dir": ""})
    monkeypatch.setenv(mounts.ROOT_VARIABLE, str(tmp_path))
    (tmp_path / "gcs" / "logs").mkdir(parents=True)
    properties, _ = overrides.apply({}, {"data_dir": "gs://logs"})
    assert properties["data_dir"] == f"{tmp_path}/gcs/logs"


def test_the_destination_ends_with_the_model() -> None:
    properties, _ = overrides.apply({}, {"push_destination": "/serving/", "model": "mmoe"})
    assert json.loads(properties["push_destination"]) == {"filesystem": {"base_directory": "/serving/mmoe"}}


def test_beam_options_are_split_as_a_shell_does() -> None:
    _, beam_args = overrides.apply({}, {"beam_args": "--runner=FlinkRunner --flink_master='host:8081'"})
    assert beam_args == ["--runner=FlinkRunner", "--flink_master=host:8081"]


def test_thresholds_reach_the_evaluators_configuration(declaration: Declaration) -> None:
    values = {
        "view": "evaluation",
        "base_declaration": overrides.for_evaluation(declaration),
        "settings": "evaluation.thresholds.overall_auc.min=0.123",
    }
    properties, _ = overrides.apply({"eval_config": "{}"}, values)
    assert "0.123" in properties["eval_config"]


def test_what_may_be_auto_is_zero_for_kubeflow() -> None:
    declaration = declared("simulated", ["training.epochs=auto", "training.batch_size=auto"], None)
    for name in ("epochs", "batch_size"):
        parameter = names.by_name(name)
        assert parameter is not None and parameter.setting is not None
        assert names.declared_value(declaration, parameter.setting) == 0
    assert overrides.settings({"epochs": 0, "batch_size": 0.0, "seed": 0}) == [
        "seed=0",
        'training.batch_size="auto"',
        'training.epochs="auto"',
    ]
