"""A run's report and a comparison never order two systems differently beyond their intervals."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from components.comparison.lead import LeadOver
from components.comparison.scores import EvaluationRows, Scored
from components.study import baselines
from components.study.sample import Sample
from models.features import CategoricalFeature, FeatureLayout
from models.rows import ArrayRows
from models.settings import ModelSettings, TrainingSettings
from pipeline.compare.collect import Resampled
from pipeline.compare.result import Compared, Spread
from tests.pipeline.compare.results import compared, trained

DOMAINS = ("home", "search")
USERS = 60
LAYOUT = FeatureLayout(
    domains=DOMAINS,
    categorical=(CategoricalFeature("user", USERS + 1),),
    user="user",
)
OPPOSITE = {("ahead", "behind"), ("behind", "ahead")}


def drawn(seed: int, rows: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Users, domains and labels: users like more or less of what they see."""
    rng = np.random.default_rng(seed)
    user, domain = rng.integers(1, USERS + 1, rows), rng.integers(0, 2, rows)
    taste = rng.normal(0, 0.8, USERS + 1)[user]
    return user, domain, (rng.random(rows) < 1 / (1 + np.exp(-taste))).astype(np.float32)


def in_the_report(
    rows: tuple[np.ndarray, np.ndarray, np.ndarray], own: np.ndarray, other: np.ndarray
) -> LeadOver:
    user, domain, label = rows
    source = ArrayRows({"categorical": user[:, None]}, domain.astype(np.int32), label)
    sample = Sample(source, np.arange(len(label)), domain, label, own)
    found = baselines.leads(sample, other, LAYOUT, [0, 1], seed=7).over_these(DOMAINS)
    assert found is not None
    return found


def in_the_comparison(
    rows: tuple[np.ndarray, np.ndarray, np.ndarray], own: np.ndarray, other: np.ndarray
) -> LeadOver:
    user, domain, label = rows
    judged = EvaluationRows(label, domain, user, DOMAINS, 40)
    scored = {"dfei": [Scored(judged, own)], "mlp": [Scored(judged, other)]}
    models: list[Compared] = []
    for name, [score] in scored.items():
        model = compared(name, name, [])
        model.trained = [trained(1, score.average_auc())]
        model.average_auc = Spread.of([score.average_auc()])
        model.domain_auc = {found: score.domain_auc(d) for d, found in enumerate(DOMAINS)}
        models.append(model)
    return Resampled(models, scored).versus("dfei")["mlp"]


@given(st.integers(0, 10_000), st.floats(0.2, 3.0), st.floats(0.2, 3.0))
@settings(max_examples=12, deadline=None)
def test_report_and_comparison_agree(seed: int, own_noise: float, other_noise: float) -> None:
    rows = drawn(seed, 600)
    rng = np.random.default_rng(seed + 1)
    own, other = (rows[2] + rng.normal(0, noise, 600) for noise in (own_noise, other_noise))
    report, comparison = in_the_report(rows, own, other), in_the_comparison(rows, own, other)
    assert abs(report.difference - comparison.difference) < 1e-9
    assert (report.verdict, comparison.verdict) not in OPPOSITE
    assert report.domains.keys() == comparison.domains.keys()
    # An interval of the one holds the difference of the other.
    assert report.low <= comparison.difference <= report.high
    assert comparison.low <= report.difference <= comparison.high


def test_the_reports_mlp_is_the_comparisons() -> None:
    """The same rows, settings and seed give the same scores, whoever trains it."""
    from models.prediction import Predictor
    from models.registry import build_model
    from models.training import train

    user, domain, label = drawn(5, 800)
    source = ArrayRows({"categorical": user[:, None]}, domain.astype(np.int32), label)
    sample = Sample(source, np.arange(800), domain, label, np.full(800, 0.5))
    model, training = (
        ModelSettings(name="dfei", layers=[8]),
        TrainingSettings(epochs=2, batch_size=64, refit=True),
    )
    _, reported = baselines.mlp(source, source, sample, LAYOUT, model, training, seed=3)
    network: Any = build_model(LAYOUT, model.model_copy(update={"name": "mlp"}), seed=3)
    train(network, source, source, training, seed=3)
    np.testing.assert_allclose(
        reported, 1 / (1 + np.exp(-Predictor(network).predict(source).astype(np.float64))), atol=1e-5
    )
