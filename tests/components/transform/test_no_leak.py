"""No row's features know its own or a later label."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from components.dataset.declaration import Declaration
from tests.components.transform import direct
from tests.components.transform.strategies import DAY, DECLARED, log

LEARNED = direct.with_settings(DECLARED, prior_strength="learned")


def everything(declared: Declaration, train: list[dict[str, Any]], rows: list[dict[str, Any]]) -> np.ndarray:
    """All averages and the history of `rows`."""
    values, history = direct.look_up(declared, direct.analyse(declared, train), rows).averages()
    return np.concatenate([values.numpy(), history.numpy()], axis=1)


@pytest.mark.parametrize("declared", [DECLARED, LEARNED], ids=["fixed", "learned"])
@settings(max_examples=12)
@given(train=log(40), bucket=st.integers(0, 8), seed=st.integers(0, 99))
def test_labels_of_a_bucket_change_no_feature_up_to_it(
    declared: Declaration, train: list[dict[str, Any]], bucket: int, seed: int
) -> None:
    random = np.random.default_rng(seed)
    changed = [dict(row) for row in train]
    for row in changed:
        if row["local_time_ms"] // DAY >= bucket:
            row["behaviour.click"] = float(random.integers(0, 2))
            if row["behaviour.like"] is not None:
                row["behaviour.like"] = float(random.choice([0.0, 0.25, 2.0]))
    early = [row for row in train if row["local_time_ms"] // DAY <= bucket]
    if early:
        np.testing.assert_array_equal(
            everything(declared, train, early), everything(declared, changed, early)
        )


def planted(rows: int, seed: int) -> list[dict[str, Any]]:
    """Every user has a single fair coin toss as label in each bucket: the future tells all, the past nothing."""
    random = np.random.default_rng(seed)
    users, days = rows // 8, 8
    labels = random.integers(0, 2, (users, days)).astype(float)
    return [
        {
            "tab": int(random.integers(0, 3)),
            "user": user,
            "item": f"{user}-{day}",
            "tag": [f"{user}-{day}-{int(labels[user, day])}"],
            "local_time_ms": day * DAY + int(random.integers(0, DAY)),
            "behaviour.click": labels[user, day],
            "behaviour.like": labels[user, day],
            "click": int(labels[user, day]),
        }
        for user in range(users)
        for day in range(days)
    ]


@pytest.mark.parametrize("declared", [DECLARED, LEARNED], ids=["fixed", "learned"])
def test_a_perfect_feature_of_the_future_is_worth_nothing(declared: Declaration) -> None:
    train = planted(8000, 3)
    found = direct.averages(declared, direct.analyse(declared, train), train)
    labels = np.array([row["click"] for row in train])
    # The tag tells the label, the item is one impression: averaged over their own row they would give AUC 1.
    for name in ("tag.click", "item.click", "tag_x_user.click", "tag.count", "item.count"):
        assert not found[name].any() or roc_auc_score(labels, found[name]) == pytest.approx(0.5, abs=0.02), (
            name
        )
    for name in ("user.click", "user_x_domain.click", "user.like", "domain.click"):
        assert roc_auc_score(labels, found[name]) == pytest.approx(0.5, abs=0.03), name


def test_an_average_of_the_past_that_does_tell_is_found() -> None:
    train = planted(800, 3)
    for row in train:
        row["behaviour.click"] = float(row["user"] % 2)
    found = direct.averages(DECLARED, direct.analyse(DECLARED, train), train)
    late = np.array([row["local_time_ms"] >= DAY for row in train])
    labels = np.array([row["user"] % 2 for row in train])
    assert roc_auc_score(labels[late], found["user.click"][late]) == 1.0
    assert not found["user.click"][~late].any()


def test_shuffled_labels_of_evaluation_days_change_no_feature() -> None:
    train, evaluation = planted(400, 1), planted(80, 2)
    for row in evaluation:
        row["local_time_ms"] += 8 * DAY
    analysis = direct.analyse(LEARNED, train)
    before = direct.averages(LEARNED, analysis, evaluation)
    for row in evaluation:
        row["click"] = 1 - row["click"]
        row["behaviour.click"] = float(row["click"])
    after = direct.averages(LEARNED, analysis, evaluation)
    for name in before:
        np.testing.assert_array_equal(before[name], after[name], err_msg=name)
