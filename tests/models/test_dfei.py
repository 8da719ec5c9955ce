from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from models.base import DomainModel
from models.dfei import DFEI
from models.dispatch import explain_mixed, predict_mixed
from models.layers.domain_extraction import FULL_ROWS
from models.registry import MODELS, build_model, model_class
from models.settings import ModelSettings
from tests.models.building import assert_rows
from tests.models.helpers import random_batch, random_rows, small_layout

SETTINGS = {"layers": [8, 4], "embedding_size": 3, "head_hidden": 5}


def relu(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0)


def weight(model: DomainModel, name: str) -> np.ndarray:
    return next(v for v in model.variables if v.name.endswith(f"{name}:0")).numpy()


def numpy_forward(model: DomainModel, batch, training: bool) -> np.ndarray:
    """DFEI's equations in NumPy, one group at a time. Reads the state before the step."""
    rows, domains, weights = batch
    x = model.embedding(rows, domains).numpy()
    state, seen = weight(model, "domain_extraction/state"), weight(model, "domain_extraction/seen")
    own = {}
    groups = range(len(domains))
    domains = domains.numpy()
    for g in groups:
        u = x[g]
        for i in range(2):
            kernel, bias = (weight(model, f"specific_tower/layer_{i}/{part}") for part in ("kernel", "bias"))
            u = relu(u @ kernel[domains[g]] + bias[domains[g]])
        own[g] = u
    if training:
        state, seen, old, was = state.copy(), seen.copy(), state, seen
        for d in set(domains):
            rows_of_d = np.concatenate([own[g][weights[g].numpy() > 0] for g in groups if domains[g] == d])
            if len(rows_of_d):
                mean = rows_of_d.mean(0)
                a = model.settings.decay ** min(len(rows_of_d) / FULL_ROWS, 1)
                state[d] = a * old[d] + (1 - a) * mean if was[d] else mean
                seen[d] = 1
    table = np.where(seen[:, None] > 0, state, state[seen > 0].mean(0))
    out = []
    for g in groups:
        s = x[g]
        for i in range(2):
            kernel, bias = (weight(model, f"shared_tower/layer_{i}/{part}") for part in ("kernel", "bias"))
            s = relu(s @ kernel + bias)
        query = x[g] @ weight(model, "domain_integration/query")
        scores = query @ (table @ weight(model, "domain_integration/key")).T / np.sqrt(query.shape[-1])
        shares = np.where(seen > 0, np.exp(scores), 0)
        shares /= shares.sum(-1, keepdims=True)
        z = shares @ (table @ weight(model, "domain_integration/value"))
        v = np.tile(table[domains[g]], (len(s), 1))
        joint = np.concatenate([s, own[g], v, z], axis=-1)
        d = domains[g]
        hidden = relu(
            joint @ weight(model, "specific_head/hidden/kernel")[d] + weight(model, "hidden/bias")[d]
        )
        out.append((hidden @ weight(model, "unit/kernel")[d] + weight(model, "unit/bias")[d])[:, 0])
    return np.array(out)


def test_forward_pass_against_numpy_in_training_and_at_inference():
    layout = small_layout(domains=5)
    model = build_model(layout, ModelSettings(**SETTINGS))
    for seed in range(3):
        batch = random_batch(layout, 4, 6, seed)
        expected = numpy_forward(model, batch, training=True)
        assert_rows(batch[2], model(batch, training=True), expected, rtol=1e-4, atol=1e-6)
        expected = numpy_forward(model, batch, training=False)
        assert_rows(batch[2], model(batch), expected, rtol=1e-4, atol=1e-6)


def test_weights_explain_each_row():
    layout = small_layout(domains=5)
    model = build_model(layout, ModelSettings(**SETTINGS))
    model(random_batch(layout, 4, 6), training=True)
    seen = model.extraction.seen.numpy()
    weights = model.explain(random_batch(layout, 2, 3, seed=9)).numpy()
    assert weights.shape == (2, 3, 5)
    np.testing.assert_allclose(weights.sum(-1), 1, rtol=1e-5)
    assert (weights[..., seen == 0] == 0).all()
    assert (weights[..., seen > 0] > 0).all()


@pytest.mark.parametrize(
    ("change", "width"),
    [
        ({}, 16),
        ({"domain_extraction": False}, 12),
        ({"averages": "transform"}, 12),
        ({"domain_integration": False}, 12),
        ({"domain_integration": False, "domain_extraction": False}, 8),
        ({"attention_size": 7}, 19),
        ({"domain_state": "frozen_random"}, 16),
    ],
)
def test_ablations_change_what_the_head_reads(change, width):
    layout = small_layout()
    model = build_model(layout, ModelSettings(**SETTINGS, **change))
    assert weight(model, "specific_head/hidden/kernel").shape == (3, width, 5)
    assert model(random_batch(layout, 2, 3), training=True).shape == (2, 3)
    assert model.explains == change.get("domain_integration", True)


