"""A day's training: what it begins with, what it refuses, what it leaves."""

from __future__ import annotations

import json

import numpy as np
import pytest

from components.dataset.loader import load_declaration
from components.errors import GateError, InputError
from components.trainer.inputs import TrainingInputs
from components.trainer.row_store import RowStore
from components.trainer.warm_start import Continuation, Continued, can_follow
from models.calibration import Calibration
from models.features import FeatureLayout
from models.prediction import Predictor
from models.registry import build_model
from models.training import train
from tests.models.helpers import learnable_rows, small_layout

SMALL = [
    "model.layers=[4]",
    "model.embedding_size=2",
    "model.head_hidden=2",
    "model.name=mlp",
    "training.batch_size=32",
]


def layout() -> FeatureLayout:
    return small_layout(2)


def graph(directory, users=tuple(f"u{n}" for n in range(8))):
    assets = directory / "transform_fn" / "assets"
    assets.mkdir(parents=True)
    lines = [f"user_id,{n},9,{user}" for n, user in enumerate(users, 1)]
    (assets / "vocabulary.csv").write_text("\n".join(["feature,id,count,value", *lines, ""]))
    return str(directory)


def inputs(rows: int = 400, seed: int = 0) -> TrainingInputs:
    learnable = learnable_rows(layout(), rows, seed=seed)
    columns = {
        "domain": learnable.domain.astype(np.int32),
        "day": np.zeros(rows, np.int32),
        "label": learnable.label,
        **{key: value.reshape(rows, -1) for key, value in learnable.rows.items()},
    }
    store = RowStore(columns, layout())
    tenth = np.arange(rows) % 10 == 0
    declaration = load_declaration("simulated", SMALL)
    return TrainingInputs(
        declaration, layout(), store, store.where(~tenth), store.where(tenth), transform_output=None
    )


def fit(asked: Continuation, given: TrainingInputs, work, leaves):
    continued = Continued(asked, given, graph(work), work)
    model = build_model(given.layout, given.declaration.model, seed=given.declaration.seed)
    train(
        model,
        continued.train_rows,
        continued.validation_rows,
        continued.settings,
        before=continued.before,
        after=continued.after,
    )
    leaves.mkdir()
    continued.write(leaves)
    return model, continued


@pytest.fixture(scope="module")
def first_day(tmp_path_factory):
    folder = tmp_path_factory.mktemp("first")
    model, _ = fit(Continuation(None), inputs(), folder / "work", folder / "run")
    return model, folder / "run"


def test_a_training_by_itself_is_none_of_this():
    assert Continuation.of({"declaration": "{}", "warm_start": ""}) is None
    asked = Continuation.of(
        {"continues": True, "warm_start": "", "replay": [{"examples": "e", "transform_graph": "g"}]}
    )
    assert asked is not None
    assert asked.warm_start is None
    assert asked.replay[0].transform_graph == "g"


def test_the_second_day_begins_where_the_first_ended_and_learns_on(first_day, tmp_path):
    model, run = first_day
    given = inputs(seed=1)
    before = Predictor(model).predict(given.rows)
    continued = Continued(Continuation(run), given, graph(tmp_path / "g"), tmp_path)
    second = build_model(given.layout, given.declaration.model, seed=99)
    seen = []

    def begin(model, optimizer):
        continued.before(model, optimizer)
        seen.append((Predictor(model).predict(given.rows), optimizer.steps_made()))

    train(second, continued.train_rows, None, continued.settings, before=begin, after=continued.after)
    np.testing.assert_allclose(seen[0][0], before, atol=1e-6)
    steps_before = json.loads((run / "weights.json").read_text())["steps"]
    assert seen[0][1] == steps_before > 0
    label = given.rows.label
    loss = [np.mean(np.logaddexp(0, z) - label * z) for z in (before, Predictor(second).predict(given.rows))]
    assert loss[1] < loss[0]


def test_a_day_is_learned_at_its_share_of_the_rate(first_day, tmp_path):
    _, run = first_day
    given = inputs(seed=1)
    declared = given.declaration.training.learning_rate
    warm = Continued(Continuation(run, learning_rate_scale=0.25), given, graph(tmp_path / "g"), tmp_path)
    assert warm.settings.learning_rate == pytest.approx(declared / 4)
    anew = Continued(Continuation(None, learning_rate_scale=0.25), given, str(tmp_path / "g"), tmp_path)
    assert anew.settings.learning_rate == declared


def test_the_calibration_learns_before_the_weights_and_goes_on(first_day, tmp_path):
    """The day's last training hands it on; without the setting there is none."""
    _, run = first_day
    given = inputs(seed=2)
    given.rows.label[:] = 1 - given.rows.label * (np.arange(400) % 3 > 0)
    _, continued = fit(Continuation(run, calibrate=True), given, tmp_path / "work", tmp_path / "run")
    written = Calibration.read(tmp_path / "run")
    assert written is not None
    assert not np.allclose(written.offset, 0)
    np.testing.assert_array_equal(written.offset, continued.calibration.offset)
    last = Continuation(tmp_path / "run", calibrate=True, last=True)
    _, finished = fit(last, given, tmp_path / "last work", tmp_path / "last")
    np.testing.assert_array_equal(finished.calibration.offset, written.offset)
    off = Continued(Continuation(tmp_path / "run"), given, graph(tmp_path / "g"), tmp_path)
    np.testing.assert_array_equal(off.calibration.offset, 0)
    np.testing.assert_array_equal(off.calibration.scale, 1)


def test_a_weight_that_moved_further_than_the_steps_explain_is_refused(first_day, tmp_path):
    _, run = first_day
    given = inputs(seed=3)
    continued = Continued(Continuation(run), given, graph(tmp_path / "g"), tmp_path)
    model = build_model(given.layout, given.declaration.model, seed=1)

    def broken(model, optimizer):
        model.trainable_variables[0].assign_add(np.full(model.trainable_variables[0].shape, 9.0, np.float32))
        continued.after(model, optimizer)

    with pytest.raises(GateError, match=r"moved by 9.* in \d+ steps, which can't move it by more than"):
        train(model, continued.train_rows, None, continued.settings, before=continued.before, after=broken)


def test_weights_that_cannot_be_read_or_followed_are_said(first_day, tmp_path):
    _, run = first_day
    given = inputs()
    assert can_follow(run, given.declaration) is None
    wider = load_declaration("simulated", [*SMALL, "model.layers=[8]"])
    assert "model.layers was [4] and is [8]" in (can_follow(run, wider) or "")
    assert "can't be read" in (can_follow(tmp_path, given.declaration) or "")
    (tmp_path / "weights.json").write_text((run / "weights.json").read_text())
    (tmp_path / "weights.npz").write_bytes((run / "weights.npz").read_bytes()[:99])
    with pytest.raises(InputError, match="rebase"):
        Continued(Continuation(tmp_path), given, graph(tmp_path / "g"), tmp_path)
