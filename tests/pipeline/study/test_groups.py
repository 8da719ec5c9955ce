"""Groups of evaluation rows, and when the truth of a feed is that of the rows."""

from __future__ import annotations

import numpy as np

from components.comparison.scores import EvaluationRows
from pipeline.compare.collect import Evidence
from pipeline.study import feeds
from pipeline.study.expected import ExpectedPairs
from pipeline.study.groups import of_domains

ROWS = EvaluationRows(
    np.array([1, 0, 1, 0], np.float32), np.array([1, 0, 0, 0]), np.array([0, 1, 2, 3]), ("7", "12"), 1
)
EVIDENCE = Evidence(ROWS, np.array(list("abcd")), {})
CHOSEN = {"both": np.array([True, True]), "first": np.array([True, False]), "none": np.array([False, False])}
TRUTH: feeds.Truth = (
    np.array(["12", "7", "7", "7"]),
    np.array([0.8, 0.1, 0.6, 0.3]),
    np.array([1.0, 0.0, 1.0, 0.0]),
)


def test_the_truth_of_the_same_rows_is_theirs() -> None:
    groups = of_domains(EVIDENCE, CHOSEN, lambda: TRUTH)
    assert set(groups) == {"both", "first"}
    first = groups["first"]
    assert first.probability is not None
    assert first.rows.tolist() == [False, True, True, True]
    assert first.probability.tolist() == [0.1, 0.6, 0.3]
    assert first.best == ExpectedPairs([0.1, 0.6, 0.3], [0.1, 0.6, 0.3], np.zeros(3, int)).auc()


def test_the_truth_of_other_rows_is_not() -> None:
    domain, probability, click = TRUTH
    others = [
        (domain[:3], probability[:3], click[:3]),
        (domain[::-1], probability, click),
        (domain, probability, 1 - click),
    ]
    for other in others:
        groups = of_domains(EVIDENCE, CHOSEN, lambda other=other: other)  # type: ignore[misc]
        assert [(group.probability, group.best) for group in groups.values()] == [(None, None)] * 2