def test_without_integration_there_is_nothing_to_explain():
    model = build_model(small_layout(), ModelSettings(**SETTINGS, domain_integration=False))
    with pytest.raises(ValueError, match="domain_integration: false"):
        model.explain(random_batch(small_layout(), 2, 3))


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"common_base": True, "history": "both"},
        {"common_base": True, "specific_rank": 1},
        {"common_base": True, "specific_rank": 2, "domain_feature": True, "domain_extraction": False},
        {"domain_feature": True, "domain_integration": True, "averages": "transform"},
    ],
)
def test_mixed_rows_score_as_their_groups_do(change):
    layout = small_layout(domains=6, history=2)
    model = build_model(layout, ModelSettings(**{**SETTINGS, **change}))
    for variable in model.trainable_variables:
        variable.assign_add(tf.random.normal(variable.shape, stddev=0.3, seed=1))
    model(random_batch(layout, 4, 6), training=True)
    rows = random_rows(layout, (20,), seed=3)
    domain = np.random.default_rng(4).integers(0, 6, 20).astype(np.int32)
    tensors = {key: tf.constant(value) for key, value in rows.items()}
    logits = predict_mixed(model, tensors, tf.constant(domain))
    weights = explain_mixed(model, tensors, tf.constant(domain))
    for i in range(20):
        alone = ({k: v[None, i : i + 1] for k, v in tensors.items()}, domain[i : i + 1], tf.ones([1, 1]))
        np.testing.assert_allclose(logits[i], model(alone)[0, 0], rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(weights[i], model.explain(alone)[0, 0], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    "change", [{"domain_extraction": False, "domain_integration": False}, {"domain_integration": False}]
)
def test_mixed_rows_without_integration_score_as_their_groups_do(change):
    layout = small_layout(domains=6)
    model = build_model(layout, ModelSettings(**{**SETTINGS, **change}))
    model(random_batch(layout, 4, 6), training=True)
    tensors = {key: tf.constant(value) for key, value in random_rows(layout, (9,), seed=3).items()}
    domain = tf.constant([5, 0, 0, 3, 5, 1, 2, 2, 5])
    logits = predict_mixed(model, tensors, domain)
    for i in range(9):
        alone = ({k: v[None, i : i + 1] for k, v in tensors.items()}, domain[i : i + 1], tf.ones([1, 1]))
        np.testing.assert_allclose(logits[i], model(alone)[0, 0], rtol=1e-4, atol=1e-6)


def test_a_rank_without_a_common_base_is_refused():
    with pytest.raises(ValueError, match=r"specific_rank 2 is the rank of offsets.*common_base: true"):
        ModelSettings(specific_rank=2)


def test_a_domains_loss_moves_its_own_slices_alone():
    layout = small_layout(domains=4)
    model = build_model(layout, ModelSettings(**SETTINGS))
    rows, _, weights = random_batch(layout, 1, 6)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(model((rows, tf.constant([2]), weights), training=True))
    for variable, gradient in zip(
        model.trainable_variables, tape.gradient(loss, model.trainable_variables), strict=True
    ):
        assert gradient is not None, variable.name
        if "/specific_" in variable.name:
            np.testing.assert_array_equal(gradient.indices, [2])


def test_the_same_seed_starts_the_same_model():
    layout = small_layout()
    first, again, other = (build_model(layout, ModelSettings(**SETTINGS), seed) for seed in (1, 1, 2))
    for a, b in zip(first.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert any((a != b).any() for a, b in zip(first.get_weights(), other.get_weights(), strict=True))


def test_save_load_serve(tmp_path):
    layout = small_layout()
    model = build_model(layout, ModelSettings(**SETTINGS))
    model(random_batch(layout, 4, 6), training=True)
    specs = {
        key: tf.TensorSpec([None, *shape], tf.int64 if key == "categorical" else tf.float32, key)
        for key, shape in layout.row_shapes().items()
    }

    @tf.function(input_signature=[specs, tf.TensorSpec([None], tf.int64, "domain")])
    def serve(rows, domain):
        return {"logit": predict_mixed(model, rows, domain)}

    module = tf.Module()
    module.model = model
    tf.saved_model.save(module, str(tmp_path), signatures=serve)
    rows = {key: tf.constant(value) for key, value in random_rows(layout, (7,)).items()}
    domain = tf.constant([0, 2, 2, 1, 0, 1, 2], tf.int64)
    loaded = tf.saved_model.load(str(tmp_path)).signatures["serving_default"](**rows, domain=domain)
    np.testing.assert_allclose(loaded["logit"], predict_mixed(model, rows, domain), rtol=1e-5, atol=1e-7)


def test_the_registry_names_importable_models():
    for name in MODELS:
        assert issubclass(model_class(name), DomainModel)
    with pytest.raises(ValueError, match=r"there is no model 'nope'; known models: .*dfei"):
        model_class("nope")


@pytest.mark.parametrize(
    ("change", "domains", "expected"),
    [
        ({}, 100, (False, None)),
        ({}, 101, (True, 2)),
        ({"common_base": True}, 100, (True, None)),
        ({"common_base": True, "specific_rank": None}, 1000, (True, None)),
        ({"common_base": True, "specific_rank": 3}, 5, (True, 3)),
        ({"common_base": False}, 1000, (False, None)),
    ],
)
def test_towers_of_many_domains_are_offsets_of_a_low_rank_unless_told_otherwise(change, domains, expected):
    settings = ModelSettings(**change)
    assert settings.offsets(domains) == expected
    tower = DFEI(small_layout(domains=domains), settings).specific_tower
    assert {(layer.base, layer.rank) for layer in tower.dense} == {expected}
