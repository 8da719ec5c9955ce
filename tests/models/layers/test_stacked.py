from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from models.layers import (
    DomainGate,
    ExpertBank,
    ResumableDropout,
    SharedTower,
    StackedDense,
    StackedExpertBank,
    StackedGlorotUniform,
    StackedHead,
    StackedTower,
    mix,
)

X = np.random.default_rng(0).normal(size=(3, 4, 5)).astype(np.float32)
INDEX = np.array([6, 2, 6], np.int32)


def relu(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0)


def test_stacked_dense_by_hand():
    layer = StackedDense(2, 1)
    layer.build((None, None, 2))
    layer.set_weights([np.array([[[1.0], [2.0]], [[10.0], [20.0]]]), np.array([[0.5], [-0.5]])])
    x = tf.constant([[[1.0, 1.0], [2.0, 0.0]], [[1.0, 1.0], [0.0, 3.0]]])
    np.testing.assert_allclose(layer(x, tf.constant([1, 0]))[..., 0], [[29.5, 19.5], [3.5, 6.5]])


def test_stacked_tower_is_a_tower_per_domain():
    layer = StackedTower(7, [6, 3])
    result = layer(X, INDEX)
    for g, d in enumerate(INDEX):
        hidden = X[g]
        for dense in layer.dense:
            hidden = relu(hidden @ dense.kernel.numpy()[d] + dense.bias.numpy()[d])
        np.testing.assert_allclose(result[g], hidden, rtol=1e-5, atol=1e-6)


def test_layers_with_a_base_start_equal_and_are_the_common_one_plus_their_offsets():
    tower, head = StackedTower(7, [6, 3], base=True), StackedHead(7, 2, base=True)
    start = head(tower(X, INDEX), INDEX)
    np.testing.assert_array_equal(start, head(tower(X, np.array([0, 1, 2])), np.array([0, 1, 2])))
    random = np.random.default_rng(1)
    for layer in (tower, head):
        layer.set_weights([random.normal(size=w.shape) for w in layer.get_weights()])
    result = head(tower(X, INDEX), INDEX)
    for g, d in enumerate(INDEX):
        hidden = X[g]
        for dense in (*tower.dense, head.hidden, head.unit):
            kernel = dense.base_kernel.numpy() + dense.kernel.numpy()[d]
            hidden = hidden @ kernel + dense.base_bias.numpy() + dense.bias.numpy()[d]
            hidden = hidden if dense is head.unit else relu(hidden)
        np.testing.assert_allclose(result[g], hidden[:, 0], rtol=1e-4, atol=1e-5)


def test_a_base_has_a_gradient_from_every_group_and_its_offsets_from_their_own():
    layer = StackedDense(7, 2, base=True)
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(layer(X, INDEX) ** 2)
    kernel, base = tape.gradient(total, [layer.kernel, layer.base_kernel])
    np.testing.assert_array_equal(kernel.indices, INDEX)
    np.testing.assert_allclose(base, tf.reduce_sum(kernel.values, axis=0), rtol=1e-4)


def test_offsets_of_a_low_rank_are_products_and_zero_at_first():
    tower, head = StackedTower(7, [6, 4], base=True, rank=2), StackedHead(7, 3, base=True, rank=1)
    start = head(tower(X, INDEX), INDEX)
    np.testing.assert_array_equal(start, head(tower(X, np.array([0, 1, 2])), np.array([0, 1, 2])))
    random = np.random.default_rng(1)
    for layer in (tower, head):
        layer.set_weights([random.normal(size=w.shape) for w in layer.get_weights()])
    result = head(tower(X, INDEX), INDEX)
    for g, d in enumerate(INDEX):
        hidden = X[g].astype(np.float64)
        for dense in (*tower.dense, head.hidden):
            offset = dense.kernel_in.numpy()[d].astype(np.float64) @ dense.kernel_out.numpy()[d]
            hidden = relu(
                hidden @ (dense.base_kernel + offset) + dense.base_bias.numpy() + dense.bias.numpy()[d]
            )
        unit = head.unit
        hidden = hidden @ (unit.base_kernel.numpy() + unit.kernel.numpy()[d])
        expected = hidden[:, 0] + unit.base_bias.numpy() + unit.bias.numpy()[d]
        np.testing.assert_allclose(result[g], expected, rtol=1e-4, atol=1e-4)


def test_a_low_rank_is_taken_where_it_makes_a_layer_smaller():
    names = {}
    for rank in (1, 2, 3):
        layer = StackedDense(7, 6, base=True, rank=rank)
        layer.build((None, None, 3))
        names[rank] = {weight.name: tuple(weight.shape) for weight in layer.trainable_weights}
    assert names[1]["kernel_in:0"] == (7, 3, 1) and names[1]["kernel_out:0"] == (7, 1, 6)
    assert "kernel:0" not in names[1]
    assert names[2].keys() == names[3].keys() == {"kernel:0", "base_kernel:0", "bias:0", "base_bias:0"}
    for rank, base in ((0, True), (2, False)):
        with pytest.raises(ValueError, match=f"got {rank} and base={base}"):
            StackedDense(7, 6, base=base, rank=rank)


