"""The exported SavedModel: the same scores through every signature, and requests that leave features out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_transform as tft

from components.baseline.target import read_target
from components.evaluator.scoring import SIGNATURE
from components.trainer import export
from components.transform.row_layout import read_layout
from components.version_notes import read_domains, read_lists, read_written
from models.calibration import Calibration
from models.prediction import Predictor
from models.registry import build_model
from models.rows import ArrayRows
from pipeline.serving.errors import RequestError
from pipeline.serving.saved_model import LoadedModel
from pipeline.serving.warmup import warm_up
from tests.components.transform import helpers
from tests.models.helpers import off_zero

DECLARED = helpers.declaration(
    moving_average={
        "keys": [["user"], ["item"], ["user", "domain"]],
        "history": ["user", "item"],
        "history_behaviours": ["click"],
    },
    model={"history": "both", "common_base": True, "layers": [16, 8]},
)
MISSING = {"int": -1, "float": np.nan, "string": b""}
DTYPES = {"int": np.int64, "float": np.float32, "string": object}


def _rows(count: int, chance: np.random.Generator) -> list[dict[str, Any]]:
    return [
        {
            "tab": int(chance.integers(0, 4)),
            "user": int(chance.integers(0, 6)),
            "item": f"i{chance.integers(0, 9)}",
            "tag": [f"t{tag}" for tag in chance.integers(0, 5, chance.integers(0, 4))],
            "age": None if number % 7 == 0 else float(chance.normal()),
            "fans": float(chance.random() * 100),
            "height": float(chance.random()),
            "share": float(chance.random()),
            "click": int(chance.integers(0, 2)),
            "behaviour.click": float(chance.integers(0, 2)),
            "behaviour.like": float(chance.integers(0, 2)),
            "local_time_ms": 86_400_000 * (number // 50),
        }
        for number in range(count)
    ]


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real Transform graph."""
    types = DECLARED.example_columns()
    records = [helpers.encode(row, types) for row in _rows(200, np.random.default_rng(1))]
    return helpers.run_transform(tmp_path_factory.mktemp("graph"), DECLARED, [records[:150]], [records[150:]])


@pytest.fixture(scope="module")
def served(graph: Path) -> export.ServedModel:
    """An untrained model with a calibration that is another for each domain and for unknown ones."""
    layout = read_layout(graph, DECLARED)
    model = build_model(layout, DECLARED.model, seed=1)
    off_zero(model)
    names = layout.domains
    calibration = Calibration(names, 1 + np.arange(len(names)) / 10, np.arange(len(names)) / 5, (2.0, -1.0))
    return export.ServedModel(model, tft.TFTransformOutput(str(graph)), layout, DECLARED, calibration)


