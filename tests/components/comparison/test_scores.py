"""Metrics and tests of a comparison against literal definitions."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from components.comparison.scores import EvaluationRows, Scored, user_weights
from components.comparison.significance import (
    average_of,
    bootstrap,
    domain_bootstrap,
    mean_average_auc,
    paired_test,
    seed_test,
    user_test,
)


def test_the_average_leaves_out_small_and_one_class_domains() -> None:
    rows = EvaluationRows(
        label=np.array([1, 0, 1, 0, 1, 1, 1, 1, 0]),
        domain=np.array([0, 0, 0, 0, 1, 1, 1, 1, 2]),
        user=np.arange(9),
        domains=("a", "b", "c"),
        min_rows=2,
    )
    scored = Scored(rows, np.array([0.9, 0.1, 0.4, 0.6, 0.5, 0.5, 0.5, 0.5, 0.2]))
    assert rows.counted() == [0]
    assert scored.domain_auc(0) == 0.75
    assert scored.domain_auc(1) is None
    assert scored.average_auc() == 0.75


def test_a_bootstrap_draws_whole_users() -> None:
    user = np.array(["u", "u", "v", "w", "w", "w"])
    for weight in user_weights(user, 20, seed=1):
        for one in "uvw":
            assert len(set(weight[user == one])) == 1
        assert sum(weight[np.searchsorted(user, one)] for one in "uvw") == 3


def test_seeds_are_paired() -> None:
    test = seed_test([0.70, 0.72, 0.74], [0.69, 0.71, 0.731])
    assert test.difference == pytest.approx(0.0096667, abs=1e-6)
    assert test.p_value is not None
    assert test.p_value < 0.01
    assert seed_test([0.7], [0.6]).p_value is None
    assert seed_test([0.7, 0.72], [0.6, 0.615]).p_value is None


def test_a_better_model_wins_on_resampled_users_and_an_equal_one_does_not() -> None:
    generator = np.random.default_rng(0)
    label = generator.integers(0, 2, 4000)
    rows = EvaluationRows(
        label, generator.integers(0, 3, 4000), generator.integers(0, 500, 4000), ("a", "b", "c"), 10
    )
    good = Scored(rows, label + generator.normal(0, 1.0, 4000))
    bad = Scored(rows, label + generator.normal(0, 2.0, 4000))
    weights = user_weights(rows.user, 100, seed=2)
    better = user_test([good], [bad], weights)
    assert better.low > 0
    assert better.wins == 1.0
    same = user_test([good], [good], weights)
    assert same.low == same.high == same.difference == 0.0


def test_resampled_domains_are_their_own_aucs_and_their_mean_is_the_average() -> None:
    generator = np.random.default_rng(3)
    domain = np.array([0] * 60 + [1] * 30 + [2] * 12 + [3] * 5)
    label = generator.integers(0, 2, len(domain))
    # The clicks of domain 2 are one user's: samples without that user have no AUC there.
    user = generator.integers(0, 9, len(domain))
    label[domain == 2], user[domain == 2] = [1] + [0] * 11, [20] + [0] * 11
    rows = EvaluationRows(label, domain, user, ("a", "b", "c", "d"), 10)
    runs = [Scored(rows, generator.random(len(domain))) for _ in range(2)]
    weights = user_weights(user, 40, seed=4)
    found = domain_bootstrap(runs, weights)
    assert found.shape == (40, 3)
    for sample, weight in zip(found, weights, strict=True):
        for column in range(3):
            at = np.repeat(np.arange(len(domain)), weight.astype(int))
            at = at[domain[at] == column]
            clicks, others = at[label[at] == 1], at[label[at] == 0]
            if not len(clicks) or not len(others):
                assert np.isnan(sample[column])
                continue
            by_pairs = [
                np.mean([(run.score[i] > run.score[j]) for i in clicks for j in others]) for run in runs
            ]
            assert sample[column] == pytest.approx(np.mean(by_pairs))
    assert np.isnan(found[:, 2]).any()
    np.testing.assert_allclose(bootstrap(runs, weights), [mean_average_auc(runs, w) for w in weights])
    assert np.isnan(average_of(np.array([[np.nan, np.nan]]))).all()
    none_counts = Scored(dataclasses.replace(rows, min_rows=10_000), runs[0].score)
    assert domain_bootstrap([none_counts], weights).shape == (40, 0)
    assert np.isnan(bootstrap([none_counts], weights)).all()
    test = paired_test(0.1, found[:, 2], found[:, 2] - 0.1)
    assert (test.low, test.high, test.wins) == (pytest.approx(0.1), pytest.approx(0.1), 1.0)
