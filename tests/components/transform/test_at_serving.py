"""A feature that no request carries: learned from as it was logged, fixed in evaluation and serving."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_transform as tft
from pydantic import ValidationError

from components.dataset.declaration import Declaration
from components.trainer.raw_inputs import RawInputs, request_features
from tests.components.transform import helpers

DAY_MS = 86_400_000
BASE = helpers.declaration().features


def declared(**at_serving: Any) -> Declaration:
    features = {name: feature.model_dump() for name, feature in BASE.items()}
    for name, value in at_serving.items():
        features[name]["at_serving"] = value
    return helpers.declaration(features=features)


DECLARED = declared(share=0.25, age=40.0)


def rows(count: int, day: int) -> list[dict[str, Any]]:
    chance = np.random.default_rng(day)
    return [
        {
            "tab": int(chance.integers(0, 3)),
            "user": int(chance.integers(0, 6)),
            "item": f"i{chance.integers(0, 9)}",
            "tag": ["t1"],
            "age": None if number % 3 == 0 else float(20 + number % 7),
            "fans": 1.0,
            "height": 2.0,
            "share": float(chance.random()),
            "click": number % 2,
            "behaviour.click": float(number % 2),
            "behaviour.like": 0.0,
            "local_time_ms": day * DAY_MS + number,
        }
        for number in range(count)
    ]


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    types = DECLARED.example_columns()
    train, later = ([helpers.encode(row, types) for row in rows(60, day)] for day in (1, 2))
    return helpers.run_transform(tmp_path_factory.mktemp("fixed"), DECLARED, [train], [later])


def transformed(graph: Path, given: list[dict[str, Any]]) -> dict[str, np.ndarray]:
    output = tft.TFTransformOutput(str(graph))
    types = DECLARED.example_columns()
    parsed = tf.io.parse_example([helpers.encode(row, types) for row in given], output.raw_feature_spec())
    return {name: value.numpy() for name, value in output.transform_features_layer()(parsed).items()}


def test_rows_of_training_keep_what_was_logged(graph: Path) -> None:
    logged = rows(60, day=1)
    found = transformed(graph, logged)["numeric"]
    np.testing.assert_allclose(found[:, -1], [row["share"] for row in logged], rtol=1e-6)
    assert len(np.unique(found[:, 0])) > 5


def test_later_rows_are_seen_as_a_server_sees_them(graph: Path) -> None:
    found = transformed(graph, rows(30, day=2))["numeric"]
    assert (found[:, -1] == 0.25).all()
    # Of all rows, those without a value too.
    assert len(np.unique(found[:, 0])) == 1
    assert found[0, 0] != 0


def test_the_rows_that_were_written_are_these(graph: Path) -> None:
    train, later = (helpers.read_split(graph.parent, split)["numeric"] for split in ("train", "eval"))
    assert len(np.unique(train[:, -1])) > 50
    assert (later[:, -1] == 0.25).all()


def test_no_request_carries_it_and_what_an_example_says_of_it_does_not_count(graph: Path) -> None:
    names = [feature.name for feature in request_features(DECLARED)]
    assert not {"share", "age"} & set(names)
    inputs = RawInputs(DECLARED, tft.TFTransformOutput(str(graph)).raw_feature_spec())
    types = DECLARED.example_columns()
    read = inputs.from_examples(tf.constant([helpers.encode(row, types) for row in rows(4, day=1)]))
    assert tf.sparse.to_dense(read["share"]).numpy().ravel().tolist() == [0.25] * 4
    flat = {
        f.name: tf.constant([0 if f.dtype == tf.int64 else ""] * 3, f.dtype)
        for f in inputs.features
        if f.dtype != tf.float32
    }
    flat |= {f.name: tf.constant([0.0] * 3) for f in inputs.features if f.dtype == tf.float32}
    raw = inputs.from_flat(flat)
    assert tf.sparse.to_dense(raw["age"]).numpy().ravel().tolist() == [40.0] * 3


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("share", "first", "at_serving 'first' is no float"),
        ("tag", "t1", "at_serving is for single values"),
        ("user", 7, "user is the user: every request carries it"),
        ("tab", 1, "tab is the domain: every request carries it"),
    ],
)
def test_what_does_not_fit_is_refused(name: str, value: Any, told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        declared(**{name: value})
