"""The last stage: probabilities follow what was observed, orders stay."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from models.calibration import PRIOR_DEVIATION, SCALES, Calibration, fit_calibration


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def drifted(n=20_000, seed=0):
    """Three domains; the model is right in the first, too high in the second, too sure of itself in the third."""
    rng = np.random.default_rng(seed)
    domain = rng.integers(0, 3, n)
    z = rng.normal(-1, 1, n)
    truth = np.select([domain == 0, domain == 1, domain == 2], [z, z - 0.5, 0.5 * z])
    return z, (rng.random(n) < sigmoid(truth)).astype(float), domain


def test_each_domain_is_brought_to_what_was_observed():
    z, y, domain = drifted()
    found = fit_calibration(z, y, domain, ["a", "b", "c"])
    p = sigmoid(found.apply(z, domain))
    for d in range(3):
        assert abs(p[domain == d].sum() / y[domain == d].sum() - 1) < 0.01
    np.testing.assert_allclose(found.scale, [1, 1, 0.5], atol=0.08)
    np.testing.assert_allclose(found.offset, [0, -0.5, 0], atol=0.08)


def test_the_fit_is_the_highest_posterior_that_a_general_optimiser_finds():
    z, y, domain = drifted(3000)
    found = fit_calibration(z, y, domain, ["a", "b", "c"])
    common = np.array(found.common)
    for d in range(3):
        zd, yd = z[domain == d], y[domain == d]

        def loss(pair, zd=zd, yd=yd):
            moved = pair[0] * zd + pair[1]
            prior = 0.5 * (((pair - common) / PRIOR_DEVIATION) ** 2).sum()
            return (np.logaddexp(0, moved) - yd * moved).sum() + prior

        best = minimize(loss, common, bounds=[SCALES, (None, None)], method="L-BFGS-B").x
        np.testing.assert_allclose([found.scale[d], found.offset[d]], best, atol=2e-3)


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
