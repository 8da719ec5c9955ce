from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tests.models.building import (
    assert_rows,
    batch_of,
    gradients,
    moved,
    relu,
    small_model,
    tower,
    weights_of,
)


def star(w: dict[str, np.ndarray], name: str, x: np.ndarray, d: int) -> np.ndarray:
    kernel = w[f"{name}/kernel"] * w[f"{name}/specific_kernel"][d]
    return x @ kernel + w[f"{name}/bias"] + w[f"{name}/specific_bias"][d]


def expected(
    w: dict[str, np.ndarray], x: np.ndarray, d: int, mean: np.ndarray, var: np.ndarray
) -> np.ndarray:
    """Logits of rows `(B, in)` under these statistics."""
    h = w["norm/gamma"] * w["norm/specific_gamma"][d] * (x - mean) / np.sqrt(var + 1e-3)
    h = h + w["norm/beta"] + w["norm/specific_beta"][d]
    for name in ("star_0", "star_1", "star_2"):
        h = relu(star(w, name, h, d))
    vector = np.tile(w["specific_domain_embedding/vectors"][d], (len(x), 1))
    aux = tower(w, "aux_hidden", np.concatenate([vector, x], -1)) @ w["aux_unit/kernel"] + w["aux_unit/bias"]
    return (star(w, "star_unit", h, d) + aux)[:, 0]


@pytest.mark.parametrize("training", [True, False])
def test_against_numpy(training):
    model = small_model("star")
    rows, domains, weights = batch = batch_of(model, [2, 0, 2])
    x = model.embedding(rows, domains).numpy()
    kept = weights.numpy() > 0
    pooled = {d: x[domains.numpy() == d][kept[domains.numpy() == d]] for d in (0, 2)}
    model(batch, training=True)
    scored = model(batch, training=training)
    if not training:  # Other rows, the statistics of those before.
        rows, _, _ = batch_of(model, [2, 0, 2], seed=3)
        x = model.embedding(rows, domains).numpy()
        scored = model((rows, domains, weights))
    w = weights_of(model)
    for g, d in enumerate([2, 0, 2]):
        logits = expected(w, x[g], d, pooled[d].mean(0), pooled[d].var(0))
        assert_rows(weights[g], scored[g], logits, rtol=1e-3, atol=1e-3)


def test_the_logit_is_linear_so_it_can_be_negative():
    model = small_model("star")
    model.unit.bias.assign([-50.0])
    assert (model(batch_of(model, [0, 1])).numpy() < 0).all()


def test_training_on_a_domain_moves_its_statistics_and_parameters_alone():
    model = small_model("star")
    before = weights_of(model)
    batch = batch_of(model, [2, 2], size=20)
    found = gradients(model, batch)
    for name, gradient in found.items():
        if "specific_" in name:
            assert moved(gradient) == [2], name
    after = weights_of(model)
    for state in ("moving_rows", "moving_values", "moving_squares"):
        # Row 4 of 0 ... 3 domains holds the sums over all of them.
        assert moved(after[f"norm/{state}"] - before[f"norm/{state}"]) == [2, 4]


def test_an_untrained_star_is_the_same_network_for_every_domain_but_for_the_domain_embedding():
    model = small_model("star", scatter=False)
    model.domain_vectors.vectors.assign(tf.zeros_like(model.domain_vectors.vectors))
    rows, _, weights = batch_of(model, [0])
    scores = [model((rows, tf.constant([d]), weights)).numpy() for d in (0, 3)]
    assert_rows(weights, *scores, rtol=1e-6)
