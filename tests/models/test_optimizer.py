from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from models.optimizer import TwoRateOptimizer, assign_multipliers
from models.registry import build_model
from models.settings import ModelSettings
from tests.models.helpers import small_layout


def test_every_variable_gets_the_multiplier_of_its_one_pattern():
    names = ["m/embedding/table", "m/specific_head/kernel", "m/shared_tower/kernel"]
    assert assign_multipliers(names, [("specific_", 1.0), ("embedding|shared_", 0.25)]) == [0.25, 1.0, 0.25]


def test_leftovers_and_doubles_are_named():
    with pytest.raises(
        ValueError, match=r"no pattern matches \['b/bias'\].*several patterns match \['a/kernel'\]"
    ):
        assign_multipliers(["a/kernel", "b/bias", "c/table"], [("kernel", 1.0), ("a/", 1.0), ("table", 1.0)])


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"domain_extraction": False},
        {"domain_integration": False},
        {"common_base": True},
        {"common_base": True, "specific_rank": 1},
    ],
)
def test_the_roles_of_dfei_cover_it(change):
    model = build_model(small_layout(), ModelSettings(layers=[4], **change))
    scale = {"specific": 1.0, "shared": 0.25}
    pairs = [(pattern, scale[role]) for pattern, role in model.learning_rate_roles()]
    multipliers = TwoRateOptimizer(model.trainable_variables, pairs).multipliers()
    assert len(multipliers) == len(model.trainable_variables)
    for name, multiplier in multipliers.items():
        own = "specific_" in name and "base_" not in name
        assert multiplier == (1.0 if own else 0.25), name


def test_dense_steps_equal_two_separate_keras_adams():
    rng = np.random.default_rng(0)
    start = [rng.normal(size=s).astype(np.float32) for s in ((3, 4), (4,), (2, 3))]
    names = ["shared/a", "shared/b", "specific/c"]
    ours = [tf.Variable(value, name=name) for value, name in zip(start, names, strict=True)]
    theirs = [tf.Variable(value) for value in start]
    optimizer = TwoRateOptimizer(ours, [("^shared", 0.2), ("^specific", 1.0)], learning_rate=0.01)
    shared = keras.optimizers.Adam(0.002, jit_compile=False)
    specific = keras.optimizers.Adam(0.01, jit_compile=False)
    for _ in range(10):
        gradients = [tf.constant(rng.normal(size=v.shape), tf.float32) for v in ours]
        optimizer.apply(gradients)
        shared.apply_gradients(zip(gradients[:2], theirs[:2], strict=True))
        specific.apply_gradients([(gradients[2], theirs[2])])
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)


def lazy_adam(start: np.ndarray, steps: list[tuple[np.ndarray, np.ndarray]], rate: float) -> np.ndarray:
    """One Adam for each slice, which makes a step only when the slice is named."""
    w, m, s, t = start.astype(np.float64), np.zeros_like(start), np.zeros_like(start), np.zeros(len(start))
    for indices, values in steps:
        for i in set(indices.tolist()):
            g = values[indices == i].sum(0)
            t[i] += 1
            m[i] = 0.9 * m[i] + 0.1 * g
            s[i] = 0.999 * s[i] + 0.001 * g**2
            w[i] -= rate * np.sqrt(1 - 0.999 ** t[i]) / (1 - 0.9 ** t[i]) * m[i] / (np.sqrt(s[i]) + 1e-7)
    return w


