from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.metrics import auc, log_loss, score


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


def test_log_loss_by_hand_and_far_out():
    assert log_loss(np.array([1.0]), np.array([0.0])) == pytest.approx(np.log(2))
    assert log_loss(np.array([1.0, 0.0]), np.array([1000.0, 1000.0])) == pytest.approx(500)


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
    assert few.criterion == few.overall_auc == 1
    one_class = score(np.array([0]), np.array([0]), np.array([0.0]), min_rows=1)
    assert one_class.criterion == pytest.approx(-np.log(2))
