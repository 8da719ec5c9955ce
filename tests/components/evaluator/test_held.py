"""What metrics gather of a slice does not go through Beam."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from apache_beam.runners.portability.fn_api_runner import execution

from components.evaluator.held import by_reference
from components.evaluator.score_tables import ScoreTable
from tests.components.evaluator.conftest import Judge, impressions


def _table(rows: int) -> ScoreTable:
    table = ScoreTable()
    table.add(np.zeros(rows, int), np.arange(rows) / rows, np.arange(rows) % 2)
    return table


def test_inside_the_block_a_number_is_pickled() -> None:
    table = _table(10_000)
    with by_reference():
        with by_reference():
            told = pickle.dumps(table)
        assert len(told) < 200
        assert pickle.loads(told) is table
    with pytest.raises(KeyError):
        pickle.loads(told)


def test_outside_the_block_the_rows_are_pickled() -> None:
    told = pickle.dumps(_table(10_000))
    assert len(told) > 10_000
    assert pickle.loads(told).group_auc().rows.tolist() == [10_000]


def test_what_beam_takes_between_stages_does_not_grow_with_the_rows(
    judge: Judge, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[int] = []
    append = execution.ListBuffer.append

    def counted(buffer: Any, element: bytes) -> None:
        taken.append(len(element))
        append(buffer, element)

    monkeypatch.setattr(execution.ListBuffer, "append", counted)
    sums = []
    for rows in (1_000, 8_000):
        taken.clear()
        judge(impressions(rows), "good")
        sums.append(sum(taken))
    assert sums[0] > 1_000
    assert sums[1] < sums[0] + 8_000
