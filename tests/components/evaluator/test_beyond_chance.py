"""Gates that allow for chance: errors as a bootstrap over users has them, blessings, and what is said."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.comparison.scores import user_weights
from components.evaluator.beyond_chance import BothRows, Bounds, missed
from components.evaluator.influence import JudgedRows, clustered_error, estimate
from tests.components.evaluator.conftest import Judge, impressions

METRICS = (
    "overall_auc",
    "average_auc",
    "gauc",
    "log_loss",
    "normalized_entropy",
    "calibration",
)


def _rows(rows: int = 1500, users: int = 150, seed: int = 0) -> JudgedRows:
    """Users who like more or less of all that they see: rows of one are alike."""
    rng = np.random.default_rng(seed)
    user = rng.integers(0, users, rows)
    taste = rng.normal(0, 1, users)[user]
    known = rng.normal(-1, 1, rows)
    label = (rng.random(rows) < 1 / (1 + np.exp(-known - taste))).astype(float)
    return JudgedRows(
        label, rng.integers(0, 3, rows), user, 1 / (1 + np.exp(-known - 0.4 * taste)), min_rows=100
    )


def _drawn(rows: JudgedRows, weight: np.ndarray) -> JudgedRows:
    """The rows of one bootstrap sample; users drawn twice are two."""
    again = np.repeat(np.arange(len(weight)), weight.astype(int))
    copies = np.concatenate([np.arange(int(n)) for n in weight]) if len(again) else again
    return dataclasses.replace(
        rows,
        label=rows.label[again],
        domain=rows.domain[again],
        user=rows.user[again] * 100 + copies,
        prediction=rows.prediction[again],
    )


@pytest.mark.parametrize("metric", METRICS)
def test_errors_are_those_of_a_bootstrap_over_users(metric: str) -> None:
    rows = _rows()
    worse = dataclasses.replace(
        rows, prediction=np.clip(rows.prediction + np.random.default_rng(5).normal(0, 0.1, 1500), 0.01, 0.99)
    )
    weights = user_weights(rows.user, 200, seed=1)
    own = [estimate(metric, _drawn(rows, weight)).value for weight in weights]
    other = [estimate(metric, _drawn(worse, weight)).value for weight in weights]
    one, two = estimate(metric, rows), estimate(metric, worse)
    assert one.error(rows.user) == pytest.approx(np.std(own), rel=0.2)
    paired = clustered_error(one.influence - two.influence, rows.user)
    assert paired == pytest.approx(np.std(np.subtract(own, other)), rel=0.2)


@given(st.integers(0, 10_000), st.integers(1, 60))
def test_influences_add_up_to_nothing(seed: int, rows: int) -> None:
    rng = np.random.default_rng(seed)
    judged = JudgedRows(
        rng.integers(0, 2, rows).astype(float),
        rng.integers(0, 3, rows),
        rng.integers(0, 9, rows),
        rng.integers(1, 9, rows) / 10,
    )
    for metric in METRICS:
        found = estimate(metric, judged)
        assert np.isnan(found.value) or abs(found.influence.sum()) < 1e-9


def test_what_counts_as_missed() -> None:
    bounds = Bounds(3.0, min=0.6, max_drop=0.01)
    assert missed(bounds, 0.593, 0.01, None, np.nan)["min"] < 0
    assert missed(bounds, 0.563, 0.01, None, np.nan)["min"] > 0
    assert missed(bounds, 0.7, 0.01, 0.02, 0.008)["max_drop"] < 0, "chance makes such a drop"
    assert missed(bounds, 0.7, 0.01, 0.02, 0.005)["max_drop"] > 0
    assert missed(bounds, 0.7, 0.01, 0.009, 0.001)["max_drop"] < 0, "certain, and allowed"
    assert missed(bounds, np.nan, np.nan, np.nan, np.nan) == {"min": np.inf, "max_drop": np.inf}


def test_of_too_many_rows_a_part_of_the_users_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    from components.evaluator import beyond_chance
    from components.evaluator.score_tables import group_ids

    rows = _rows(4000, 2000)
    columns = (rows.label, rows.domain, group_ids(rows.user), rows.prediction)
    whole = BothRows(("",))
    whole.add(columns)
    monkeypatch.setattr(beyond_chance, "LIMIT", 1500)
    parts = [BothRows(("",)), BothRows(("",))]
    for part, half in zip(parts, (slice(0, 2500), slice(2500, None)), strict=True):
        part.add(tuple(column[half] for column in columns))
    parts[0].merge(parts[1])
    assert parts[0].rows <= 1500
    value, error, *_ = parts[0].figures("overall_auc", "", None, min_rows=1, only=None)
    exact, own, *_ = whole.figures("overall_auc", "", None, min_rows=1, only=None)
    assert error == pytest.approx(own, rel=0.15)
    assert abs(value - exact) < 4 * error / 0.5**0.5


def test_a_drop_within_chance_is_blessed_and_one_beyond_it_is_not(judge: Judge) -> None:
    bounds = {"average_auc": {"min": 0.5, "max_drop": 0.001}, "normalized_entropy": {"max": 1.0}}
    few = judge(impressions(400), "worse", "good", deviations=3.0, min_rows=30, thresholds=bounds)
    assert few.blessed
    assert few.result.blessed
    many = judge(impressions(6000), "worse", "good", deviations=3.0, thresholds=bounds)
    assert not many.blessed
    [why] = many.result.failures
    assert "worse than that of the model in service" in why
    assert "at most 0.001 is allowed, or what chance explains (3 standard errors)" in why
    assert [gate.passed for gate in many.result.gates] == [True, True, False, True]


def test_a_bound_on_a_domain_and_one_that_is_undefined(judge: Judge) -> None:
    rows = impressions(3000)
    found = judge(
        rows,
        "bad in search",
        deviations=3.0,
        min_rows=100,
        thresholds={"calibration": {"max": 1.5}},
        domains={"search": {"min": 0.6}, "tiny": {"min": 0.9}},
    )
    assert not found.blessed
    [why] = found.result.failures
    assert "AUC of domain search" in why
    assert "below the threshold 0.6 by more than chance explains" in why
    assert found.result.notes


def test_where_no_domain_decides_all_rows_together_do(judge: Judge) -> None:
    # A feed of few rows would else be refused every day for ever: its newest hours have no domain of so many rows.
    bounds = {"average_auc": {"min": 0.6, "max_drop": 0.001}}
    few = judge(impressions(3000), "good", deviations=3.0, min_rows=100_000, thresholds=bounds)
    assert few.blessed
    [gate] = [gate for gate in few.result.gates if "overall AUC, as no domain has" in gate.condition]
    assert gate.value.startswith(f"{few.result.overall_auc:.4f} ± ")
    worse = judge(impressions(6000), "worse", "good", deviations=3.0, min_rows=100_000, thresholds=bounds)
    assert not worse.blessed
    [why] = worse.result.failures
    assert "overall AUC, as no domain has" in why
    assert "worse than that of the model in service" in why
    rows = impressions(300)
    unclicked = judge(
        dataclasses.replace(rows, label=np.zeros_like(rows.label)), "good", deviations=3.0, thresholds=bounds
    )
    assert not unclicked.blessed
    assert unclicked.result.failures[0].startswith("average AUC is undefined (no domain has")


def test_a_model_of_other_types_and_one_that_overflows(judge: Judge) -> None:
    bounds = {"average_auc": {"min": 0.5, "max_drop": 0.01}}
    rows = impressions(1500)
    beside = judge(rows, "good", "of other types", deviations=3.0, thresholds=bounds)
    assert not beside.blessed
    assert "cannot be compared" in beside.result.failures[0]
    overflowing = judge(rows, "overflowing", deviations=3.0, thresholds=bounds)
    assert not overflowing.blessed
    assert "are not probabilities" in overflowing.result.failures[0]
