"""Columns that count what users or items did in the log itself, on the days too that judge a model.

A table's `clicks_total` was often made when the log was: of an item that is clicked on the last day it is larger. What
was known before that day cannot tell how chance fell on it. So with the sums of each key before the last days and in
them,

    r = corr(x - E[x | before], y - E[y | before]),   y the clicks, the rows or the click rate of the last days,

where E is a regression on the rows and clicks before (and the rows of the last days). All that is known before leaves
r well below 1, and a count that includes the last days brings it close to 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

# Share of the rows, the last ones, that are held against those before.
_LAST = 0.2
_FEWEST_KEYS = 50
# A perfect knowledge of every key's popularity would have sqrt(1/5) with a fifth of the rows.
TOO_WELL = 0.8
_ONE_VALUE = 0.99
_LEAST_CHANCE = 0.3
_Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Ahead:
    """A column that knows the last days too well.

    Attributes:
      column: its name.
      key: whose rows it may count.
      r: see the module.
    """

    column: str
    key: str
    r: float

    @property
    def words(self) -> str:
        """What was found."""
        return (
            f"of each {self.key} it tells the rows or clicks of the last days beyond what those before can tell "
            f"(correlation {self.r:.2f}): it counts them, it seems"
        )


def counted_ahead(
    rows: pl.DataFrame, columns: Sequence[str], keys: Sequence[str], label: pl.Series, moment: pl.Series
) -> list[Ahead]:
    """The columns that count what their key did on the last days.

    Args:
      rows: of the log, joined.
      columns: numbers; those that do not have one value for each value of a key are none of its.
      keys: users, items, and what tables are joined by.
      label: 0, 1 or null, (rows,).
      moment: when each row was, of any unit, (rows,).
    """
    found = []
    for column in columns:
        for key in keys:
            if key == column or not _one_value_each(rows[column], rows[key]):
                continue
            r = knows_ahead(rows[column], rows[key], label, moment)
            if r >= TOO_WELL:
                found.append(Ahead(column, key, r))
                break
    return found


def _one_value_each(column: pl.Series, key: pl.Series) -> bool:
    rows = pl.DataFrame({"x": column, "key": key}).drop_nulls()
    groups = rows.group_by("key").agg(pl.len().alias("rows"), pl.col("x").n_unique().alias("values"))
    several = groups.filter(pl.col("rows") > 1)["values"]
    return len(several) >= _FEWEST_KEYS and float((several == 1).mean() or 0.0) >= _ONE_VALUE  # type: ignore[arg-type]


def knows_ahead(values: pl.Series, key: pl.Series, label: pl.Series, moment: pl.Series) -> float:
    """How well a column of the key tells what fell on the key by chance in the last days: `r` of the module, 0 to 1.

    Args:
      values: numbers, one value for each key, (rows,).
      key: whose, (rows,).
      label: 0, 1 or null, (rows,).
      moment: when each row was, of any unit, (rows,).

    >>> rng = np.random.default_rng(0)
    >>> key = pl.Series(rng.integers(0, 200, 5000))
    >>> label, moment = pl.Series(rng.integers(0, 2, 5000)), pl.Series(range(5000))
    >>> clicks = pl.DataFrame({"k": key, "y": label}).select(pl.col("y").sum().over("k")).to_series()
    >>> knows_ahead(clicks, key, label, moment) > 0.99, knows_ahead(key * 7 % 13, key, label, moment) < 0.3
    (True, True)
    """
    rows = pl.DataFrame(
        {"x": values.cast(pl.Float64, strict=False), "key": key, "y": label.cast(pl.Float64), "at": moment}
    ).drop_nulls()
    if rows.is_empty():
        return 0.0
    cut = rows["at"].quantile(1 - _LAST)
    late = pl.col("at") > cut
    sums = rows.group_by("key", maintain_order=True).agg(
        pl.col("x").first(),
        rows=(~late).sum().cast(pl.Float64),
        clicks=pl.col("y").filter(~late).sum(),
        last_rows=late.sum().cast(pl.Float64),
        last_clicks=pl.col("y").filter(late).sum(),
    )
    found = sums.filter(pl.col("x").is_finite() & (pl.col("last_rows") > 0))
    if len(found) < _FEWEST_KEYS or found["x"].n_unique() < 3:
        return 0.0
    x, before, clicked, after, clicks = (
        found[name].to_numpy() for name in ("x", "rows", "clicks", "last_rows", "last_clicks")
    )
    even = 1 / np.maximum(1.0, before + after)
    past = clicked / np.maximum(1.0, before)
    rate = float(clicks.sum() / after.sum())
    return max(
        _beyond(x, clicks, [before, clicked, after, after * past], even, float(even @ clicks)),
        _beyond(x, after, [before, clicked], even, float(even @ after)),
        _beyond(x, clicks / after, [past, np.sqrt(before)], after, len(x) * rate * (1 - rate)),
    )


def _beyond(x: _Floats, y: _Floats, known: list[_Floats], weight: _Floats, chance: float) -> float:
    """Correlation of what regressions on `known` leave of both.

    0 where `y` leaves much less than `chance` would, weighted squares as they are expected: items that are shown in
    turn have no luck that anything could know.
    """
    root = np.sqrt(weight)
    design = np.column_stack([np.ones(len(x)), *known]) * root[:, None]
    both = np.column_stack([x, y]) * root[:, None]
    left = both - design @ np.linalg.lstsq(design, both, rcond=None)[0]
    size = np.linalg.norm(left, axis=0)
    # What is a sum of the known has nothing left but rounding.
    if (size <= 1e-6 * np.linalg.norm(both, axis=0)).any() or size[1] ** 2 < _LEAST_CHANCE * chance:
        return 0.0
    return float(abs(left[:, 0] @ left[:, 1]) / (size[0] * size[1]))
