"""Who saw the rows that models are evaluated on."""

from __future__ import annotations

import numpy as np
import pytest

from components.comparison.scores import user_weights
from components.decoded_rows.evaluated import users_of
from models.metrics import gauc

TIMES = np.arange(1_000, 1_005)


@pytest.mark.parametrize(
    "given", [np.array([7, -1, 7, -1, 12]), np.array([b"7", b"", b"7", b"", b"12"], object)]
)
def test_rows_without_a_user_are_not_one_user(given: np.ndarray) -> None:
    users = users_of(given, TIMES, 4096)
    assert users[[0, 2, 4]].tolist() == ["7", "7", "12"]
    assert len(set(users)) == 4
    # Neither with those of another batch or period.
    assert not {*users[[1, 3]]} & {*users_of(given, TIMES, 0)}
    assert not {*users[[1, 3]]} & {*users_of(given, TIMES + 86_400_000, 4096)}


def test_a_bootstrap_draws_rows_without_a_user_one_by_one_and_gauc_leaves_them_out() -> None:
    given = np.repeat([1, -1], [10, 400])
    users = users_of(given, np.arange(410), 0)
    shares = [weight[10:].sum() / 400 for weight in user_weights(users, 50, seed=1)]
    assert min(shares) > 0.7
    assert max(shares) < 1.3
    generator = np.random.default_rng(0)
    label, score = generator.integers(0, 2, 410), generator.random(410)
    assert gauc(label, score, users) == pytest.approx(gauc(label[:10], score[:10], users[:10]))
