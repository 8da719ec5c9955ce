"""Tests over seeds and users together, and families of tests."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from components.comparison.significance import combined_test, holm


def test_seeds_and_users_count_together() -> None:
    users = np.random.default_rng(0).normal(0.01, 0.002, 4000)
    alone = combined_test([0.01, 0.01, 0.01], users)
    assert alone.standard_error == pytest.approx(0.002, rel=0.05)
    assert alone.high - alone.low == pytest.approx(2 * 1.96 * 0.002, rel=0.05)
    differences = [0.005, 0.01, 0.015]
    both = combined_test(differences, users)
    assert both.difference == pytest.approx(0.01)
    expected = users.var(ddof=1) + np.var(differences, ddof=1) / 3
    assert both.standard_error == pytest.approx(expected**0.5)
    assert both.p_value is not None
    assert alone.p_value is not None
    assert both.p_value > 10 * alone.p_value
    # Without users to draw it is the paired t-test over seeds.
    seeds = combined_test(differences, np.full(10, 0.01))
    assert seeds.p_value == pytest.approx(stats.ttest_1samp(differences, 0).pvalue)
    assert combined_test([0.0, 0.0], np.zeros(5)).p_value is None


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_holm_is_the_step_down_procedure(p_values: list[float]) -> None:
    adjusted = holm(p_values)
    for level in (0.01, 0.05, 0.3):
        rejected = set()
        for place, n in enumerate(sorted(range(len(p_values)), key=lambda n: p_values[n])):
            if p_values[n] * (len(p_values) - place) > level:
                break
            rejected.add(n)
        assert {n for n, p in enumerate(adjusted) if p <= level} == rejected
