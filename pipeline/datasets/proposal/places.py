"""Where among others an item was shown: told by a column's name or by its values; and which place to serve with.

Such a place explains clicks and is not known before the ranking (docs/serving.md).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy.optimize import isotonic_regression

from pipeline.datasets.proposal.figures import highest, lowest
from pipeline.datasets.proposal.roles import Column
from pipeline.datasets.proposal.words import IDENTIFIERS, NUMBERS, PARTS_OF_TIME, has, is_place

# What may be a place by its values: whole numbers from 0 to 3 on (others may be taken), none left out, so many.
_LOWEST, _FEWEST, _MOST = 3, 3, 200
# Rows of one request: groups of so many rows on average.
_MOST_GROUPS = 20
_GROUP_ROWS = (1.5, 200.0)
# So many pairs of a group's rows would share a value by chance, and no more than this share of them does.
_PAIRS, _SHARED = 20.0, 0.02
# How surely the click rate falls with it, in standard errors, and how evenly, as a rank correlation.
_FALLS, _EVENLY = -5.0, -0.8
_ROWS_OF_A_PLACE = 50


@dataclass(frozen=True)
class Place:
    """A column that is, or may be, the place where an item was shown.

    Attributes:
      certain: whether it is declared so, else asked about.
      why: what tells it.
      served: the place whose click rate is that of all rows, as near as there is one: with it the probabilities that
        are served are neither too high nor too low on the whole.
    """

    certain: bool
    why: str
    served: int


class Places:
    """Finds places among the columns of a sample.

    Args:
      columns: of the sample.
      label: 0, 1 or null, one for each row.
      user: the user's column, if there is one.
      moments: the rows' timestamps.
    """

    def __init__(
        self, columns: Iterable[Column], label: pl.Series, user: Column | None, moments: pl.Series
    ) -> None:
        self._label = label
        every = [column for column in columns if column.in_log]
        likely = [
            column
            for column in every
            if column.values.kind in ("int", "string") and not column.is_key and _groups(column)
        ]
        # Each column is held against each: of a hundred thousand columns and few rows all would be likely.
        self._groups = {column.name: column.values.column for column in likely[:_MOST_GROUPS]}
        if user is not None:
            pair = pl.DataFrame({"user": user.values.column, "time": moments})
            known = pair.select(pl.all_horizontal(pl.all().is_not_null())).to_series()
            whole = pl.select(pl.when(known).then(pair.hash_rows())).to_series()
            self._groups[f"{user.name} and time"] = whole

    def find(self, column: Column) -> Place | None:
        """Whether it tells where the item was shown; None: nothing speaks for it."""
        if not column.in_log or column.values.kind != "int" or column.distinct < 2:
            return None
        values = column.values.column
        low, high = lowest(values), highest(values)
        if low < 0 or high <= 1:
            return None
        if is_place(column.name) and (low <= 1 or high <= _MOST):
            return Place(True, "named like a place among what is shown", self._served(values))
        unbroken = (
            low <= _LOWEST and column.distinct == high - low + 1 and _FEWEST <= column.distinct <= _MOST
        )
        if not unbroken or has(column.name, PARTS_OF_TIME | NUMBERS | IDENTIFIERS):
            return None
        by = next((name for name, group in self._groups.items() if _once_each(values, group)), None)
        if by is not None and by != column.name:
            return Place(True, f"rows of one {by} hold no number twice, as places do", self._served(values))
        falls = self._falls(values)
        return Place(False, falls, self._served(values)) if falls else None

    def _rates(self, values: pl.Series) -> tuple[npt.NDArray[np.int64], ...]:
        """The places in order, and the rows and clicks at each."""
        frame = pl.DataFrame({"place": values, "label": self._label}).drop_nulls()
        found = frame.group_by("place").agg(rows=pl.len(), clicks=pl.col("label").sum()).sort("place")
        return tuple(found[name].cast(pl.Int64).to_numpy() for name in ("place", "rows", "clicks"))

    def _served(self, values: pl.Series) -> int:
        """The place whose click rate is nearest to that of all rows; of several the middle row's.

        Rates are taken as they fall, or rise, from place to place (isotonic regression): those of single places are as
        near by chance.
        """
        place, rows, clicks = self._rates(values)
        if not rows.sum() or not clicks.sum():
            known = values.drop_nulls().sort()
            return int(known[len(known) // 2])
        rate, whole = clicks / rows, clicks.sum() / rows.sum()
        fits = [isotonic_regression(rate, weights=rows, increasing=rises).x for rises in (False, True)]
        fitted = min(fits, key=lambda fit: float((rows * (fit - rate) ** 2).sum()))
        distance = np.abs(fitted - whole)
        counted = np.cumsum(np.where(distance <= distance.min() * 1.001 + 1e-12, rows, 0))
        return int(place[np.searchsorted(counted, counted[-1] / 2)])

    def _falls(self, values: pl.Series) -> str:
        """How the click rate falls from place to place; empty where it does not."""
        place, rows, clicks = self._rates(values)
        enough = rows >= _ROWS_OF_A_PLACE
        place, rows, clicks = place[enough], rows[enough], clicks[enough]
        if len(place) < _FEWEST:
            return ""
        rate, whole = clicks / rows, clicks.sum() / rows.sum()
        middle = np.average(place, weights=rows)
        slope = ((place - middle) * (clicks - whole * rows)).sum()
        error = np.sqrt(whole * (1 - whole) * (rows * (place - middle) ** 2).sum())
        evenly = np.corrcoef(np.arange(len(place)), np.argsort(np.argsort(rate)))[0, 1]
        if not error or slope / error > _FALLS or evenly > _EVENLY:
            return ""
        return f"its click rate falls from {rate[0]:.1%} at {place[0]} to {rate[-1]:.1%} at {place[-1]}"


def _groups(column: Column) -> bool:
    """Whether its values may be requests: a few rows each."""
    return _GROUP_ROWS[0] <= column.present / max(1, column.distinct) <= _GROUP_ROWS[1]


def _once_each(values: pl.Series, group: pl.Series) -> bool:
    """Whether rows of a group have different values, where chance would have many pairs share one."""
    frame = pl.DataFrame({"value": values, "group": group}).drop_nulls()
    shares = frame["value"].value_counts()["count"].to_numpy() / max(1, len(frame))
    sizes = frame["group"].value_counts()["count"].to_numpy().astype(float)
    together = frame.group_by("group", "value").len()["len"].to_numpy().astype(float)
    expected = float((sizes * (sizes - 1) / 2).sum() * (shares**2).sum())
    return expected >= _PAIRS and float((together * (together - 1) / 2).sum()) <= _SHARED * expected
