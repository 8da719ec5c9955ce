from __future__ import annotations

import numpy as np
import tensorflow as tf

from tests.models.building import (
    assert_rows,
    batch_of,
    gradients,
    moved,
    relu,
    sigmoid,
    small_model,
    tower,
    weights_of,
)


def gate(w: dict[str, np.ndarray], name: str, z: np.ndarray) -> np.ndarray:
    hidden = relu(z @ w[f"{name}/hidden/kernel"] + w[f"{name}/hidden/bias"])
    return 2 * sigmoid(hidden @ w[f"{name}/scores/kernel"] + w[f"{name}/scores/bias"])


def parts_of(model, batch) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray, list[np.ndarray]]:
    """Weights, x, and the gates of embeddings and hidden layers, `(G, B, .)`."""
    w = weights_of(model)
    x = model.embedding(batch[0], batch[1]).numpy()
    vectors = w["specific_domain_embedding/vectors"][batch[1].numpy()]
    z = np.concatenate([np.repeat(vectors[:, None], x.shape[1], 1), x], -1)
    embedding_gate = gate(w, "embedding_gate", z)
    ids = [x[..., model.embedding.slice_of(name)] for name in ("user_id", "video_id", "author_id")]
    prior = np.concatenate([*ids, embedding_gate * x], -1)
    return w, x, embedding_gate, [gate(w, f"gate_{i}", prior) for i in range(2)]


def test_against_numpy():
    model = small_model("pepnet", options={"gate_hidden": 3})
    batch = batch_of(model, [2, 0, 2])
    w, x, embedding_gate, gates = parts_of(model, batch)
    h = embedding_gate * x
    for i, layer_gate in enumerate(gates):
        h = layer_gate * tower(w, f"layer_{i}", h)
    expected = (tower(w, "head_hidden", h) @ w["head/kernel"] + w["head/bias"])[..., 0]
    assert_rows(batch[2], model(batch), expected, rtol=1e-4, atol=1e-5)


def test_it_starts_as_the_ungated_network():
    model = small_model("pepnet", scatter=False)
    batch = batch_of(model, [1, 3])
    w = weights_of(model)
    h = model.embedding(batch[0], batch[1]).numpy()
    for i in range(2):
        h = tower(w, f"layer_{i}", h)
    expected = (tower(w, "head_hidden", h) @ w["head/kernel"] + w["head/bias"])[..., 0]
    assert_rows(batch[2], model(batch), expected, rtol=1e-5, atol=1e-6)


def test_embeddings_train_through_the_network_and_not_through_what_the_gates_see():
    model = small_model("pepnet", options={"gate_hidden": 3})
    batch = batch_of(model, [2, 0], size=10)
    found = gradients(model, batch)["embedding/table:0"]
    _, _, embedding_gate, gates = parts_of(model, batch)
    with tf.GradientTape() as tape:
        h = tf.constant(embedding_gate) * model.embedding(batch[0], batch[1])
        for dense, layer_gate in zip(model.dense, gates, strict=True):
            h = tf.constant(layer_gate) * dense(h)
        logits = tf.squeeze(model.head(model.head_hidden(h)), -1)
        loss = tf.reduce_sum(tf.square(logits) * batch[2])
    constant_gates = tf.convert_to_tensor(tape.gradient(loss, model.embedding.table)).numpy()
    # Table rows: user 0-10, tag 11-15, video 16-28, device 29-32, author 33-39.
    not_ids = [*range(11, 16), *range(29, 33)]
    assert np.abs(constant_gates[not_ids]).sum() > 0
    np.testing.assert_allclose(found[not_ids], constant_gates[not_ids], rtol=1e-3, atol=1e-5)
    ids = [*range(11), *range(16, 29), *range(33, 40)]
    assert not np.allclose(found[ids], constant_gates[ids], rtol=1e-2)


def test_a_domains_own_parameter_is_its_embedding():
    model = small_model("pepnet")
    found = gradients(model, batch_of(model, [2, 0]))
    assert moved(found["specific_domain_embedding/vectors:0"]) == [0, 2]
    assert [name for name in found if "specific_" in name] == ["specific_domain_embedding/vectors:0"]


def test_without_ids_the_layers_are_gated_by_the_rest():
    model = small_model("pepnet", use_ids=False)
    w = weights_of(model)
    assert w["gate_0/hidden/kernel"].shape[0] == model.embedding.output_size
    assert np.isfinite(model(batch_of(model, [0]))).all()
