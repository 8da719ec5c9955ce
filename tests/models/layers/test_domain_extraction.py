from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from models.layers import DomainFeatureExtraction


def take_in(layer, u, domains, weights=None, training=True):
    u = tf.constant(u, tf.float32)
    weights = tf.ones(u.shape[:2]) if weights is None else tf.constant(weights, tf.float32)
    return layer(u, tf.constant(domains), weights, training=training)


def test_the_first_batch_sets_and_later_ones_move_with_the_decay():
    layer = DomainFeatureExtraction(3, decay=0.75, full_rows=1)
    first = take_in(layer, [[[1.0, 2.0], [3.0, 6.0]]], [1])
    np.testing.assert_array_equal(first.own, [[2.0, 4.0]])
    second = take_in(layer, [[[6.0, 0.0], [6.0, 0.0]]], [1])
    np.testing.assert_array_equal(second.own, [[0.75 * 2 + 0.25 * 6, 0.75 * 4]])
    np.testing.assert_array_equal(layer.state, [[0, 0], [3, 3], [0, 0]])
    np.testing.assert_array_equal(layer.seen, [0, 1, 0])
    np.testing.assert_array_equal(second.table, layer.state)


def test_padding_does_not_count_and_a_group_of_padding_moves_nothing():
    layer = DomainFeatureExtraction(2, decay=0.5, full_rows=1)
    take_in(layer, [[[1.0], [99.0]], [[7.0], [7.0]]], [0, 1], [[1, 0], [0, 0]])
    np.testing.assert_array_equal(layer.state, [[1], [0]])
    np.testing.assert_array_equal(layer.seen, [1, 0])
    take_in(layer, [[[5.0], [5.0]]], [0], [[0, 0]])
    np.testing.assert_array_equal(layer.state, [[1], [0]])


def test_groups_of_one_domain_are_one_batch():
    layer = DomainFeatureExtraction(4, decay=0.5, full_rows=1)
    u = [[[1.0], [2.0]], [[10.0], [20.0]], [[6.0], [99.0]]]
    features = take_in(layer, u, [3, 0, 3], [[1, 1], [1, 1], [1, 0]])
    np.testing.assert_array_equal(features.own, [[3], [15], [3]])
    np.testing.assert_array_equal(layer.state, [[15], [0], [0], [3]])


@pytest.mark.parametrize("full_rows", [1, 8])
def test_many_steps_against_numpy(full_rows):
    rng = np.random.default_rng(0)
    layer = DomainFeatureExtraction(6, decay=0.9, full_rows=full_rows)
    state: dict[int, np.ndarray] = {}
    step = tf.function(lambda u, d, w: layer(u, d, w, training=True).table, autograph=False)
    for _ in range(30):
        u = rng.normal(size=(4, 5, 3)).astype(np.float32)
        domains = rng.integers(0, 5, 4).astype(np.int32)
        weights = rng.integers(0, 2, (4, 5)).astype(np.float32)
        table = step(u, domains, weights)
        for d in set(domains):
            batch = u[domains == d][weights[domains == d] > 0]
            if len(batch):
                a = 0.9 ** min(len(batch) / full_rows, 1)
                state[d] = a * state[d] + (1 - a) * batch.mean(0) if d in state else batch.mean(0)
        for d, v in state.items():
            np.testing.assert_allclose(table[d], v, rtol=1e-4, atol=1e-6)
    assert 5 not in state
    np.testing.assert_array_equal(layer.seen, [1, 1, 1, 1, 1, 0])


def test_frozen_at_inference_and_unseen_domains_have_the_mean_of_the_seen():
    layer = DomainFeatureExtraction(3)
    take_in(layer, [[[2.0]], [[4.0]]], [0, 2])
    before = layer.get_weights()
    features = take_in(layer, [[[50.0]], [[60.0]]], [1, 2], training=False)
    np.testing.assert_array_equal(features.own, [[3], [4]])
    np.testing.assert_array_equal(features.table, [[2], [3], [4]])
    for was, now in zip(before, layer.get_weights(), strict=True):
        np.testing.assert_array_equal(was, now)


def test_nothing_seen_is_zero_not_nan():
    features = take_in(DomainFeatureExtraction(2), [[[5.0]]], [1], training=False)
    np.testing.assert_array_equal(features.table, [[0], [0]])


def test_gradient_reaches_the_tower_through_the_batch_mean_once():
    layer = DomainFeatureExtraction(2, decay=0.75, full_rows=1)
    u = tf.Variable([[[1.0], [2.0]], [[3.0], [4.0]]])
    for share in (1.0, 0.25):
        with tf.GradientTape() as tape:
            features = layer(u, tf.constant([1, 1]), tf.ones([2, 2]), training=True)
            total = tf.reduce_sum(features.own[:1])
        np.testing.assert_allclose(tape.gradient(total, u), np.full((2, 2, 1), share / 4))


def test_the_state_is_saved_and_restored(tmp_path):
    layer = DomainFeatureExtraction(2)
    take_in(layer, [[[2.0]]], [1])
    path = tf.train.Checkpoint(layer=layer).save(str(tmp_path / "c"))
    other = DomainFeatureExtraction(2)
    other.build((None, None, 1))
    tf.train.Checkpoint(layer=other).restore(path).assert_consumed()
    np.testing.assert_array_equal(other.state, [[0], [2]])
    np.testing.assert_array_equal(other.seen, [0, 1])
    assert other.trainable_variables == []


def test_the_released_codes_defect_can_be_had():
    layer = DomainFeatureExtraction(2, decay=0.9, full_rows=1, frozen_random=True)
    layer.build((None, None, 1))
    noise = layer.state.numpy()
    features = take_in(layer, [[[10.0]]], [1])
    np.testing.assert_allclose(features.own, 0.9 * noise[1:] + 1.0, rtol=1e-6)
    np.testing.assert_array_equal(layer.state, noise)
    np.testing.assert_array_equal(take_in(layer, [[[10.0]]], [1], training=False).own, noise[1:])


@pytest.mark.parametrize(
    "wrong", [{"domains": 0}, {"domains": 2, "decay": 1.0}, {"domains": 2, "decay": -0.1}]
)
def test_wrong_arguments_are_refused(wrong):
    with pytest.raises(ValueError, match="must be"):
        DomainFeatureExtraction(**wrong)