def test_factors_of_offsets_have_gradients_of_their_own_groups_alone():
    layer = StackedDense(7, 4, base=True, rank=1)
    layer.build((None, None, 5))
    layer.kernel_out.assign_add(tf.random.normal(layer.kernel_out.shape, seed=1))
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(layer(X, INDEX) ** 2)
    factors = [layer.kernel_in, layer.kernel_out]
    narrow, wide, base = tape.gradient(total, [*factors, layer.base_kernel])
    for g, d in enumerate(INDEX):
        offset = (layer.kernel_in[d] @ layer.kernel_out[d]).numpy()
        outputs = X[g] @ (layer.base_kernel.numpy() + offset)
        to_kernel = X[g].T @ (2 * outputs)
        np.testing.assert_allclose(
            narrow.values[g], to_kernel @ layer.kernel_out[d].numpy().T, rtol=1e-4, atol=1e-5
        )
        np.testing.assert_allclose(
            wide.values[g], layer.kernel_in[d].numpy().T @ to_kernel, rtol=1e-4, atol=1e-5
        )
    np.testing.assert_array_equal(narrow.indices, INDEX)
    np.testing.assert_array_equal(wide.indices, INDEX)
    assert base.shape == (5, 4)


def test_only_the_gathered_slices_have_a_gradient():
    layer = StackedTower(7, [6, 3])
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(layer(X, INDEX))
    for gradient in tape.gradient(total, layer.trainable_variables):
        assert isinstance(gradient, tf.IndexedSlices)
        np.testing.assert_array_equal(gradient.indices, INDEX)


def test_each_slice_of_a_stack_starts_like_a_dense_layer():
    values = StackedGlorotUniform()((200, 30, 20)).numpy()
    limit = (6 / 50) ** 0.5
    assert np.abs(values).max() <= limit
    assert values.std() == pytest.approx(limit / 3**0.5, rel=0.02)


def test_shared_tower_keeps_the_leading_shape():
    layer = SharedTower([6, 3])
    result = layer(X)
    hidden = X
    for dense in layer.dense:
        hidden = relu(hidden @ dense.kernel.numpy() + dense.bias.numpy())
    assert result.shape == (3, 4, 3)
    np.testing.assert_allclose(result, hidden, rtol=1e-5, atol=1e-6)


def test_expert_bank_evaluates_every_expert():
    layer = ExpertBank(4, [6, 3])
    result = layer(X).numpy()
    assert result.shape == (3, 4, 4, 3)
    for e in range(4):
        hidden = X
        for kernel, bias in zip(layer.kernels, layer.biases, strict=True):
            hidden = relu(hidden @ kernel.numpy()[e] + bias.numpy()[e])
        np.testing.assert_allclose(result[:, :, e], hidden, rtol=1e-5, atol=1e-6)


def test_stacked_expert_bank_evaluates_the_domains_own_experts():
    layer = StackedExpertBank(7, 2, [6, 3])
    result = layer(X, INDEX).numpy()
    for g, d in enumerate(INDEX):
        for e in range(2):
            hidden = X[g]
            for kernel, bias in zip(layer.kernels, layer.biases, strict=True):
                hidden = relu(hidden @ kernel.numpy()[d, e] + bias.numpy()[d, e])
            np.testing.assert_allclose(result[g, :, e], hidden, rtol=1e-5, atol=1e-6)


def test_gate_and_mixture():
    gate = DomainGate(7, 2)
    weights = gate(X, INDEX).numpy()
    scores = np.stack([X[g] @ gate.scores.kernel.numpy()[d] for g, d in enumerate(INDEX)])
    shares = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    np.testing.assert_allclose(weights, shares, rtol=1e-5)
    experts = np.random.default_rng(1).normal(size=(3, 4, 2, 5)).astype(np.float32)
    expected = (shares[..., None] * experts).sum(2)
    np.testing.assert_allclose(mix(weights, experts), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("hidden", [0, 3])
def test_head_gives_one_logit_per_row(hidden):
    head = StackedHead(7, hidden)
    result = head(X, INDEX).numpy()
    for g, d in enumerate(INDEX):
        h = X[g]
        if hidden:
            h = relu(h @ head.hidden.kernel.numpy()[d] + head.hidden.bias.numpy()[d])
        expected = (h @ head.unit.kernel.numpy()[d] + head.unit.bias.numpy()[d])[:, 0]
        np.testing.assert_allclose(result[g], expected, rtol=1e-5, atol=1e-6)


def test_dropout_drops_its_share_in_training_alone_and_resumes_where_it_was():
    layer = ResumableDropout(0.3, seed=5)
    x = tf.ones([100, 200])
    np.testing.assert_array_equal(layer(x), x)
    first = layer(x, training=True).numpy()
    assert (first == 0).mean() == pytest.approx(0.3, abs=0.02)
    np.testing.assert_allclose(first[first > 0], 1 / 0.7, rtol=1e-6)
    state = layer.get_weights()
    second = layer(x, training=True).numpy()
    assert (first != second).any()
    restored = ResumableDropout(0.3, seed=5)
    restored(x)
    restored.set_weights(state)
    np.testing.assert_array_equal(restored(x, training=True), second)


def test_wrong_sizes_are_refused_with_the_value():
    with pytest.raises(ValueError, match="got 0 and 3"):
        StackedDense(0, 3)
    with pytest.raises(ValueError, match="got 0"):
        ExpertBank(0, [3])
    with pytest.raises(ValueError, match="got 3 and 0"):
        StackedExpertBank(3, 0, [3])
    with pytest.raises(ValueError, match=r"got 1\.0"):
        ResumableDropout(1.0)
