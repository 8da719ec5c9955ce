"""GAUC, average AUC and the slice metrics against their literal definitions, for any bundling of the rows."""

from __future__ import annotations

import itertools
import json
import pickle
from collections.abc import Callable
from typing import Any

import apache_beam as beam
import numpy as np
import pytest
import tensorflow_model_analysis as tfma
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import log_loss, roc_auc_score
from tensorflow_model_analysis.metrics import metric_specs

from components.evaluator.average_auc import AverageAUC, DomainMargin
from components.evaluator.gauc import GAUC
from components.evaluator.slice_metrics import STATISTICS, UNIT, SliceMetric
from models import metrics
from tests.components.evaluator.test_score_tables import pairs_auc

ROWS = st.lists(
    st.tuples(
        st.integers(-1, 4),
        st.sampled_from(["1", "2", "x"]),
        st.sampled_from([0.0, 0.2, 0.4, 0.4, 0.7, 1.0]),
        st.integers(0, 1),
    ),
    min_size=1,
    max_size=40,
)
CUTS = st.lists(st.integers(0, 40), max_size=4)


def compute(metric: tfma.metrics.Metric, rows: list[Any], cuts: list[int], one_by_one: bool) -> float:
    """The metric of rows (user, domain, prediction, label) that arrive in pieces."""
    values: dict[Any, Any] = {}
    for computation in metric.computations(model_names=[""]):
        if isinstance(computation, tfma.metrics.MetricComputation):
            values.update(_combine(computation.combiner, rows, cuts, one_by_one))
        else:
            values.update(computation.result(values))
    return values[tfma.metrics.MetricKey(name=metric.name)]


def _combine(combiner: beam.CombineFn, rows: list[Any], cuts: list[int], one_by_one: bool) -> dict[Any, Any]:
    bounds = [0, *sorted(cut % (len(rows) + 1) for cut in cuts), len(rows)]
    accumulators = []
    for start, end in itertools.pairwise(bounds):
        accumulator = combiner.create_accumulator()
        pieces = [rows[i : i + 1] for i in range(start, end)] if one_by_one else [rows[start:end]]
        for piece in pieces:
            accumulator = combiner.add_input(accumulator, _inputs(piece))
        accumulators.append(pickle.loads(pickle.dumps(accumulator)))
    half = len(accumulators) // 2
    merged = [combiner.merge_accumulators(part) for part in (accumulators[:half], accumulators[half:])]
    return combiner.extract_output(combiner.merge_accumulators(reversed(merged)))


def _inputs(rows: list[Any]) -> tfma.metrics.StandardMetricInputs:
    user, domain, prediction, label = (
        (np.array(column) for column in zip(*rows, strict=True))
        if rows
        else (np.zeros(0, int), np.zeros(0, str), np.zeros(0), np.zeros(0))
    )
    return tfma.metrics.StandardMetricInputs(
        labels=label, predictions=prediction, features={"user": user, "place": domain.astype(object)}
    )


def groups(rows: list[Any], column: int) -> dict[Any, tuple[np.ndarray, np.ndarray]]:
    found: dict[Any, list[Any]] = {}
    for row in rows:
        found.setdefault(row[column], []).append(row[2:])
    return {key: tuple(np.array(part, float).T) for key, part in found.items()}


def literal_gauc(rows: list[Any]) -> float:
    total, weight = 0.0, 0
    # -1 stands for no user.
    for score, label in groups([row for row in rows if row[0] != -1], 0).values():
        if 0 < label.sum() < len(label):
            total += len(label) * pairs_auc(score, label)
            weight += len(label)
    return total / weight if weight else float("nan")


def literal_average(rows: list[Any], min_rows: int) -> float:
    aucs = [
        pairs_auc(score, label)
        for score, label in groups(rows, 1).values()
        if 0 < label.sum() < len(label) and len(label) >= min_rows
    ]
    return float(np.mean(aucs)) if aucs else float("nan")


@given(ROWS, CUTS, st.booleans())
@settings(max_examples=50)
def test_gauc_is_the_auc_per_user_weighted_by_impressions(rows, cuts, one_by_one):
    assert compute(GAUC(user="user"), rows, cuts, one_by_one) == pytest.approx(
        literal_gauc(rows), nan_ok=True
    )


@given(ROWS, CUTS, st.booleans(), st.integers(1, 12))
@settings(max_examples=50)
def test_average_auc_is_the_mean_over_domains_that_decide(rows, cuts, one_by_one, min_rows):
    metric = AverageAUC(domain="place", min_rows=min_rows)
    assert compute(metric, rows, cuts, one_by_one) == pytest.approx(
        literal_average(rows, min_rows), nan_ok=True
    )


@given(ROWS, CUTS, st.booleans())
@settings(max_examples=50)
def test_slice_metrics_are_what_they_say(rows, cuts, one_by_one):
    prediction, label = np.array([row[2:] for row in rows], float).T
    found = {name: compute(SliceMetric(name), rows, cuts, one_by_one) for name in STATISTICS}
    assert found["example_count"] == len(rows)
    assert found["positives"] == label.sum()
    assert found["invalid_predictions"] == 0
    assert found["auc"] == pytest.approx(pairs_auc(prediction, label), nan_ok=True)
    clipped = np.clip(prediction, 1e-7, 1 - 1e-7)
    assert found["log_loss"] == pytest.approx(log_loss(label, clipped, labels=[0, 1]), rel=1e-5, abs=1e-6)
    assert found["mean_label"] == pytest.approx(label.mean())
    assert found["mean_prediction"] == pytest.approx(prediction.mean())
    calibration = prediction.sum() / label.sum() if label.sum() else float("nan")
    assert found["calibration"] == pytest.approx(calibration, nan_ok=True)
    rounded = len(rows) * UNIT
    assert found["calibration_error"] == pytest.approx(abs(calibration - 1), abs=rounded, nan_ok=True)


