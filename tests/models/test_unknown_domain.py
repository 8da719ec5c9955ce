"""What a row of a domain gets that training did not know: its index is D."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from models import click_rate
from models.base import DomainModel
from models.dispatch import explain_mixed, predict_mixed, resemblance_mixed
from models.features import DOMAIN_KNOWN, FeatureLayout
from models.prediction import Predictor
from models.registry import MODELS, build_model
from models.rows import ArrayRows
from models.settings import ModelSettings
from models.unknown_domain import MOST_STAND_INS, stand_ins
from tests.models.building import batch_of, small_model, softmax, weights_of
from tests.models.helpers import random_batch, random_rows, small_layout

ROWS = 12
BASED = [
    {},
    {"specific_rank": 1},
    {"domain_extraction": False},
    {"domain_integration": False},
    {"averages": "transform", "domain_integration": False},
]


def asked(layout: FeatureLayout) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Rows, a third of them of an unknown domain."""
    domain = np.random.default_rng(4).integers(0, layout.domain_count, ROWS).astype(np.int32)
    domain[::3] = layout.domain_count
    return random_rows(layout, (ROWS,), seed=3), domain


def tensors(rows: dict[str, np.ndarray]) -> dict[str, tf.Tensor]:
    return {key: tf.constant(value) for key, value in rows.items()}


def alone(model: DomainModel, rows: dict[str, np.ndarray], i: int, domain: int) -> float:
    """The logit of one row as a batch of its own."""
    row = {key: tf.constant(value[None, i : i + 1]) for key, value in rows.items()}
    return float(model((row, tf.constant([domain]), tf.ones([1, 1])))[0, 0])


@pytest.mark.parametrize("domains", [4, MOST_STAND_INS + 3])
@pytest.mark.parametrize("name", sorted(MODELS))
def test_without_a_base_the_largest_domains_stand_in_by_their_training_rows(name: str, domains: int) -> None:
    model = small_model(name, domains)
    model(batch_of(model, list(range(domains))), training=True)
    assert not model.serves_unknown
    rows, domain = asked(model.layout)
    found = predict_mixed(model, tensors(rows), tf.constant(domain)).numpy()
    shares = np.array(model.layout.domain_rows[:MOST_STAND_INS], float)
    shares /= shares.sum()
    for i, d in enumerate(domain):
        if d < domains:
            expected = alone(model, rows, i, d)
        else:
            expected = shares @ [alone(model, rows, i, j) for j in range(len(shares))]
        np.testing.assert_allclose(found[i], expected, rtol=1e-4, atol=1e-5)
    source = ArrayRows(rows, domain, np.zeros(ROWS))
    np.testing.assert_allclose(Predictor(model).predict(source), found, rtol=1e-4, atol=1e-5)


def test_shares_are_equal_where_nothing_is_known_of_the_rows() -> None:
    layout = dataclasses.replace(small_layout(4), domain_rows=())
    np.testing.assert_allclose(stand_ins(layout), [0.25] * 4)


def test_a_request_of_known_domains_alone_is_answered_as_it_was() -> None:
    model = small_model("mmoe")
    rows, domain = asked(model.layout)
    domain = domain % 4
    found = predict_mixed(model, tensors(rows), tf.constant(domain))
    np.testing.assert_allclose(found, [alone(model, rows, i, d) for i, d in enumerate(domain)], rtol=1e-5)


def with_averages(domains: int = 4) -> FeatureLayout:
    return dataclasses.replace(small_layout(domains), averages=("domain.click", DOMAIN_KNOWN))


def based(change: dict[str, object], batches: int = 1) -> DomainModel:
    """A DFEI with a common base, nothing at its starting value; domain 3 has had no batch."""
    settings = {"layers": [5, 4], "embedding_size": 3, "head_hidden": 3, "common_base": True, **change}
    model = build_model(with_averages(), ModelSettings(**settings))
    rng = np.random.default_rng(7)
    for variable in model.trainable_variables:
        variable.assign_add(rng.normal(0, 0.3, variable.shape).astype(np.float32))
    model.start_at(np.repeat([0, 1, 2], [50, 30, 5]), np.arange(85) % 3 == 0)
    rows, _, weights = random_batch(model.layout, 3, 6)
    for _ in range(batches):
        model((rows, tf.constant([0, 1, 2]), weights), training=True)
    return model


