"""Kinds of trouble that a feed's days come with, and what must become of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Literal

import numpy as np
import polars as pl

Files = dict[str, pl.DataFrame | bytes]
Trouble = Callable[[pl.DataFrame, str, np.random.Generator], Files]
HOUR_MS = 3_600_000


@dataclasses.dataclass(frozen=True)
class Case:
    """A day that is not as it should be.

    Attributes:
      name: of the kind.
      files: what is delivered instead of the day's file.
      status: what must become of it; `said`: refused until the operator accepts it, or said and pushed, as it moved
        beyond what is usual or not quite.
      words: what the reasons, or the notes of a pushed day, must say.
      repair: what happens then: the good file a number of days later, or the operator accepts the day.
      days_later: when the good file comes.
      lasting: whether the world has changed: days that come later are so, too.
    """

    name: str
    files: Trouble
    status: Literal["pushed", "refused", "missing", "said"]
    words: str
    repair: Literal["delivered anew", "accepted", "nothing"] = "delivered anew"
    days_later: int = 1
    lasting: bool = False


def _changed(*columns: pl.Expr) -> Trouble:
    return lambda rows, name, _: {name: rows.with_columns(*columns)}


def _half(rows: pl.DataFrame, name: str, _: np.random.Generator) -> Files:
    text = rows.write_csv().encode()
    return {name: text[: len(text) // 2]}


def _twice(rows: pl.DataFrame, name: str, _: np.random.Generator) -> Files:
    return {name: rows, name.replace(".csv", "-again.csv"): rows}


def _shuffled(rows: pl.DataFrame, name: str, rng: np.random.Generator) -> Files:
    """Within domains, so that no count and no rate tells."""
    order = rng.permutation(len(rows))
    labels = rows.select("domain_id", "click", "long_view", "dwell_ratio")
    by_domain = labels[order].sort("domain_id", maintain_order=True)
    mixed = rows.with_row_index("row").sort("domain_id", maintain_order=True)
    columns = [by_domain[name] for name in ("click", "long_view", "dwell_ratio")]
    return {name: mixed.with_columns(columns).sort("row").drop("row")}


def _without_domain(rows: pl.DataFrame, name: str, _: np.random.Generator) -> Files:
    return {name: rows.filter(pl.col("domain_id") != _largest(rows))}


def _new_domain(rows: pl.DataFrame, name: str, rng: np.random.Generator) -> Files:
    moved = pl.Series(rng.random(len(rows)) < 0.1)
    return {
        name: rows.with_columns(pl.when(moved).then(97).otherwise(pl.col("domain_id")).alias("domain_id"))
    }


def _fewer_clicks(share: float) -> Trouble:
    """Clicks of the largest domain that are not there."""

    def fewer(rows: pl.DataFrame, name: str, rng: np.random.Generator) -> Files:
        lost = pl.Series(rng.random(len(rows)) < share) & (rows["domain_id"] == _largest(rows))
        columns = [
            pl.when(lost).then(0).otherwise(pl.col(column)).alias(column) for column in ("click", "long_view")
        ]
        return {name: rows.with_columns(*columns)}

    return fewer


def _duplicates(rows: pl.DataFrame, name: str, rng: np.random.Generator) -> Files:
    again = rows[np.sort(rng.choice(len(rows), len(rows) // 3, replace=False))]
    return {name: pl.concat([rows, again]).sort("timestamp_ms")}


def _poisoned(rows: pl.DataFrame, name: str, _: np.random.Generator) -> Files:
    """The item's length comes with a table, so the poison is an item that exists nowhere: in every second row."""
    odd = pl.int_range(pl.len()) % 2 == 1
    return {name: rows.with_columns(pl.when(odd).then(2**53).otherwise(pl.col("item_id")).alias("item_id"))}


def _largest(rows: pl.DataFrame) -> int:
    return int(rows["domain_id"].value_counts(sort=True)["domain_id"][0])


CASES = (
    Case("no file", lambda rows, name, rng: {}, "missing", "no file of this day has arrived", days_later=2),
    Case("half a file", _half, "refused", "rows where about|cannot be used|no row in the hour"),
    Case("a day twice", _twice, "pushed", "holds the same rows", repair="nothing"),
    Case(
        "labels all 0", _changed(pl.lit(0).alias("click")), "refused", "click is 0 in all|are clicked where"
    ),
    Case("labels shuffled", _shuffled, "refused", "ranks the day's rows"),
    Case(
        "a column renamed",
        lambda rows, name, rng: {name: rows.rename({"item_id": "item"})},
        "refused",
        "item_id",
    ),
    Case(
        "a column emptied",
        _changed(pl.lit(None, pl.Int64).alias("position")),
        "refused",
        "column position",
    ),
    Case(
        "a column in other units",
        _changed((pl.col("dwell_ratio") * 1000).alias("dwell_ratio")),
        "refused",
        "column dwell_ratio",
    ),
    Case("times in other units", _changed(pl.col("timestamp_ms") // 1000), "refused", "readable time"),
    Case("a new domain", _new_domain, "pushed", "domain 97 is new", repair="nothing", lasting=True),
    Case("a domain gone", _without_domain, "refused", "0 rows where about"),
    Case("most clicks of a domain lost", _fewer_clicks(0.75), "refused", "are clicked where"),
    Case(
        "clicks of a domain truly halved",
        _fewer_clicks(0.5),
        "said",
        "are clicked where",
        repair="accepted",
        lasting=True,
    ),
    Case("duplicate rows", _duplicates, "pushed", "repeat others were left out", repair="nothing"),
    Case(
        "the clock an hour off",
        _changed(pl.col("timestamp_ms") + HOUR_MS),
        "refused",
        "no row in the hour from 00:00",
    ),
    Case("a poisoned value", _poisoned, "refused", "column item_id"),
)
