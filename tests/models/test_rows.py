from __future__ import annotations

import numpy as np
import pytest

from models.rows import ArrayRows, JoinedRows


def rows(values: list[int]) -> ArrayRows:
    column = np.array(values)[:, None]
    return ArrayRows(
        {"categorical": column, "numeric": column / 2}, np.array(values) % 3, np.array(values) % 2
    )


def test_gather_keeps_the_shape_of_the_indices():
    gathered = rows([5, 6, 7]).gather(np.array([[2, 0], [1, 1]]))
    np.testing.assert_array_equal(gathered["categorical"][..., 0], [[7, 5], [6, 6]])
    assert gathered["numeric"].shape == (2, 2, 1)


def test_joined_rows_follow_each_other():
    joined = JoinedRows(rows([5, 6, 7]), rows([8, 9]))
    np.testing.assert_array_equal(joined.domain, np.array([5, 6, 7, 8, 9]) % 3)
    np.testing.assert_array_equal(joined.label, np.array([5, 6, 7, 8, 9]) % 2)
    for indices in ([[4, 0], [2, 3]], [[0, 1]], [[3, 4]]):
        gathered = joined.gather(np.array(indices))
        np.testing.assert_array_equal(gathered["categorical"][..., 0], np.array(indices) + 5)
        np.testing.assert_array_equal(gathered["numeric"][..., 0], (np.array(indices) + 5) / 2)


def test_contradicting_arrays_are_refused():
    with pytest.raises(ValueError, match="different lengths"):
        ArrayRows({"numeric": np.zeros((2, 1))}, np.zeros(3), np.zeros(3))
    with pytest.raises(ValueError, match="0 or 1"):
        ArrayRows({"numeric": np.zeros((2, 1))}, np.zeros(2), np.array([0, 2]))