def base_logit(model: DomainModel, x: np.ndarray, averaged: bool) -> float:
    """The literal definition for one row `(in,)`: the common tower and head, v the mean by what it resembles."""
    w = weights_of(model)

    def dense(name: str, inputs: np.ndarray) -> np.ndarray:
        return inputs @ w[f"{name}/base_kernel"] + w[f"{name}/base_bias"]

    s = u = x
    for i in range(2):
        s = np.maximum(s @ w[f"shared_tower/layer_{i}/kernel"] + w[f"shared_tower/layer_{i}/bias"], 0)
        u = np.maximum(dense(f"specific_tower/layer_{i}", u), 0)
    joint = [s, u]
    trained = [0, 1, 2]
    if model.settings.uses_domain_state:
        v = w["domain_extraction/state"][trained]
        mix = np.full(3, 1 / 3)
    else:
        v = w.get("trained_domain_features")
    if model.settings.domain_integration:
        query = x @ w["domain_integration/query"]
        keys = v @ w["domain_integration/key"]
        attention = softmax(keys @ query / np.sqrt(4))
        if averaged and model.settings.uses_domain_state:
            mix = attention
    if model.settings.uses_domain_state:
        joint.append(mix @ v)
    if model.settings.domain_integration:
        joint.append(attention @ v @ w["domain_integration/value"])
    hidden = np.maximum(dense("specific_head/hidden", np.concatenate(joint)), 0)
    rate = click_rate.shrunk_rates(
        [50, 30, 5, 0], np.bincount(np.repeat([0, 1, 2], [50, 30, 5]), np.arange(85) % 3 == 0, 4)
    )
    return float(dense("specific_head/unit", hidden)[0] + click_rate.logit(rate[3]))


@pytest.mark.parametrize("change", BASED, ids=str)
def test_with_a_base_it_is_the_base_and_v_the_mean_by_what_it_resembles(change: dict[str, object]) -> None:
    model = based(change)
    assert model.serves_unknown
    rows, domain = asked(model.layout)
    rows["averages"][:, 1] = np.arange(ROWS) % 2
    found = predict_mixed(model, tensors(rows), tf.constant(domain)).numpy()
    x = model.embedding({key: value[:, None] for key, value in tensors(rows).items()}, domain).numpy()[:, 0]
    for i, d in enumerate(domain):
        expected = alone(model, rows, i, d) if d < 4 else base_logit(model, x[i], averaged=i % 2 == 1)
        np.testing.assert_allclose(found[i], expected, rtol=1e-4, atol=1e-5)
    source = ArrayRows(rows, domain, np.zeros(ROWS))
    np.testing.assert_allclose(Predictor(model).predict(source), found, rtol=1e-4, atol=1e-5)


def test_what_a_domain_resembles_is_told() -> None:
    model = based({})
    rows, _ = asked(model.layout)
    rows["averages"][:, 1] = np.arange(ROWS) % 2
    domain = np.repeat([1, 3, 4], 4).astype(np.int32)
    found = resemblance_mixed(model, tensors(rows), tf.constant(domain)).numpy()
    weights = explain_mixed(model, tensors(rows), tf.constant(domain)).numpy()
    np.testing.assert_array_equal(found[:4], np.tile([0, 1, 0, 0], (4, 1)))
    # Domain 3 is known and was not trained, 4 is not known: both are what they resemble, where that can be told.
    for i in range(4, ROWS):
        expected = weights[i] if i % 2 else [1 / 3, 1 / 3, 1 / 3, 0]
        np.testing.assert_allclose(found[i], expected, rtol=1e-5)
    assert (weights[:, 3] == 0).all()


def test_a_known_domain_without_a_batch_has_the_feature_of_what_it_resembles() -> None:
    model = based({})
    rows, _ = asked(model.layout)
    rows["averages"][:, 1] = 1
    known, unknown = (
        predict_mixed(model, tensors(rows), tf.constant(np.full(ROWS, d, np.int32))) for d in (3, 4)
    )
    for layer in ("kernel", "bias"):
        for part in (*model.specific_tower.dense, model.head.hidden, model.head.unit):
            stack = getattr(part, layer)
            stack.assign(
                stack * np.array([1, 1, 1, 0], np.float32).reshape(-1, *[1] * (stack.shape.rank - 1))
            )
    same = predict_mixed(model, tensors(rows), tf.constant(np.full(ROWS, 3, np.int32)))
    assert not np.allclose(known, unknown)
    # Its own offsets at zero, as before a row of it was trained on, it is the base like any unknown domain.
    np.testing.assert_allclose(same, unknown, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "change", [{"domain_feature": True}, {"history": "attention"}, {"common_base": False}], ids=str
)
def test_a_vector_of_its_own_has_no_base(change: dict[str, object]) -> None:
    layout = small_layout(4, history=2)
    assert not build_model(
        layout, ModelSettings(**{"layers": [4], "common_base": True, **change})
    ).serves_unknown