@pytest.mark.parametrize("shape", [(6, 3), (6,), (6, 2, 3)])
def test_sparse_steps_equal_one_adam_per_slice(shape):
    rng = np.random.default_rng(1)
    start = rng.normal(size=shape).astype(np.float32)
    variable = tf.Variable(start, name="table")
    optimizer = TwoRateOptimizer([variable], [("table", 0.5)], learning_rate=0.02)
    steps = []
    for _ in range(10):
        indices = rng.integers(0, 5, 4)
        values = rng.normal(size=(4, *shape[1:])).astype(np.float32)
        steps.append((indices, values))
        optimizer.apply([tf.IndexedSlices(tf.constant(values), tf.constant(indices), tf.constant(shape))])
    np.testing.assert_allclose(variable, lazy_adam(start, steps, 0.01), rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(variable[5], start[5])


def test_slices_that_are_not_named_keep_their_slots():
    variable = tf.Variable(tf.ones([4, 2]), name="table")
    optimizer = TwoRateOptimizer([variable], [("table", 1.0)])
    for row in (1, 1, 3):
        optimizer.apply([tf.IndexedSlices(tf.ones([1, 2]), tf.constant([row]), tf.constant([4, 2]))])
    mean, square, steps = (
        next(v for v in optimizer.variables if v.name.endswith(f"{slot}:0"))
        for slot in ("mean", "square", "steps")
    )
    np.testing.assert_array_equal(steps, [0, 2, 0, 1])
    np.testing.assert_allclose(mean[:, 0], [0, 0.19, 0, 0.1], rtol=1e-6)
    np.testing.assert_allclose(square[:, 0], [0, 0.001999, 0, 0.001], rtol=1e-5)
    np.testing.assert_array_equal(variable[::2], tf.ones([2, 2]))


def test_sgd_is_the_gradient_times_the_rate():
    dense, table = tf.Variable([1.0, 2.0], name="dense"), tf.Variable(tf.zeros([3, 1]), name="table")
    optimizer = TwoRateOptimizer([dense, table], [("dense", 0.5), ("table", 1.0)], 0.1, rule="sgd")
    slices = tf.IndexedSlices(tf.constant([[1.0], [2.0], [4.0]]), tf.constant([2, 0, 2]), tf.constant([3, 1]))
    optimizer.apply([tf.constant([2.0, 4.0]), slices])
    np.testing.assert_allclose(dense, [0.9, 1.8])
    np.testing.assert_allclose(table[:, 0], [-0.2, 0, -0.5])


def test_state_is_restored_and_goes_on_as_if_never_stopped(tmp_path):
    def run(stop_at: int | None) -> np.ndarray:
        rng = np.random.default_rng(3)
        variables = [tf.Variable(tf.ones([3, 2]), name="table"), tf.Variable(tf.ones([2]), name="dense")]
        optimizer = TwoRateOptimizer(variables, [(".", 1.0)])
        for step in range(8):
            if step == stop_at:
                path = tf.train.Checkpoint(o=optimizer, v=variables).save(str(tmp_path / "c"))
                variables = [
                    tf.Variable(tf.zeros([3, 2]), name="table"),
                    tf.Variable(tf.zeros([2]), name="dense"),
                ]
                optimizer = TwoRateOptimizer(variables, [(".", 1.0)])
                tf.train.Checkpoint(o=optimizer, v=variables).restore(path).assert_consumed()
            values, dense = rng.normal(size=(2, 2)), rng.normal(size=2)
            slices = tf.IndexedSlices(
                tf.constant(values, tf.float32), tf.constant(rng.integers(0, 3, 2)), tf.constant([3, 2])
            )
            optimizer.apply([slices, tf.constant(dense, tf.float32)])
        return np.concatenate([variable.numpy().ravel() for variable in variables])

    np.testing.assert_array_equal(run(None), run(4))


def test_wrong_arguments_are_refused():
    variable = tf.Variable([1.0], name="a")
    with pytest.raises(ValueError, match="got 'adagrad'"):
        TwoRateOptimizer([variable], [(".", 1.0)], rule="adagrad")
    with pytest.raises(ValueError, match="2 gradients for 1 variables"):
        TwoRateOptimizer([variable], [(".", 1.0)]).apply([None, None])
    TwoRateOptimizer([variable], [(".", 1.0)]).apply([None])
    assert variable.numpy() == 1