@given(ROWS, CUTS)
@settings(max_examples=50)
def test_the_evaluators_metrics_are_those_of_models_metrics(rows, cuts):
    """The same definitions twice, for pieces and for arrays: what stops training is what a gate looks at."""

    def here(metric: tfma.metrics.Metric) -> float | None:
        value = compute(metric, rows, cuts, one_by_one=False)
        return None if np.isnan(value) else pytest.approx(value)

    user, domain, prediction, label = (np.array(column) for column in zip(*rows, strict=True))
    assert metrics.auc(label, prediction) == here(SliceMetric("auc"))
    assert metrics.log_loss(label, prediction) == here(SliceMetric("log_loss"))
    assert metrics.calibration(label, prediction) == here(SliceMetric("calibration"))
    known = user != -1
    assert metrics.gauc(label[known], prediction[known], user[known]) == here(GAUC(user="user"))
    scores = metrics.score(np.unique(domain, return_inverse=True)[1], label, prediction, min_rows=3)
    assert scores.average_auc == here(AverageAUC(domain="place", min_rows=3))


def test_a_domain_margin_is_zero_where_the_domain_may_not_decide():
    rows = [(0, "1", 0.9, 1), (0, "1", 0.1, 0), (0, "2", 0.9, 1), (0, "x", 0.2, 1), (0, "x", 0.8, 0)]

    def margin(value: str, min_rows: int = 2) -> float:
        metric = DomainMargin(domain="place", value=value, reference=0.6, min_rows=min_rows, name="margin")
        return compute(metric, rows, [2], one_by_one=False)

    assert margin("1") == pytest.approx(0.4)
    assert margin("x") == pytest.approx(-0.6)
    assert margin("1", min_rows=3) == 0
    assert margin("2") == 0
    assert margin("absent") == 0


def test_rows_without_a_user_do_not_count_in_gauc():
    combiner = GAUC(user="user").computations(model_names=[""])[0].combiner
    user = np.ma.array([1, 1, 7, 7], mask=[False, False, True, True])
    inputs = tfma.metrics.StandardMetricInputs(
        labels=np.array([1, 0, 0, 1]), predictions=np.array([0.9, 0.1, 0.9, 0.1]), features={"user": user}
    )
    accumulator = combiner.add_input(combiner.create_accumulator(), inputs)
    assert list(combiner.extract_output(accumulator).values()) == [1.0]


@pytest.mark.parametrize("prediction", [float("nan"), -0.01, 1.01, float("inf")])
def test_an_invalid_prediction_leaves_the_scores_undefined(prediction):
    rows = [(0, "1", 0.9, 1), (0, "1", prediction, 0), (0, "1", 0.2, 0)]
    found = {name: compute(SliceMetric(name), rows, [1], one_by_one=False) for name in STATISTICS}
    assert found["invalid_predictions"] == 1
    assert found["example_count"] == 3
    for name in ("auc", "log_loss", "calibration", "mean_prediction"):
        assert np.isnan(found[name])


@pytest.mark.parametrize("label", [2, -1, 0.5, float("nan")])
def test_a_label_that_is_not_0_or_1_is_an_error(label):
    with pytest.raises(ValueError, match="labels must be 0 or 1"):
        compute(SliceMetric("auc"), [(0, "1", 0.5, label)], [], one_by_one=False)


@pytest.mark.parametrize(
    ("kind", "config"),
    [
        (GAUC, {"user": "user", "name": "gauc"}),
        (AverageAUC, {"domain": "place", "min_rows": 5, "name": "average_auc"}),
        (DomainMargin, {"domain": "p", "value": "1", "reference": 0.5, "min_rows": 5, "name": "margin"}),
        (SliceMetric, {"statistic": "auc", "name": "auc"}),
    ],
)
def test_metrics_are_found_by_module_and_class_name(kind: Callable[..., Any], config: dict[str, Any]):
    proto = tfma.MetricConfig(class_name=kind.__name__, module=kind.__module__, config=json.dumps(config))
    spec = tfma.MetricsSpec(metrics=[proto], model_names=["candidate", "baseline"])
    computations = metric_specs.to_computations([spec], eval_config=tfma.EvalConfig())
    found = {(key.name, key.model_name) for computation in computations for key in computation.keys}
    assert found >= {(config["name"], "candidate"), (config["name"], "baseline")}


def test_an_unknown_statistic_is_refused():
    with pytest.raises(ValueError, match="no statistic 'aucc'"):
        SliceMetric("aucc")


def test_exact_auc_tells_apart_what_a_grid_of_thresholds_cannot():
    rng = np.random.default_rng(1)
    score = rng.beta(2, 20_000, 3000)
    label = (rng.random(3000) < score * 1000).astype(int)
    rows = list(zip(range(3000), ["1"] * 3000, score, label, strict=True))
    expected = roc_auc_score(label, score)
    assert compute(SliceMetric("auc"), rows, [700], one_by_one=False) == pytest.approx(expected, abs=1e-12)
    grid = compute(tfma.metrics.AUC(num_thresholds=10_000, name="auc"), rows, [700], one_by_one=True)
    assert abs(grid - expected) > 0.01
