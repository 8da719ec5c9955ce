"""Columns that know the label too well: what is only written once the user has reacted must not be a feature."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from models.metrics import auc, log_loss

SUSPICIOUS_AUC = 0.9
SUSPICIOUS_SHARE = 0.5
_FOLDS = 5
_BUCKETS = 32
_PRIOR_ROWS = 5.0
_MOST_ROWS = 100_000
_FEWEST = 20
# Share of the filled rows that may have label 0 without clearing the column.
_STRAY = 0.01
# What may be told by one of its values, and how seldom chance gives one value clicks alone.
_FEW_VALUES, _CHANCE = 50, 1e-6


@dataclass(frozen=True)
class Leak:
    """Why a column is suspected.

    Attributes:
      column: its name.
      auc, share: what this column alone tells; see `Alone`.
      only_with_label: what is only there when the label is 1 ("filled", "not 0", "'yes'"); empty otherwise.
      ahead: what it knows of the last days (`ahead`), in words; empty otherwise.
    """

    column: str
    auc: float
    share: float
    only_with_label: str = ""
    ahead: str = ""

    @property
    def why(self) -> str:
        """For a comment."""
        if self.ahead:
            return f"LEAK? {self.ahead}"
        if self.only_with_label:
            return f"LEAK? {self.only_with_label} only in rows whose label is 1"
        return (
            f"LEAK? alone it predicts the label with an AUC of {self.auc:.3f}, and takes {self.share:.0%} off the log "
            "loss (out of fold)"
        )


def find_leaks(rows: pl.DataFrame, label: pl.Series, columns: list[str]) -> list[Leak]:
    """The suspicious ones of these columns, worst first.

    Args:
      rows: sampled rows, columns cast to what they are.
      label: 0, 1 or null, one for each row.
      columns: of single values or lists.
    """
    known = label.is_not_null()
    every = max(1, int(known.sum()) // _MOST_ROWS)
    rows = rows.filter(known).gather_every(every)
    target = label.filter(known).gather_every(every).to_numpy().astype(np.int8)
    if not 0 < target.sum() < len(target):
        return []
    fold = np.random.default_rng(0).integers(0, _FOLDS, len(target))
    found = []
    for name in columns:
        only = only_with_label(rows[name], target)
        alone = single_column(rows[name], target, fold)
        if only or alone.too_good:
            found.append(Leak(name, alone.auc, alone.share, only))
    return sorted(found, key=lambda leak: (not leak.only_with_label, -leak.auc))


@dataclass(frozen=True)
class Alone:
    """What a column alone tells of the label, out of fold.

    Attributes:
      auc: of the label.
      share: of the log loss of the constant rate that it takes off.
    """

    auc: float
    share: float

    @property
    def too_good(self) -> bool:
        """Whether hardly anything that is known before an impression tells so much."""
        return self.auc >= SUSPICIOUS_AUC or self.share >= SUSPICIOUS_SHARE


def single_column(column: pl.Series, target: npt.NDArray[np.int8], fold: npt.NDArray[np.int64]) -> Alone:
    """Predicts each row by the smoothed label rate of its value in the other folds.

    Numbers with many values go by quantile buckets. A missing value is a value of its own.

    Args:
      column: (rows,), of single values or lists.
      target: 0 or 1, (rows,).
      fold: of each row, 0 to 4, (rows,).
    """
    codes = _codes(column)
    size = int(codes.max()) + 1
    shape = (_FOLDS, size)
    rows = np.zeros(shape)
    ones = np.zeros(shape)
    np.add.at(rows, (fold, codes), 1.0)
    np.add.at(ones, (fold, codes), target)
    other_rows, other_ones = rows.sum(0) - rows, ones.sum(0) - ones
    prior = other_ones.sum(1) / np.maximum(1.0, other_rows.sum(1))
    rates = (other_ones + _PRIOR_ROWS * prior[:, None]) / (other_rows + _PRIOR_ROWS)
    # A fold's own prior differs a little from the others': compare within folds, where it is the same.
    values = []
    for number in range(_FOLDS):
        mine = fold == number
        found = auc(target[mine], rates[number, codes[mine]])
        if found is not None:
            values.append(found)
    share = 1.0 - log_loss(target, rates[fold, codes]) / max(log_loss(target, prior[fold]), 1e-12)
    return Alone(float(np.mean(values)) if values else 0.5, share)


def _codes(column: pl.Series) -> npt.NDArray[np.int64]:
    if column.dtype.is_numeric() and column.n_unique() > 4 * _BUCKETS:
        numbers = column.cast(pl.Float64).to_numpy()
        finite = np.isfinite(numbers)
        inner = np.linspace(0, 1, _BUCKETS + 1)[1:-1]
        edges = np.unique(np.quantile(numbers[finite], inner)) if finite.any() else np.zeros(0)
        return np.where(finite, np.searchsorted(edges, numbers, side="right") + 1, 0).astype(np.int64)
    if isinstance(column.dtype, pl.List):
        joined = column.list.eval(pl.element().cast(pl.String)).list.join("\x1f")
        column = joined.to_frame().select(pl.when(pl.first() != "").then(pl.first())).to_series()
    return (column.cast(pl.String).fill_null("\0").rank("dense") - 1).to_numpy().astype(np.int64)


def only_with_label(column: pl.Series, target: npt.NDArray[np.int8]) -> str:
    """What of a column is only there where the label is 1: that it is filled, not 0, or one of its few values.

    Args:
      column: of one value in a row, null where there is none, or of lists, whose values are looked at one by one.
      target: 0 or 1, one for each row.
    Returns:
      "filled", "not 0", the value in quotes, or nothing.
    """
    rate = float(target.mean())
    # Where nearly all labels are 1, a value with no other says nothing.
    if not 0 < rate < 0.9:
        return ""
    several = isinstance(column.dtype, pl.List)
    filled = ((column.list.len() > 0).fill_null(False) if several else column.is_not_null()).to_numpy()
    states = [("filled", filled)]
    if column.dtype.is_numeric():
        states.append(("not 0", filled & (column.fill_null(0) != 0).to_numpy()))
    for name, state in states:
        rows = int(state.sum())
        with_label = int((state & (target == 1)).sum())
        if rows >= _FEWEST and rows - with_label <= _STRAY * rows:
            return name
    frame = pl.DataFrame({"value": column.list.unique() if several else column, "label": target})
    frame = (frame.explode("value") if several else frame).drop_nulls()
    if (
        column.dtype.is_float()
        or not (several or column.n_unique() >= 2)
        or frame["value"].n_unique() > _FEW_VALUES
    ):
        return ""
    frame = frame.with_columns(pl.col("value").cast(pl.String))
    values = frame.group_by("value").agg(rows=pl.len(), clicks=pl.col("label").cast(pl.Int64).sum())
    few_zeros = values.filter(
        (pl.col("rows") >= _FEWEST) & (pl.col("rows") - pl.col("clicks") <= _STRAY * pl.col("rows"))
    )
    for value, rows, _ in few_zeros.sort("rows", "value", descending=[True, False]).iter_rows():
        if len(values) * rate**rows <= _CHANCE:
            return repr(value)
    return ""
