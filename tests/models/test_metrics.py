"""The metrics against their literal definitions."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.metrics import (
    GroupedScores,
    RankedScores,
    auc,
    auc_of_counts,
    calibration,
    gauc,
    log_loss,
    log_loss_of_logits,
    score,
    size_classes,
    within_auc,
)

ROWS = st.lists(
    st.tuples(st.integers(0, 1), st.integers(0, 4), st.integers(0, 3), st.integers(0, 3)),
    min_size=1,
    max_size=30,
)


def test_auc_by_hand():
    assert auc(np.array([0, 1]), np.array([0.2, 0.9])) == 1
    assert auc(np.array([1, 0]), np.array([0.2, 0.9])) == 0
    assert auc(np.array([0, 1, 1, 0]), np.array([0.5, 0.5, 0.7, 0.6])) == 0.625
    assert auc(np.array([1, 0, 1]), np.zeros(3)) == 0.5


@pytest.mark.parametrize("label", [[], [0, 0], [1, 1, 1]])
def test_one_class_has_no_auc(label):
    assert auc(np.array(label), np.arange(len(label))) is None


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(-3, 3)), max_size=30))
def test_auc_is_the_share_of_ordered_pairs(rows):
    pairs = [(p > n) + 0.5 * (p == n) for label, p in rows if label for other, n in rows if not other]
    label, value = np.array([r[0] for r in rows]), np.array([r[1] for r in rows])
    assert auc(label, value) == (pytest.approx(np.mean(pairs)) if pairs else None)


def test_log_loss_of_logits_by_hand_and_far_out():
    assert log_loss_of_logits(np.array([1.0]), np.array([0.0])) == pytest.approx(np.log(2))
    assert log_loss_of_logits(np.array([1.0, 0.0]), np.array([1000.0, 1000.0])) == pytest.approx(500)


def test_the_average_is_over_qualified_domains_alone():
    domain = np.array([0] * 4 + [1] * 4 + [2] * 4 + [3] * 2)
    label = np.array([0, 1, 0, 1] + [0, 1, 1, 0] + [0] * 4 + [0, 1])
    logit = np.array([1, 2, 1, 2, 2, 1, 2, 1, 1, 2, 3, 4, 9, 1])
    scores = score(domain, label, logit, min_rows=3)
    assert scores.domain_auc == {0: 1.0, 1: 0.5, 3: 0.0}
    assert scores.average_auc == scores.criterion == 0.75
    assert scores.rows == 14


def test_what_training_is_stopped_by_when_no_domain_qualifies():
    few = score(np.array([0, 1]), np.array([0, 1]), np.array([1.0, 2.0]), min_rows=2)
    assert few.average_auc is None
    assert few.criterion == -few.log_loss
    one_class = score(np.array([0]), np.array([0]), np.array([0.0]), min_rows=1)
    assert one_class.criterion == pytest.approx(-np.log(2))


def _literal_auc(label: np.ndarray, score: np.ndarray, weight: np.ndarray) -> float | None:
    won = total = 0.0
    for i, j in itertools.product(range(len(label)), repeat=2):
        if label[i] == 1 and label[j] == 0:
            pair = weight[i] * weight[j]
            total += pair
            won += pair * (1.0 if score[i] > score[j] else 0.5 if score[i] == score[j] else 0.0)
    return won / total if total else None


@given(ROWS)
def test_auc_with_ties_and_weights_is_the_share_of_pairs_in_order(
    rows: list[tuple[int, int, int, int]],
) -> None:
    label, score, weight, _ = (np.array(column, float) for column in zip(*rows, strict=True))
    expected = _literal_auc(label, score, weight)
    found = RankedScores(label, score).auc(weight)
    assert found == (None if expected is None else pytest.approx(expected))


@given(ROWS)
def test_gauc_is_the_users_auc_weighted_by_their_rows(rows: list[tuple[int, int, int, int]]) -> None:
    label, score, _, user = (np.array(column, float) for column in zip(*rows, strict=True))
    aucs, sizes = [], []
    for one in np.unique(user):
        here = user == one
        auc = _literal_auc(label[here], score[here], np.ones(here.sum()))
        if auc is not None:
            aucs.append(auc)
            sizes.append(here.sum())
    expected = np.average(aucs, weights=sizes) if aucs else None
    assert gauc(label, score, user) == (None if expected is None else pytest.approx(expected))


@given(ROWS)
def test_pairs_of_groups_are_pooled_and_weigh_by_their_rows(rows: list[tuple[int, int, int, int]]) -> None:
    label, score, weight, group = (np.array(column, float) for column in zip(*rows, strict=True))
    for weights in (np.ones(len(label)), weight):
        won = total = 0.0
        for i, j in itertools.product(range(len(label)), repeat=2):
            if group[i] == group[j] and label[i] == 1 and label[j] == 0:
                pair = weights[i] * weights[j]
                total += pair
                won += pair * (1.0 if score[i] > score[j] else 0.5 if score[i] == score[j] else 0.0)
        expected = pytest.approx(won / total) if total else None
        assert GroupedScores(label, score, group).auc(weights) == expected
        if (weights == 1).all():
            assert within_auc(label, score, group) == expected


def test_one_group_pooled_is_the_auc_and_groups_rates_tell_nothing() -> None:
    label, value = np.array([0, 1, 1, 0]), np.array([0.5, 0.5, 0.7, 0.6])
    assert within_auc(label, value, np.zeros(4)) == auc(label, value) == 0.625
    group = np.array([0, 0, 0, 1, 1, 1])
    label = np.array([0, 0, 1, 0, 1, 1])
    assert within_auc(label, group, group) == 0.5
    assert auc(label, group) > 0.5
    assert within_auc(label, group, np.arange(6)) is None


@given(st.lists(st.integers(0, 50), min_size=1, max_size=20))
def test_size_classes_are_cut_at_half_and_nine_tenths_of_the_rows(rows: list[int]) -> None:
    found = size_classes(np.array(rows))
    for i, own in enumerate(rows):
        # Domains of as many rows come in the order given.
        before = sum(other for j, other in enumerate(rows) if other > own or (other == own and j < i))
        share = Fraction(1) if own == 0 else Fraction(before, sum(rows))
        expected = 0 if share < Fraction(1, 2) else 1 if share < Fraction(9, 10) else 2
        assert found[i] == expected


def test_log_loss_by_hand() -> None:
    assert log_loss(np.array([1, 0]), np.array([0.8, 0.4])) == pytest.approx(-(np.log(0.8) + np.log(0.6)) / 2)
    certain = log_loss(np.array([0, 1]), np.array([1.0, 1.0]))
    assert certain == pytest.approx(-np.log(1e-7) / 2)


def test_calibration_by_hand() -> None:
    assert calibration(np.array([1, 0, 0, 1]), np.array([0.5, 0.25, 0.25, 0.5])) == 0.75
    assert calibration(np.array([0, 0]), np.array([0.5, 0.5])) is None


def test_counted_scores() -> None:
    assert auc_of_counts(np.array([2, 0, 1]), np.array([0, 3, 1])) == pytest.approx((3 * 2 + 2.5) / 12)
    assert auc_of_counts(np.array([2, 1]), np.array([0, 0])) is None
    assert auc_of_counts(np.zeros(0), np.zeros(0)) is None