@pytest.fixture(scope="module")
def saved(served: export.ServedModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export") / "model"
    export.save(served, folder)
    return folder


@pytest.fixture(scope="module")
def model(saved: Path) -> LoadedModel:
    return LoadedModel(saved)


def test_an_export_says_what_it_predicts(saved: Path) -> None:
    assert read_target(str(saved)) == {"label": "click", "positive": None, "domain": "tab"}
    noted = read_domains(saved)
    assert noted is not None
    assert (noted[0], set(noted[1])) == ("tab", set("0123"))
    lists = {
        name: feature for name, feature in DECLARED.features.items() if feature.separator or feature.list
    }
    assert read_lists(saved) == {name: feature.separator or "" for name, feature in lists.items()} != {}


def test_an_export_says_how_its_logs_write_numbers(
    served: export.ServedModel, saved: Path, tmp_path: Path
) -> None:
    assert read_written(saved) == {}
    plain = served.declaration
    fans = plain.features["fans"].model_copy(update={"written": "comma"})
    served.declaration = plain.model_copy(update={"features": {**plain.features, "fans": fans}})
    try:
        export._write_names(served, tmp_path)
    finally:
        served.declaration = plain
    assert read_written(tmp_path) == {"fans": "comma"}


def test_what_is_judged_alone_has_the_evaluators_signature_and_scores_the_same(
    served: export.ServedModel, model: LoadedModel, tmp_path: Path
) -> None:
    export.save_for_evaluation(served, tmp_path / "model")
    judged = tf.saved_model.load(str(tmp_path / "model"))
    assert list(judged.signatures) == [SIGNATURE]
    assert not (tmp_path / "model/assets.extra/tf_serving_warmup_requests").exists()
    types = DECLARED.example_columns()
    serialized = np.array([helpers.encode(row, types) for row in _rows(20, np.random.default_rng(3))], object)
    [scores] = judged.signatures[SIGNATURE](examples=tf.constant(serialized)).values()
    np.testing.assert_array_equal(scores, _ask(model, SIGNATURE, {"examples": serialized}))


def _ask(model: LoadedModel, signature: str, inputs: dict[str, np.ndarray]) -> np.ndarray:
    asked = model.signature(signature)
    asked.check(inputs)
    return model.run(asked, asked.complete(inputs))["click_probability"]


def _columns(rows: list[dict[str, Any]]) -> dict[str, np.ndarray]:
    """Named tensors as a caller would send them."""
    columns = {}
    for name, kind in DECLARED.serving_columns().items():
        values = [row[name] for row in rows]
        if name == "tag":
            values = [",".join(tags) for tags in values]
        values = [MISSING[kind] if value is None else value for value in values]
        columns[name] = np.array([v.encode() if isinstance(v, str) else v for v in values], DTYPES[kind])
    return columns


def test_every_candidate_in_every_domain_scores_as_a_row_of_its_own(model: LoadedModel) -> None:
    users, items, domains = 2, 5, np.array([[3, 0, 77], [1, 2, 0]])
    columns = _columns(_rows(users * items, np.random.default_rng(2)))
    request = {
        name: column[:users, None] if name in ("user", "age") else column.reshape(users, items)
        for name, column in columns.items()
    }
    ranked = _ask(model, "rank", {**request, "tab": domains})
    assert ranked.shape == (2, 3, 5)
    for user in range(users):
        for place, domain in enumerate(domains[user]):
            row = {
                name: np.repeat(value[user], items) if value.shape[1] == 1 else value[user]
                for name, value in request.items()
            }
            row["tab"] = np.full(items, domain)
            np.testing.assert_allclose(ranked[user, place], _ask(model, "serving_default", row), atol=1e-6)


def test_an_unknown_domain_is_told_what_training_would_tell_and_corrected_as_all_are(
    model: LoadedModel, served: export.ServedModel
) -> None:
    columns = _columns(_rows(6, np.random.default_rng(9)))
    columns["tab"][:] = [77, 0, 78, 1, 77, 2]
    raw = served._inputs.from_named({name: tf.constant(column) for name, column in columns.items()})
    rows, domain = served._transformed(raw)
    count = served.model.domain_count
    assert (domain.numpy() == count).tolist() == [True, False, True, False, True, False]
    source = ArrayRows({key: value.numpy() for key, value in rows.items()}, domain.numpy(), np.zeros(6))
    logit = Predictor(served.model).predict(source)
    scale = np.append(1 + np.arange(count) / 10, 2.0)[domain.numpy()]
    offset = np.append(np.arange(count) / 5, -1.0)[domain.numpy()]
    found = _ask(model, "serving_default", columns)
    np.testing.assert_allclose(found, 1 / (1 + np.exp(-scale * logit - offset)), atol=1e-6)


def test_an_explanation_tells_what_a_domain_resembles(model: LoadedModel) -> None:
    columns = _columns(_rows(2, np.random.default_rng(9)))
    columns["tab"][:] = [1, 77]
    asked = model.signature("explain")
    told = model.run(asked, asked.complete(columns))
    np.testing.assert_allclose(told["weights"].sum(1), 1, rtol=1e-5)
    assert told["resemblance"].shape == told["weights"].shape
    # Nothing was trained here: no domain has a feature. Domain 1 has averages, the unknown one has not.
    np.testing.assert_allclose(told["resemblance"][0], told["weights"][0], rtol=1e-5)
    np.testing.assert_array_equal(told["resemblance"][1], 0)


def test_examples_score_as_named_features(model: LoadedModel) -> None:
    rows = _rows(40, np.random.default_rng(3))
    types = DECLARED.example_columns()
    serialized = np.array([helpers.encode(row, types) for row in rows], object)
    named = _ask(model, "serving_default", _columns(rows))
    np.testing.assert_allclose(_ask(model, "examples", {"examples": serialized}), named, atol=1e-6)
    assert named.std() > 0


@pytest.mark.parametrize("signature", ["serving_default", "rank"])
def test_a_feature_that_is_left_out_is_missing(model: LoadedModel, signature: str) -> None:
    columns = _columns(_rows(6, np.random.default_rng(4)))
    if signature == "rank":
        columns = {name: column[None] for name, column in columns.items()}
    for name, kind in DECLARED.serving_columns().items():
        rest = {other: column for other, column in columns.items() if other != name}
        if name == DECLARED.domain:
            with pytest.raises(RequestError, match="Missing: tab"):
                _ask(model, signature, rest)
        else:
            spelt_out = {**rest, name: np.full_like(columns[name], MISSING[kind])}
            np.testing.assert_array_equal(_ask(model, signature, rest), _ask(model, signature, spelt_out))
    alone = _ask(model, signature, {"tab": columns["tab"]})
    everything = {
        name: np.full(columns[name].shape, MISSING[kind], DTYPES[kind])
        for name, kind in DECLARED.serving_columns().items()
    }
    spelt_out = _ask(model, signature, {**everything, "tab": columns["tab"]})
    np.testing.assert_allclose(alone, spelt_out[..., :1] if signature == "rank" else spelt_out, atol=1e-6)


def test_a_wrong_number_of_values_names_the_input(model: LoadedModel) -> None:
    columns = _columns(_rows(4, np.random.default_rng(5)))
    with pytest.raises(RequestError, match="input item has 3 values, expected 1 or 4") as caught:
        _ask(model, "serving_default", {**columns, "item": columns["item"][:3]})
    assert caught.value.code.name == "INVALID_ARGUMENT"
    ranking = {name: column[None] for name, column in columns.items()}
    with pytest.raises(RequestError, match="input item has 3 candidates, expected 1 or 4"):
        _ask(model, "rank", {**ranking, "item": ranking["item"][:, :3]})
    two = {name: np.repeat(value, 3, axis=0) for name, value in ranking.items()}
    with pytest.raises(RequestError, match="input user has 2 requests, expected 1 or 3"):
        _ask(model, "rank", {**two, "user": two["user"][:2]})


def test_requests_without_rows(model: LoadedModel) -> None:
    columns = {name: column[:0] for name, column in _columns(_rows(1, np.random.default_rng(6))).items()}
    assert _ask(model, "serving_default", columns).shape == (0,)
    ranking = {name: column[None] for name, column in columns.items()}
    assert _ask(model, "rank", {**ranking, "tab": np.array([[0, 1]])}).shape == (1, 2, 0)


def test_warm_up_requests_are_answered_by_every_named_signature(model: LoadedModel, saved: Path) -> None:
    asked: set[str] = set()
    run = model.run

    def watch(signature: Any, inputs: Any) -> dict[str, np.ndarray]:
        asked.add(signature.name)
        return run(signature, inputs)

    model.run = watch  # type: ignore[method-assign]
    try:
        assert warm_up(model, saved) == 9
    finally:
        model.run = run  # type: ignore[method-assign]
    assert asked == {"serving_default", "rank", "explain"}
