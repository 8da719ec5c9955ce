from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from models.layers.personal_integration import PersonalIntegration


def built(
    domains: int = 3, size: int = 5, heads: int = 2
) -> tuple[PersonalIntegration, tf.Tensor, tf.Tensor]:
    random = np.random.default_rng(0)
    x = tf.constant(random.normal(size=(2, 4, 6)), tf.float32)
    history = tf.constant(random.normal(size=(2, 4, domains, 7)), tf.float32)
    layer = PersonalIntegration(domains, size, heads, domain_size=3)
    layer((x, history), tf.constant([2, 0]))
    layer.set_weights([random.normal(size=w.shape) for w in layer.get_weights()])
    return layer, x, history


def by_hand(
    layer: PersonalIntegration, x: np.ndarray, history: np.ndarray, domain: int
) -> tuple[list, np.ndarray]:
    """Weights per head and z of one row, from the equations."""
    query, own, relation, others, value = (
        w.numpy() for w in (layer.query, layer.own, layer.relation, layer.others, layer.value)
    )
    features, size = history.shape[1], own.shape[1]
    weights, taken = [], []
    for head in range(layer.heads):
        q = np.concatenate([x, own[domain]]) @ query[:, head * features : (head + 1) * features]
        scores = history @ q / np.sqrt(features)
        scores += others @ (own[domain] @ relation[:, head * size : (head + 1) * size])
        share = np.exp(scores) / np.exp(scores).sum()
        weights.append(share)
        taken.append(share @ history)
    return weights, np.concatenate(taken) @ value


def test_against_the_equations_row_by_row():
    layer, x, history = built()
    domains = [2, 0]
    z = layer((x, history), tf.constant(domains)).numpy()
    weights = layer.weights_over_domains((x, history), tf.constant(domains)).numpy()
    assert z.shape == (2, 4, 5)
    for g in range(2):
        for b in range(4):
            shares, expected = by_hand(layer, x[g, b].numpy(), history[g, b].numpy(), domains[g])
            np.testing.assert_allclose(weights[g, b], shares, rtol=1e-4)
            np.testing.assert_allclose(z[g, b], expected, rtol=1e-4, atol=1e-5)


def test_a_row_depends_on_its_own_history_alone():
    layer, x, history = built()
    changed = history.numpy().copy()
    changed[0, 1] += 1.0
    before = layer((x, history), tf.constant([2, 0])).numpy()
    after = layer((x, tf.constant(changed)), tf.constant([2, 0])).numpy()
    different = (before != after).any(axis=-1)
    assert different[0, 1]
    assert different.sum() == 1


def test_sizes_below_one_are_refused():
    with pytest.raises(ValueError, match="at least 1"):
        PersonalIntegration(3, 4, heads=0)
