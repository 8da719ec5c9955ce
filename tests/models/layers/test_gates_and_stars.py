from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from models.layers.domain_embedding import DomainEmbedding, concat_to_rows
from models.layers.gate_nu import GateNU
from models.layers.star_dense import StarDense
from models.layers.transfer import AdaptiveTransfer

X = np.random.default_rng(0).normal(size=(3, 4, 5)).astype(np.float32)
INDEX = np.array([6, 2, 6], np.int32)


def test_gates_start_at_one_and_stay_between_zero_and_two():
    gate = GateNU(3, hidden=4)
    np.testing.assert_array_equal(gate(X), np.ones((3, 4, 3)))
    assert [tuple(w.shape) for w in gate.weights] == [(5, 4), (4,), (4, 3), (3,)]
    gate.scores.bias.assign([np.log(3.0), -100.0, 100.0])
    np.testing.assert_allclose(gate(X)[0, 0], [1.5, 0.0, 2.0], atol=1e-6)
    with pytest.raises(ValueError, match="got 3 and 0"):
        GateNU(3, hidden=0)


def test_star_dense_by_hand():
    layer = StarDense(2, 1, "relu")
    layer.build((None, None, 2))
    layer.kernel.assign([[1.0], [2.0]])
    layer.bias.assign([0.5])
    layer.specific_kernel.assign([[[1.0], [1.0]], [[10.0], [-3.0]]])
    layer.specific_bias.assign([[0.0], [1.0]])
    x = tf.constant([[[1.0, 1.0]], [[1.0, 1.0]], [[1.0, 5.0]]])
    np.testing.assert_allclose(layer(x, tf.constant([1, 0, 1]))[:, 0, 0], [10 - 6 + 1.5, 3.5, 0])


def test_every_domain_starts_at_the_shared_layer():
    layer = StarDense(7, 3)
    result = layer(X, INDEX)
    np.testing.assert_allclose(result, X @ layer.kernel.numpy(), rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match="got 0 and 3"):
        StarDense(0, 3)


def test_transfer_is_a_softmax_over_two_tokens():
    layer = AdaptiveTransfer(5)
    own, handed = X[0], X[1]
    result = layer(own, handed)
    q, k, v = layer.get_weights()
    scores = np.stack([((t @ q) * (t @ k)).sum(-1) / 5**0.5 for t in (own, handed)], -1)
    shares = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    expected = shares[:, :1] * (own @ v) + shares[:, 1:] * (handed @ v)
    np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-6)


def test_a_domains_vector_stands_beside_each_of_its_rows():
    layer = DomainEmbedding(7, 2)
    joined = concat_to_rows(layer(INDEX), X).numpy()
    np.testing.assert_array_equal(joined[..., 2:], X)
    np.testing.assert_array_equal(joined[1, :, :2], np.tile(layer.vectors.numpy()[2], (4, 1)))
