"""The rows of a study, with the model's answers to them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from components.evaluator.score_tables import GroupAUC, ScoreTable
from models.arrays import Array
from models.features import FeatureLayout
from models.rows import RowSource

Score = Callable[[Mapping[str, Array], Array], Array]
ROWS_AT_ONCE = 8192


class DatedRows(RowSource, Protocol):
    """Rows that know their day.

    Attributes:
      day: days since 1970-01-01 in the declared zone, (n,).
    """

    @property
    def day(self) -> Array: ...


@dataclass(frozen=True)
class Sample:
    """Rows of a source with predictions.

    Attributes:
      source: where the rows are.
      index: int64 (rows,), which of its rows.
      domain, label: of each row, (rows,).
      prediction: click probability of each row, (rows,).
    """

    source: RowSource
    index: Array
    domain: Array
    label: Array
    prediction: Array

    def __len__(self) -> int:
        return len(self.index)

    def categorical(self, column: int) -> Array:
        """A column of the ids (rows,)."""
        return categorical_column(self.source, self.index, column)


def evenly(rows: int, most: int) -> Array:
    """At most `most` of the indices 0 to `rows` - 1, evenly spread, int64."""
    return np.unique(np.linspace(0, rows - 1, min(rows, most)).astype(np.int64)) if rows else np.zeros(0, int)


def take(source: RowSource, score: Score, most: int) -> Sample:
    """Scores at most `most` rows, evenly spread over the source."""
    index = evenly(len(source.domain), most)
    parts = [
        score(source.gather(at), np.asarray(source.domain[at]))
        for at in np.array_split(index, max(1, -(-len(index) // ROWS_AT_ONCE)))
        if len(at)
    ]
    prediction = np.concatenate(parts) if parts else np.zeros(0)
    return Sample(
        source, index, np.asarray(source.domain[index]), np.asarray(source.label[index]), prediction
    )


def categorical_column(source: RowSource, index: Array, column: int) -> Array:
    """One column of the ids of these rows, (rows,), read in pieces."""
    parts = [
        source.gather(at)["categorical"][:, column]
        for at in np.array_split(index, max(1, -(-len(index) // 65_536)))
        if len(at)
    ]
    return np.concatenate(parts) if parts else np.zeros(0, np.int64)


def column_of(layout: FeatureLayout, name: str) -> int:
    """The first column of a categorical feature."""
    column = 0
    for feature in layout.categorical:
        if feature.name == name:
            return column
        column += feature.width
    raise KeyError(name)


def auc_by(group: Array, prediction: Array, label: Array) -> GroupAUC:
    """Exact AUC of each group of rows, with DeLong's standard error."""
    table = ScoreTable()
    table.add(group, prediction, label)
    return table.group_auc()


def one_auc(prediction: Array, label: Array) -> tuple[float | None, float | None]:
    """AUC and standard error of rows taken together; None where undefined."""
    if not len(label):
        return None, None
    found = auc_by(np.zeros(len(label), np.int64), prediction, label)
    return known(found.auc[0]), known(found.standard_error[0])


def known(value: float) -> float | None:
    """None for NaN."""
    return None if np.isnan(value) else float(value)
