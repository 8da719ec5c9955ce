"""Folding in time order, against a literal loop."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from components.transform.moving_averages import decayed_sums, domain_averages


def test_decayed_sums_by_hand() -> None:
    keys = np.array([1, 1, 1, 5, 9, 9])
    values = np.array([[1.0], [2.0], [0.0], [7.0], [1.0], [1.0]])
    assert decayed_sums(keys, values, 0.5)[:, 0].tolist() == [1.0, 2.5, 1.25, 7.0, 1.0, 1.5]


def test_no_rows() -> None:
    assert decayed_sums(np.zeros(0, np.int64), np.zeros((0, 3)), 0.9).shape == (0, 3)


def test_first_bucket_sets_and_empty_buckets_carry() -> None:
    # Domain 0 has rows in buckets 0 and 2, domain 1 in bucket 1 only; three buckets.
    folded = domain_averages(
        np.array([0, 0, 1]),
        np.array([0, 2, 1]),
        np.array([4.0, 2.0, 4.0]),
        np.array([[1.0], [2.0], [1.0]]),
        np.array([[1.0], [2.0], [1.0]]),
        np.array([[4.0], [2.0], [4.0]]),
        (3, 2),
        0.9,
    )
    np.testing.assert_allclose(folded.after[:, 0, 0], [0.25, 0.25, 0.9 * 0.25 + 0.1 * 1.0])
    np.testing.assert_allclose(folded.after[:, 1, 0], [np.nan, 0.25, 0.25])
    # As of bucket 1, domain 1 is unknown and has the known domains' mean; as of bucket 0 nothing is known.
    np.testing.assert_allclose(folded.as_of[1, :, 0], [0.25, 0.25, 0.25])
    np.testing.assert_allclose(folded.as_of[0], 0.0)
    assert folded.known.tolist() == [
        [False] * 3,
        [False, True, False],
        [False, True, True],
        [False, True, True],
    ]
    np.testing.assert_allclose(folded.overall[3, 0], (6 * 0.325 + 4 * 0.25) / 10)


@settings(max_examples=50)
@given(st.data())
def test_decayed_sums_equal_a_loop(data: st.DataObject) -> None:
    keys = np.sort(np.array(data.draw(st.lists(st.integers(0, 5), min_size=1, max_size=40))))
    values = np.array(data.draw(st.lists(st.floats(-9, 9), min_size=len(keys), max_size=len(keys))))
    decay = data.draw(st.floats(0.01, 0.99))
    state: dict[int, float] = {}
    expected = []
    for key, value in zip(keys, values, strict=True):
        state[key] = decay * state.get(key, 0.0) + value
        expected.append(state[key])
    np.testing.assert_allclose(decayed_sums(keys, values[:, None], decay)[:, 0], expected, atol=1e-9)
