"""Evaluation rows by the domain's value and the user, as every model is judged on them."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from components.rows.judged import JudgedRows
from pipeline.compare.collect import judged_domains, judged_rows


def _judged(domain: list[str], user: list[str], label: list[int]) -> JudgedRows:
    store = SimpleNamespace(label=np.array(label, np.float32))
    return JudgedRows(store, np.array(domain), np.array(user))  # type: ignore[arg-type]


def test_domains_are_in_the_order_of_their_rows_and_users_are_told_apart() -> None:
    rows = judged_rows(
        _judged(["10", "9", "10", "2", "9", "10"], ["b", "a", "b", "c", "a", "a"], [1, 0, 0, 1, 1, 0]),
        min_rows=2,
    )
    assert rows.domains == ("10", "9", "2")
    assert rows.domain.tolist() == [0, 1, 0, 2, 1, 0]
    assert rows.user.tolist() == [1, 0, 1, 2, 0, 0]
    found = judged_domains(rows, {"10": 0.9})
    assert {name: (d.rows, d.positives, d.counts) for name, d in found.items()} == {
        "10": (3, 1, True),
        "9": (2, 1, True),
        "2": (1, 1, False),
    }
    assert (found["10"].best_possible_auc, found["9"].best_possible_auc) == (0.9, None)
