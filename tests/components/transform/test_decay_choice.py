"""Decays chosen from the log, where the best one is known by algebra."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from components.transform.decay_choice import CANDIDATES, USUAL, DecayState, expected_mse
from components.transform.moving_averages import DomainStart, domain_averages

ROWS = 100.0


def walks(decay: float, domains: int, buckets: int, seed: int = 0) -> np.ndarray:
    """Random walks with noise (T, D, 1) whose best average has this decay.

    With `q` the variance of a step over that of the noise, the steady-state Kalman filter's gain is
    K = (sqrt(q^2 + 4 q) - q) / 2, hence q = K^2 / (1 - K); it is the average of decay 1 - K.
    """
    gain = 1 - decay
    q = gain**2 / (1 - gain)
    assert (np.sqrt(q**2 + 4 * q) - q) / 2 == pytest.approx(gain)
    rng = np.random.default_rng(seed)
    level = np.cumsum(rng.normal(0, q**0.5, (buckets, domains, 1)), axis=0)
    return level + rng.normal(0, 1, level.shape)


def chosen(means: np.ndarray, rows: float = ROWS) -> np.ndarray:
    state = DecayState.empty(*means.shape[1:])
    for mean in means:
        state = state.moved(mean, np.full_like(mean, rows))
    return np.array(CANDIDATES)[state.chosen()]


@pytest.mark.parametrize("best", [0.3, 0.5, 0.8, 0.95])
def test_of_a_random_walk_with_noise_it_is_the_kalman_filters(best: float) -> None:
    found = chosen(walks(best, domains=20, buckets=3000))
    place = {decay: n for n, decay in enumerate(CANDIDATES)}
    assert (found == best).mean() > 0.5
    assert max(abs(place[one] - place[best]) for one in found) <= 1


def test_its_error_is_the_kalman_filters() -> None:
    """The steady-state variance of a prediction is 1 / (1 - K) times the noise."""
    for best in (0.5, 0.8):
        means = walks(best, domains=50, buckets=2000, seed=1)
        state = DecayState.empty(50, 1)
        for mean in means:
            state = state.moved(mean, np.ones_like(mean))
        mse = state.errors[:, CANDIDATES.index(best), 0] / state.values[:, 0]
        assert mse.mean() == pytest.approx(1 / best, rel=0.03)
        for place, decay in enumerate(CANDIDATES):
            found = state.errors[:, place, 0] / state.values[:, 0]
            assert found.mean() == pytest.approx(expected_mse(best, decay), rel=0.05)


def test_domains_of_different_kinds_get_different_decays() -> None:
    fast, slow = walks(0.1, 5, 800, seed=2), walks(0.95, 5, 800, seed=3)
    # How large values are, and how often they are seen, says nothing of how fast they move.
    found = chosen(np.concatenate([1000 * fast, 0.001 * slow], axis=1))
    assert found[:5].max() <= 0.3
    assert found[5:].min() >= 0.9


@pytest.mark.parametrize("best", [0.1, 0.95])
def test_a_domain_of_few_buckets_takes_nearly_what_suits_all(best: float) -> None:
    many, own = walks(best, domains=30, buckets=400, seed=4), np.array([0.0, 1.0, 0.5])[:, None, None]
    state = DecayState.empty(31, 1)
    for t, mean in enumerate(many):
        late = t >= 397
        count = np.full((31, 1), ROWS)
        count[30] = ROWS if late else 0.0
        state = state.moved(np.concatenate([mean, own[t - 397] if late else np.zeros((1, 1))]), count)
    everyone = np.array(CANDIDATES)[state.chosen()]
    assert np.median(everyone[:30]) == best
    assert abs(everyone[30] - best) <= 0.2


def test_the_usual_decay_stands_while_nobody_has_many_buckets() -> None:
    state = DecayState.empty(3, 2)
    assert (np.array(CANDIDATES)[state.chosen()] == USUAL).all()
    state = state.moved(np.ones((3, 2)), np.ones((3, 2)))
    assert (state.current() == 1).all()
    # One error is the same for all candidates.
    state = state.moved(np.full((3, 2), 5.0), np.ones((3, 2)))
    assert (np.array(CANDIDATES)[state.chosen()] == USUAL).all()
    short = chosen(walks(USUAL, domains=20, buckets=12))
    assert np.median(np.abs(short - USUAL)) <= 0.11


def folded(means: np.ndarray, start: DomainStart | None = None):
    buckets, domains, _ = means.shape
    at = np.indices((buckets, domains)).reshape(2, -1)
    sums = ROWS * means.reshape(-1, means.shape[2])
    rows, counts = np.full(at.shape[1], ROWS), np.full_like(sums, ROWS)
    return domain_averages(at[1], at[0], rows, sums, sums**2, counts, (buckets, domains), None, start)


def test_no_bucket_sees_a_later_one_and_pieces_fold_as_one() -> None:
    means = walks(0.5, domains=4, buckets=40, seed=5)
    whole = folded(means)
    first = folded(means[:25])
    np.testing.assert_array_equal(whole.after[:25], first.after)
    assert first.decays is not None
    start = DomainStart(first.after[-1], first.seen[-1], first.totals[:, -1], first.decays[1])
    rest = folded(means[25:], start)
    np.testing.assert_allclose(rest.after, whole.after[25:])
    assert whole.decays is not None
    assert rest.decays is not None
    for field in dataclasses.fields(DecayState):
        np.testing.assert_allclose(getattr(rest.decays[1], field.name), getattr(whole.decays[1], field.name))


def test_domains_are_carried_by_their_places() -> None:
    state = DecayState.empty(2, 1).moved(np.array([[1.0], [2.0]]), np.ones((2, 1)))
    moved = state.of(np.array([1, -1, 0]))
    np.testing.assert_array_equal(moved.averages[[0, 2]], state.averages[[1, 0]])
    assert np.isnan(moved.averages[1]).all()
