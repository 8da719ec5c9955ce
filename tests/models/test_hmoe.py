from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tests.models.building import (
    assert_rows,
    batch_of,
    gradients,
    head,
    moved,
    relu,
    small_model,
    softmax,
    weights_of,
)


def scores(w: dict[str, np.ndarray], x: np.ndarray, domains: int) -> np.ndarray:
    """f `(B, D)`: every domain's score of rows `(B, in)`."""
    outputs = []
    for d in range(domains):
        gate = softmax(x @ w["specific_gate/scores/kernel"][d])
        h = 0
        for k in range(gate.shape[1]):
            e = x
            for i in range(2):
                e = relu(e @ w[f"experts/layer_{i}/kernel"][k] + w[f"experts/layer_{i}/bias"][k])
            h = h + gate[:, k : k + 1] * e
        outputs.append(head(w, h, d))
    return np.stack(outputs, -1)


def relation(w: dict[str, np.ndarray], x: np.ndarray, d: int) -> np.ndarray:
    """Scores of net_d before the softmax, `(B, columns)`."""
    hidden = relu(x @ w["specific_relation_hidden/kernel"][d] + w["specific_relation_hidden/bias"][d])
    return hidden @ w["specific_relation/kernel"][d] + w["specific_relation/bias"][d]


def test_against_numpy():
    model = small_model("hmoe", options={"relation_hidden": 3})
    batch = batch_of(model, [2, 0, 2])
    w = weights_of(model)
    x = model.embedding(batch[0], batch[1]).numpy()
    for g, d in enumerate([2, 0, 2]):
        weights = softmax(relation(w, x[g], d))
        expected = (weights * scores(w, x[g], 4)).sum(-1)
        assert_rows(batch[2][g], model(batch)[g], expected, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(model.explain(batch)[g], weights, rtol=1e-4, atol=1e-6)


def test_with_many_domains_the_largest_and_the_own_are_mixed():
    model = small_model("hmoe", domains=6, options={"peers": 2})
    batch = batch_of(model, [1, 4])
    w = weights_of(model)
    x = model.embedding(batch[0], batch[1]).numpy()
    large = softmax(relation(w, x[0], 1)[:, :2])
    assert_rows(
        batch[2][0], model(batch)[0], (large * scores(w, x[0], 6)[:, :2]).sum(-1), rtol=1e-4, atol=1e-5
    )
    small = softmax(relation(w, x[1], 4))
    assert_rows(
        batch[2][1], model(batch)[1], (small * scores(w, x[1], 6)[:, [0, 1, 4]]).sum(-1), rtol=1e-4, atol=1e-5
    )
    np.testing.assert_allclose(model.explain(batch)[1].numpy()[:, [0, 1, 4]], small, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("d", [0, 2])
def test_the_other_domains_scores_are_constants_to_the_gradient(d):
    model = small_model("hmoe")
    batch = batch_of(model, [d], size=20)
    found = gradients(model, batch)
    for name, gradient in found.items():
        if name.startswith("specific_"):
            assert moved(gradient) == [d], name
    # Shared experts learn through the domain's own score alone: s with the others' scores as numbers.
    x = model.embedding(batch[0], batch[1])
    others = tf.constant(np.delete(scores(weights_of(model), x[0].numpy(), 4), d, axis=1), tf.float32)
    with tf.GradientTape() as tape:
        x = model.embedding(batch[0], batch[1])
        mixed = tf.linalg.matvec(tf.transpose(model.experts(x), [0, 1, 3, 2]), model.gate(x, batch[1]))
        own = model.head(mixed, batch[1])
        weights = model.explain(batch)
        rest = tf.stack([weights[..., j] for j in range(4) if j != d], axis=-1)
        total = weights[..., d] * own + tf.reduce_sum(rest * others, -1)
        loss = tf.reduce_sum(tf.square(total) * batch[2])
    shared = [v for v in model.trainable_variables if "specific_" not in v.name]
    for variable, gradient in zip(shared, tape.gradient(loss, shared), strict=True):
        np.testing.assert_allclose(
            found[variable.name.removeprefix("hmoe/")],
            tf.convert_to_tensor(gradient),
            rtol=1e-3,
            atol=1e-4,
            err_msg=variable.name,
        )


def test_options_of_a_wrong_type_are_refused():
    with pytest.raises(ValueError, match=r"model\.options\.experts: expected int, got 'many'"):
        small_model("hmoe", options={"experts": "many"})
