"""Who was there on which day, in bounded memory: which users and items the evaluation meets for the first time."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

_PENDING_ROWS = 1_000_000
MOST_ENTRIES = 3_000_000
_SEED = 0x5EED


@dataclass(frozen=True)
class Newcomers:
    """Identifiers of the evaluation that training never saw.

    Attributes:
      ids: distinct ones of the evaluation.
      new: distinct ones of them without a training row.
      rows: rows of the evaluation with an identifier.
      new_rows: those of the new ones.
      one_in: figures come from one identifier in so many, multiplied.
    """

    ids: int
    new: int
    rows: int
    new_rows: int
    one_in: int


class DaysOfIds:
    """Rows of each identifier on each day.

    When there are more than `most_entries` pairs, only identifiers whose hash is divisible by 2, 4, 8 ... are kept:
    a fair sample of identifiers, each with all of its days.

    Args:
      most_entries: pairs of identifier and day that are held.
    """

    def __init__(self, most_entries: int = MOST_ENTRIES) -> None:
        self._most = most_entries
        self._one_in = 1
        self._pending: list[pl.DataFrame] = []
        self._waiting = 0
        self._held = pl.DataFrame(schema={"id": pl.UInt64, "day": pl.Int64, "rows": pl.UInt32})

    def add(self, ids: pl.Series, days: pl.Series) -> None:
        """Counts rows; a missing identifier is nobody."""
        frame = pl.DataFrame({"id": ids.hash(_SEED), "day": days}).filter(ids.is_not_null())
        frame = self._sampled(frame)
        counts = frame.group_by("id", "day").agg(pl.len().cast(pl.UInt32).alias("rows"))
        self._pending.append(counts)
        self._waiting += len(counts)
        if self._waiting > _PENDING_ROWS:
            self._compact()

    def _sampled(self, frame: pl.DataFrame) -> pl.DataFrame:
        return frame if self._one_in == 1 else frame.filter(pl.col("id") % self._one_in == 0)

    def _compact(self) -> None:
        frame = pl.concat([self._held, *self._pending])
        self._pending, self._waiting = [], 0
        self._held = self._sampled(frame).group_by("id", "day").agg(pl.col("rows").sum())
        while len(self._held) > self._most:
            self._one_in *= 2
            self._held = self._sampled(self._held)

    def newcomers(self, first_eval_day: int) -> Newcomers:
        """Identifiers whose first day is `first_eval_day` or later."""
        self._compact()
        eval_rows = self._held.filter(pl.col("day") >= first_eval_day)
        known = self._held.filter(pl.col("day") < first_eval_day).select(pl.col("id").unique())
        new = eval_rows.join(known, on="id", how="anti")
        return Newcomers(
            ids=eval_rows["id"].n_unique() * self._one_in,
            new=new["id"].n_unique() * self._one_in,
            rows=int(eval_rows["rows"].sum()) * self._one_in,
            new_rows=int(new["rows"].sum()) * self._one_in,
            one_in=self._one_in,
        )
