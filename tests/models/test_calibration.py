"""The last stage: probabilities follow what was observed, orders stay."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from models.calibration import DAILY, DAY, SCALES, Calibration, fit_calibration


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def drifted(n=20_000, seed=0):
    """Three domains; the model is right in the first, too high in the second, too sure of itself in the third."""
    rng = np.random.default_rng(seed)
    domain = rng.integers(0, 3, n)
    z = rng.normal(-1, 1, n)
    truth = np.select([domain == 0, domain == 1, domain == 2], [z, z - 0.5, 0.5 * z])
    return z, (rng.random(n) < sigmoid(truth)).astype(float), domain


def test_what_stays_wrong_day_after_day_is_corrected():
    found = None
    for day in range(40):
        z, y, domain = drifted(10_000, seed=day)
        found = fit_calibration(z, y, domain, ["a", "b", "c"], found)
    z, _, domain = drifted(seed=99)
    p, truth = (
        sigmoid(found.apply(z, domain)),
        sigmoid(np.select([domain == 1, domain == 2], [z - 0.5, z / 2], z)),
    )
    for d in range(3):
        assert abs(p[domain == d].sum() / truth[domain == d].sum() - 1) < 0.03
    np.testing.assert_allclose(found.scale, [1, 1, 0.5], atol=0.15)
    np.testing.assert_allclose(found.offset, [0, -0.5, 0], atol=0.12)


def test_what_chance_makes_of_a_day_moves_little():
    """400 clicks a day in all, over 20 domains: a model that is right is left nearly as it is."""
    found = None
    for day in range(30):
        rng = np.random.default_rng(day)
        z, domain = rng.normal(-1.5, 1, 2000), rng.integers(0, 20, 2000)
        y = (rng.random(2000) < sigmoid(z)).astype(float)
        found = fit_calibration(z, y, domain, [str(d) for d in range(20)], found)
    assert np.abs(found.offset).max() < 0.15
    assert np.abs(found.scale - 1).max() < 0.1


def test_a_day_is_the_highest_posterior_that_a_general_optimiser_finds():
    z, y, domain = drifted(3000)
    before = fit_calibration(*drifted(3000, seed=1), ["a", "b", "c"])
    found = fit_calibration(z, y, domain, ["a", "b", "c"], before)
    for d in range(3):
        zd, yd = z[domain == d], y[domain == d]
        distance = np.array([before.scale[d], before.offset[d]]) - before.common
        prior = np.array(found.common) + distance
        stays = np.linalg.inv(before.covariance[d] + np.diag(np.square(DAILY)))
        of_day = np.diag(1 / np.square(DAY))

        def loss(pairs, zd=zd, yd=yd, prior=prior, stays=stays, of_day=of_day):
            """Of the pair that stays and of the day's own, together."""
            away, own = pairs[:2] - prior, pairs[2:] - pairs[:2]
            moved = pairs[2] * zd + pairs[3]
            return (np.logaddexp(0, moved) - yd * moved).sum() + 0.5 * (
                away @ stays @ away + own @ of_day @ own
            )

        best = minimize(loss, np.tile(prior, 2), bounds=[SCALES, (None, None)] * 2, method="L-BFGS-B").x
        np.testing.assert_allclose([found.scale[d], found.offset[d]], best[:2], atol=2e-3)


def test_a_domain_without_rows_and_a_new_one_get_the_common_pair():
    z, y, domain = drifted()
    found = fit_calibration(z, y, domain, ["a", "b", "c", "empty"])
    assert (found.scale[3], found.offset[3]) == found.common
    later = found.of(["c", "new", "a"])
    assert (later.scale[1], later.offset[1]) == found.common
    assert later.scale[0] == found.scale[2]
    assert later.offset[2] == found.offset[0]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(-60, 60), st.booleans(), st.integers(0, 3)), min_size=1, max_size=40))
def test_it_is_finite_and_keeps_the_order_within_a_domain_whatever_the_rows(rows):
    z, y, domain = (np.array(column) for column in zip(*rows, strict=True))
    found = fit_calibration(z, y, domain, list("abcd"))
    assert np.isfinite(found.scale).all()
    assert np.isfinite(found.offset).all()
    assert (found.scale >= SCALES[0]).all()


def test_written_and_read_it_is_the_same(tmp_path):
    assert Calibration.read(tmp_path) is None
    z, y, domain = drifted(500)
    found = fit_calibration(z, y, domain, ["a", "b", "c"])
    found.write(tmp_path)
    again = Calibration.read(tmp_path)
    assert again is not None
    np.testing.assert_array_equal(again.scale, found.scale)
    np.testing.assert_array_equal(again.offset, found.offset)
    assert (again.domains, again.common) == (found.domains, found.common)
    np.testing.assert_array_equal(again.covariance, found.covariance)
    np.testing.assert_array_equal(again.common_covariance, found.common_covariance)
