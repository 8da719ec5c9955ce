"""TFX's Transform, one day after another, each from the state that the day before left."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_transform as tft
from tfx.types import channel_utils, standard_artifacts

from components.errors import InputError
from components.trainer.raw_inputs import RawInputs
from components.transform.applied import TransformGraph
from components.transform.component import BehaviourStateArtifact, StatefulTransform
from components.transform.row_layout import read_layout
from components.transform.serving_graph import keep_newest
from components.transform.state import read_state
from tests.components.transform import direct, helpers
from tests.components.transform.strategies import DAY
from tests.components.transform.test_state import assert_same_state

DECLARED = helpers.declaration(
    moving_average={"keys": [["user"], ["item"], ["user", "domain"]], "decay": 0.7, "history": True}
)
ROWS: list[dict[str, Any]] = [
    {
        "tab": n % 3 + n // 80,
        "user": n * 7 % 5,
        "item": "abc"[n % 3],
        "tag": ["x"],
        "age": float(n),
        "fans": float(n),
        "height": float(n % 9),
        "share": 0.5,
        "click": n % 2,
        "behaviour.click": float(n % 2),
        "behaviour.like": None if n % 4 else 1.0,
        "local_time_ms": (19_000 + n // 40) * DAY + n % 40 * (DAY // 40),
    }
    for n in range(120)
]


@pytest.fixture(scope="module")
def days(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The folders of three days, of which the last quarter is split `eval`."""
    folders: list[Path] = []
    types = DECLARED.example_columns()
    for day in range(3):
        rows = [helpers.encode(row, types) for row in ROWS[40 * day : 40 * day + 40]]
        folder = tmp_path_factory.mktemp("day")
        prior = folders[-1] / "state" if folders else None
        helpers.run_transform(folder, DECLARED, [rows[:30]], [rows[30:]], prior=prior, one_day=True)
        folders.append(folder)
    return folders


def test_rows_see_the_state_before_their_day(days: list[Path]) -> None:
    for day, folder in enumerate(days):
        layout = read_layout(folder / "graph", DECLARED)
        until = ROWS[: 40 * day + 40]
        graph = direct.look_up(DECLARED, direct.analyse(DECLARED, until), until[40 * day :])
        averages, history = (values.numpy() for values in graph.averages())
        ids = graph.vocabulary_ids().numpy()
        for split, rows in (("train", slice(0, 30)), ("eval", slice(30, 40))):
            found = helpers.read_split(folder, split)
            order = np.argsort(found["numeric"][:, layout.numeric.index("age")], kind="stable")
            np.testing.assert_allclose(found["averages"][order], averages[rows], atol=1e-4)
            np.testing.assert_allclose(found["history"][order], history[rows], atol=1e-4)
            assert (found["categorical"][order][:, : ids.shape[1] - 1] == ids[rows, :-1]).all()
        assert not averages.any() if day == 0 else averages.any()


def test_the_state_is_that_of_one_pass_and_says_what_it_is(days: list[Path]) -> None:
    assert_same_state(read_state(str(days[-1] / "state")), direct.analyse(DECLARED, ROWS).state)
    said = json.loads((days[-1] / "state" / "state.json").read_text())
    assert said["until"] == "2022-01-10 23:24"
    assert sum(said["domains"].values()) == len(ROWS)
    assert {entry["key"]: entry["values"] for entry in said["average_keys"]} == {
        "user": 5,
        "item": 3,
        "user_x_domain": 20,
    }


def test_a_day_from_a_state_of_another_declaration_is_refused(days: list[Path], tmp_path: Path) -> None:
    other = direct.with_settings(DECLARED, decay=0.9)
    rows = [helpers.encode(row, other.example_columns()) for row in ROWS[80:]]
    with pytest.raises(Exception, match=r"moving_average.decay was 0.7 and is 0.9") as raised:
        helpers.run_transform(tmp_path, other, [rows], [rows], prior=days[1] / "state", one_day=True)
    assert isinstance(raised.value, InputError) or "InputError" in str(raised.value) + repr(raised.value)


def test_the_component_keeps_tfx_s_name_and_takes_a_state() -> None:
    channels = {
        "examples": channel_utils.as_channel([standard_artifacts.Examples()]),
        "schema": channel_utils.as_channel([standard_artifacts.Schema()]),
    }
    first = StatefulTransform(**channels, declaration="{}", code="1", one_day=True)
    later = StatefulTransform(
        **channels, declaration="{}", code="1", one_day=True, prior_state=first.outputs["state"]
    )
    assert first.id == "Transform"
    assert set(later.inputs) == {"examples", "schema", "prior_state"}
    assert later.outputs["state"].type is BehaviourStateArtifact
    assert "state" not in later.exec_properties["custom_config"].replace("declaration", "")


def test_an_exported_graph_can_forget_the_past_and_serves_the_same(days: list[Path], tmp_path: Path) -> None:
    raw = RawInputs(DECLARED, tft.TFTransformOutput(str(days[2] / "graph")).raw_feature_spec())
    asked = {
        feature.name: tf.constant([row[feature.name] for row in ROWS[::7]], feature.dtype)
        if feature.separator is None
        else tf.constant(["x"] * len(ROWS[::7]))
        for feature in raw.features
    }

    class Served(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.transform = TransformGraph(tft.TFTransformOutput(str(days[2] / "graph")))
            self.ask = tf.function(self.transform, input_signature=[raw.specs()], autograph=False)

    whole, newest = Served(), Served()
    keys = direct.analyse(DECLARED, ROWS).keys.keys
    # Five users, three items and five users in two domains had rows both before the day and in it.
    assert keep_newest(newest.transform) == 5 + 3 + 5 * 2
    assert keep_newest(newest.transform) == 0
    folders = [tmp_path / "whole", tmp_path / "newest"]
    answers = []
    for served, folder in zip((whole, newest), folders, strict=True):
        tf.saved_model.save(served, str(folder))
        loaded = tf.saved_model.load(str(folder))
        answers.append(loaded.ask(raw.from_named(asked)))
    for name, values in answers[0].items():
        np.testing.assert_array_equal(values, answers[1][name], err_msg=name)
    assert answers[0]["averages"].numpy().any()
    shapes = dict(tf.train.list_variables(str(folders[1] / "variables" / "variables")))
    [entries] = {tuple(shape) for name, shape in shapes.items() if "key_buckets" in name}
    assert entries == (keys,)
