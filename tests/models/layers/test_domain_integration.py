from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from models.layers import DomainFeatureIntegration, OwnFeatures, attend


def built(size: int, inputs: int, width: int) -> DomainFeatureIntegration:
    layer = DomainFeatureIntegration(size, width)
    layer(tf.zeros([1, 1, inputs]), tf.zeros([2, width]), tf.ones([2]))
    return layer


def test_by_hand():
    layer = built(1, 1, 1)
    layer.value.assign([[10.0]])
    layer.query.assign([[1.0]])
    layer.key.assign([[1.0]])
    table = tf.constant([[0.0], [np.log(3.0)]], tf.float32)
    x = tf.constant([[[1.0], [0.0]]])
    np.testing.assert_allclose(
        layer.weights_over_domains(x, table, tf.ones([2])), [[[0.25, 0.75], [0.5, 0.5]]], rtol=1e-6
    )
    np.testing.assert_allclose(
        layer(x, table, tf.ones([2]))[0, :, 0], [7.5 * np.log(3.0), 5 * np.log(3.0)], rtol=1e-6
    )


def test_against_numpy():
    rng = np.random.default_rng(0)
    layer = built(4, 5, 3)
    x, table = rng.normal(size=(2, 6, 5)).astype(np.float32), rng.normal(size=(7, 3)).astype(np.float32)
    seen = np.array([1, 1, 0, 1, 1, 0, 1], np.float32)
    scores = (x @ layer.query.numpy()) @ (table @ layer.key.numpy()).T / 2.0
    weights = np.where(seen > 0, np.exp(scores), 0)
    weights /= weights.sum(-1, keepdims=True)
    np.testing.assert_allclose(layer.weights_over_domains(x, table, seen), weights, rtol=1e-4, atol=1e-6)
    expected = weights @ (table @ layer.value.numpy())
    np.testing.assert_allclose(layer(x, table, seen), expected, rtol=1e-4, atol=1e-5)


def test_unseen_domains_weigh_nothing_and_none_seen_weigh_the_same():
    layer = built(2, 2, 2)
    x, table = tf.ones([1, 1, 2]), tf.constant([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    weights = layer.weights_over_domains(x, table, tf.constant([1.0, 0.0, 1.0])).numpy()
    assert weights[0, 0, 1] == 0
    assert weights.sum() == pytest.approx(1)
    np.testing.assert_allclose(
        layer.weights_over_domains(x, table, tf.zeros([3])), [[[1 / 3] * 3]], rtol=1e-6
    )


def softmax_attention(query: tf.Tensor, keys: tf.Tensor, seen: tf.Tensor) -> tf.Tensor:
    weights = tf.nn.softmax(tf.matmul(query, keys, transpose_b=True) + (1 - seen) * -1e9)
    return tf.matmul(weights, keys)


RNG = np.random.default_rng(1)
QUERY, TABLE = RNG.normal(size=(3, 6, 4)), RNG.normal(size=(5, 4))
SEEN, UPSTREAM = np.array([1.0, 1, 0, 1, 1]), RNG.normal(size=(3, 6, 4))


def test_the_written_out_gradient_is_the_automatic_one():
    query, table, seen = tf.Variable(QUERY), tf.Variable(TABLE), tf.constant(SEEN)
    gradients = []
    for function in (lambda: softmax_attention(query, table, seen), lambda: attend(query, table, seen)):
        with tf.GradientTape() as tape:
            total = tf.reduce_sum(function() * UPSTREAM)
        gradients.append(tape.gradient(total, [query, table]))
    for automatic, written in zip(*gradients, strict=True):
        np.testing.assert_allclose(written, automatic, rtol=1e-9, atol=1e-12)


def test_gradients_of_a_group_flow_into_its_own_domains_feature_alone():
    index = tf.constant([3, 0, 3])
    query, own, seen = tf.Variable(QUERY), tf.Variable(TABLE[[3, 0, 3]]), tf.constant(SEEN)
    with tf.GradientTape() as tape:
        attended = attend(query, tf.constant(TABLE), seen, OwnFeatures(index, tf.convert_to_tensor(own)))
        total = tf.reduce_sum(attended * UPSTREAM)
    written = tape.gradient(total, [query, own])
    for g, d in enumerate(index.numpy()):
        with tf.GradientTape() as tape:
            keys = tf.concat([TABLE[:d], own[g][None], TABLE[d + 1 :]], axis=0)
            total = tf.reduce_sum(softmax_attention(query[g], keys, seen) * UPSTREAM[g])
        automatic = tape.gradient(total, [query, own])
        np.testing.assert_allclose(written[0][g], automatic[0][g], rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(written[1][g], automatic[1][g], rtol=1e-9, atol=1e-12)


def test_a_size_below_one_is_refused():
    with pytest.raises(ValueError, match="got 0 and 2"):
        DomainFeatureIntegration(0, 2)
