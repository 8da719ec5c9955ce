from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from models.layers.partitioned_norm import PartitionedNorm

RNG = np.random.default_rng(0)
X = RNG.normal(2, 3, (4, 5, 2)).astype(np.float32)
DOMAINS = tf.constant([2, 0, 2, 1])
MASK = np.ones((4, 5), np.float32)
MASK[2, 3:] = 0


def rows_of(d: int) -> np.ndarray:
    return X[(DOMAINS.numpy() == d)][MASK[DOMAINS.numpy() == d] > 0]


def test_by_hand():
    layer = PartitionedNorm(2, epsilon=0.0)
    x = tf.constant([[[1.0], [3.0], [100.0]], [[10.0], [10.0], [16.0]]])
    mask = tf.constant([[1.0, 1, 0], [1, 1, 1]])
    result = layer(x, tf.constant([1, 0]), mask, training=True).numpy()
    np.testing.assert_allclose(result[0, :2, 0], [-1, 1], rtol=1e-5)
    np.testing.assert_allclose(result[1, :, 0], np.array([-2, -2, 4]) / 8**0.5, rtol=1e-5)
    layer.gamma.assign([2.0])
    layer.specific_gamma.assign([[1.0], [5.0]])
    layer.beta.assign([0.5])
    layer.specific_beta.assign([[0.0], [0.25]])
    result = layer(x, tf.constant([1, 0]), mask, training=True).numpy()
    np.testing.assert_allclose(result[0, :2, 0], [-9.25, 10.75], rtol=1e-5)


def test_training_uses_the_batch_of_the_domain_pooled_over_its_groups():
    layer = PartitionedNorm(3)
    result = layer(X, DOMAINS, MASK, training=True).numpy()
    for g, d in enumerate(DOMAINS.numpy()):
        rows = rows_of(d)
        expected = (X[g] - rows.mean(0)) / np.sqrt(rows.var(0) + 1e-3)
        np.testing.assert_allclose(result[g], expected, rtol=1e-4, atol=1e-5)


def test_the_gradient_goes_through_the_statistics():
    layer = PartitionedNorm(1, epsilon=0.0)
    x = tf.constant(X[:1])
    with tf.GradientTape() as tape:
        tape.watch(x)
        total = tf.reduce_sum(layer(x, tf.constant([0]), tf.ones([1, 5]), training=True) * tf.range(2.0))
    np.testing.assert_allclose(tape.gradient(total, x), np.zeros((1, 5, 2)), atol=1e-5)


def test_inference_uses_the_moving_statistics_of_the_domain_alone():
    layer = PartitionedNorm(3, momentum=0.5)
    layer(X, DOMAINS, MASK, training=True)
    first = {d: rows_of(d) for d in range(3)}
    before = layer.get_weights()
    result = layer(X, DOMAINS, MASK).numpy()
    for g, d in enumerate(DOMAINS.numpy()):
        expected = (X[g] - first[d].mean(0)) / np.sqrt(first[d].var(0) + 1e-3)
        np.testing.assert_allclose(result[g], expected, rtol=1e-4, atol=1e-4)
    for state, same in zip(before, layer.get_weights(), strict=True):
        np.testing.assert_array_equal(state, same)
    second = RNG.normal(-1, 1, (1, 3, 2)).astype(np.float32)
    layer(second, tf.constant([2]), tf.ones([1, 3]), training=True)
    moving = layer.moving(tf.constant([2, 0]))
    rows = np.concatenate([first[2], second[0]])
    share = np.concatenate([np.full(len(first[2]), 0.5), np.ones(3)])[:, None]
    mean = (rows * share).sum(0) / share.sum()
    variance = (np.square(rows - mean) * share).sum(0) / share.sum()
    np.testing.assert_allclose(moving.mean[0], mean, rtol=1e-4)
    np.testing.assert_allclose(moving.variance[0], variance, rtol=1e-4)
    np.testing.assert_allclose(moving.mean[1], first[0].mean(0), rtol=1e-4)


def test_the_variance_is_right_when_rows_come_one_at_a_time():
    layer = PartitionedNorm(1, momentum=0.9999)
    values = RNG.normal(5, 2, (400, 1, 1, 1)).astype(np.float32)
    for value in values:
        layer(value, tf.constant([0]), tf.ones([1, 1]), training=True)
    moving = layer.moving(tf.constant([0]))
    np.testing.assert_allclose(moving.mean[0], values.mean(), rtol=0.01)
    np.testing.assert_allclose(moving.variance[0], values.var(), rtol=0.05)


def test_a_domain_without_rows_is_normalised_like_all_rows_together():
    layer = PartitionedNorm(4)
    nothing = layer(X, DOMAINS, MASK)
    np.testing.assert_allclose(nothing, X / np.sqrt(1.001), rtol=1e-5)
    layer(X, DOMAINS, MASK, training=True)
    moving = layer.moving(tf.constant([3]))
    np.testing.assert_allclose(moving.mean[0], X[MASK > 0].mean(0), rtol=1e-4)
    np.testing.assert_allclose(moving.variance[0], X[MASK > 0].var(0), rtol=1e-4)


def test_groups_of_nothing_but_padding_move_nothing():
    layer = PartitionedNorm(2)
    layer(X[:2], tf.constant([0, 1]), tf.ones([2, 5]), training=True)
    before = layer.rows.numpy()
    layer(X[:2], tf.constant([0, 1]), tf.constant([[0.0] * 5, [1.0] * 5]), training=True)
    np.testing.assert_allclose(layer.rows.numpy()[:, 0], [5, 0.99 * 5 + 5, 0.99 * 10 + 5], rtol=1e-6)
    assert before[0, 0] == 5


def test_momentum_outside_its_range_is_refused():
    with pytest.raises(ValueError, match="got 1"):
        PartitionedNorm(2, momentum=1)
