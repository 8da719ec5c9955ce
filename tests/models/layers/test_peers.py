from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from models.layers.head import StackedHead
from models.layers.peers import Peers, masked_softmax
from models.layers.stacked_experts import StackedExpertBank
from models.layers.stacked_tower import StackedTower

X = np.random.default_rng(0).normal(size=(2, 3, 5)).astype(np.float32)


def test_with_few_domains_there_is_a_column_for_each():
    peers = Peers(3, limit=3)
    domains = tf.constant([2, 0])
    assert (peers.count, peers.columns, peers.exact) == (3, 3, True)
    np.testing.assert_array_equal(peers.own(domains), [[0, 0, 1], [1, 0, 0]])
    np.testing.assert_array_equal(peers.others(domains), [[True, True, False], [False, True, True]])
    assert peers.occupied(domains).numpy().all()
    weights = tf.constant([[[0.1, 0.2, 0.7]], [[0.5, 0.3, 0.2]]])
    np.testing.assert_array_equal(peers.over_domains(weights, domains), weights)


def test_with_many_domains_a_small_one_has_the_last_column():
    peers = Peers(5, limit=2)
    domains = tf.constant([3, 1])
    assert (peers.count, peers.columns, peers.exact) == (2, 3, False)
    np.testing.assert_array_equal(peers.own(domains), [[0, 0, 1], [0, 1, 0]])
    np.testing.assert_array_equal(peers.others(domains), [[True, True], [True, False]])
    np.testing.assert_array_equal(peers.occupied(domains), [[True, True, True], [True, True, False]])
    weights = tf.constant([[[0.25, 0.25, 0.5]], [[0.75, 0.25, 0.0]]])
    np.testing.assert_array_equal(
        peers.over_domains(weights, domains), [[[0.25, 0.25, 0, 0.5, 0]], [[0.75, 0.25, 0, 0, 0]]]
    )
    np.testing.assert_array_equal(
        peers.over_domains(weights[..., :2], domains), [[[0.25, 0.25, 0, 0, 0]], [[0.75, 0.25, 0, 0, 0]]]
    )


def test_a_sum_over_nothing_is_refused():
    with pytest.raises(ValueError, match="got a limit of 0"):
        Peers(5, limit=0)


def test_masked_softmax_masks_before_it_normalises():
    scores = tf.math.log(tf.constant([[1.0, 2.0, 5.0], [1.0, 2.0, 5.0]]))
    mask = tf.constant([[True, True, False], [False, False, False]])
    np.testing.assert_allclose(masked_softmax(scores, mask), [[1 / 3, 2 / 3, 0], [0, 0, 0]], rtol=1e-6)


def test_one_group_goes_through_the_slices_of_every_index():
    index = tf.constant([3, 0, 2])
    for layer in (StackedTower(4, [6, 2]), StackedHead(4, 3), StackedExpertBank(4, 2, [6, 2])):
        results = layer(tf.reshape(X, [1, 6, X.shape[-1]]), index).numpy()
        assert results.shape[:2] == (3, 6)
        for m, d in enumerate(index):
            one = layer(X, tf.fill([2], d)).numpy()
            np.testing.assert_allclose(results[m], one.reshape(6, *one.shape[2:]), rtol=1e-5, atol=1e-6)
