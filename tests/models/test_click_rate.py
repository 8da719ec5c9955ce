from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from models.click_rate import RARER_ROWS, shrunk_rates
from models.dispatch import predict_mixed
from models.metrics import log_loss_of_logits
from models.prediction import Predictor
from models.registry import MODELS, build_model
from models.rows import ArrayRows
from models.settings import ModelSettings, TrainingSettings
from models.training import train
from tests.models.building import sigmoid
from tests.models.helpers import learnable_rows, small_layout

LAYOUT = small_layout(domains=5)
SMALL = {"layers": [6, 4], "embedding_size": 3, "head_hidden": 3}


def rows_with(rate_of: list[float], count: int = 2000, seed: int = 3) -> ArrayRows:
    """Random rows of uneven domains (the last has none) whose clicks are drawn at these rates."""
    drawn = learnable_rows(LAYOUT, count, seed=seed)
    rng = np.random.default_rng(seed)
    domain = rng.choice(4, count, p=[0.7, 0.2, 0.09, 0.01])
    label = rng.random(count) < np.array(rate_of)[domain]
    return ArrayRows(drawn.rows, domain, label.astype(np.float32))


@pytest.mark.parametrize(
    ("name", "change"),
    [*((name, {}) for name in MODELS), ("dfei", {"common_base": True, "specific_rank": 1})],
)
def test_untrained_models_predict_the_click_rate_of_the_training_rows(name, change):
    rows = rows_with([0.004, 0.03, 0.5, 0.9])
    model = build_model(LAYOUT, ModelSettings(name=name, **SMALL, **change))
    model.start_at(rows.domain, rows.label)
    probability = sigmoid(Predictor(model).predict(rows).astype(np.float64))
    assert probability.mean() == pytest.approx(rows.label.mean(), rel=1e-5)
    expected = shrunk_rates(np.bincount(rows.domain, minlength=5), np.bincount(rows.domain, rows.label, 5))
    np.testing.assert_allclose(probability, expected[rows.domain], rtol=1e-5)
    served = predict_mixed(
        model, {k: tf.constant(v[:50]) for k, v in rows.rows.items()}, tf.constant(rows.domain[:50], tf.int32)
    )
    np.testing.assert_allclose(sigmoid(served.numpy()), expected[rows.domain[:50]], rtol=1e-5)


def test_a_model_that_is_blind_to_domains_starts_at_one_rate():
    rows = rows_with([0.1, 0.5, 0.5, 0.5])
    model = build_model(LAYOUT, ModelSettings(name="mlp", domain_feature=False, **SMALL))
    model.start_at(rows.domain, rows.label)
    np.testing.assert_allclose(sigmoid(Predictor(model).predict(rows)), rows.label.mean(), rtol=1e-5)


def test_training_starts_there_and_training_on_keeps_the_rate_but_of_new_domains():
    rows = rows_with([0.02, 0.02, 0.02, 0.02])
    model = build_model(LAYOUT, ModelSettings(name="dfei", **SMALL))
    train(model, rows, None, TrainingSettings(epochs=1, batch_size=32, learning_rate=1e-6))
    logit = Predictor(model).predict(rows)
    base = np.full(len(rows.label), np.log(rows.label.mean() / (1 - rows.label.mean())))
    assert log_loss_of_logits(rows.label, logit) == pytest.approx(
        log_loss_of_logits(rows.label, base), rel=0.01
    )

    held = model.click_logit.numpy()
    held[3] = 0.0
    model.click_logit.assign(held)
    later = rows_with([0.5, 0.5, 0.5, 0.5])
    model.start_at(later.domain, later.label)
    np.testing.assert_array_equal(model.click_logit.numpy()[:3], held[:3])
    assert sigmoid(model.click_logit.numpy()[3]) == pytest.approx(0.5, abs=0.1)


counts = st.lists(
    st.integers(0, 10_000).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n))),
    min_size=1,
    max_size=20,
).filter(lambda pairs: sum(n for n, _ in pairs) > 0)


@given(counts)
def test_rates_sum_to_the_clicks_and_lie_between_the_domain_and_all(pairs):
    rows, clicks = (np.array(column) for column in zip(*pairs, strict=True))
    rate = shrunk_rates(rows, clicks)
    assert ((rate > 0) & (rate < 1)).all()
    if 0 < clicks.sum() < rows.sum():
        assert (rows * rate).sum() == pytest.approx(clicks.sum(), rel=1e-9)


def test_rates_by_hand():
    # 100 clicks in 1,000 rows: m = 10 / .1 = 100; weights 900/1000 and 100/200 of the rows' shares.
    m = RARER_ROWS / 0.12
    w = np.array([900 / (900 + m), 100 / (100 + m)])
    mean = (w * [0.1, 0.3]).sum() / w.sum()
    expected = [(90 + m * mean) / (900 + m), (30 + m * mean) / (100 + m)]
    np.testing.assert_allclose(shrunk_rates([900, 100], [90, 30]), expected)
    assert shrunk_rates([0, 900, 100], [0, 90, 30])[0] == pytest.approx(mean)
    with pytest.raises(ValueError, match="no rows"):
        shrunk_rates([0], [0])
