"""From transformed rows to those that a model is evaluated on."""

from __future__ import annotations

import numpy as np

from components.comparison.evaluation_rows import evaluation_rows
from tests.models.helpers import learnable_rows, small_layout


def test_a_row_without_a_user_is_one_of_its_own() -> None:
    layout = small_layout()
    rows = learnable_rows(layout, 40, seed=1)
    ids = rows.rows["categorical"][:, 0]
    assert layout.categorical[0].name == layout.user
    ids[:] = np.arange(40) % 3
    user = evaluation_rows(rows, layout, 5).user
    assert user[ids > 0].tolist() == ids[ids > 0].tolist()
    assert len(set(user)) == 2 + (ids == 0).sum()
