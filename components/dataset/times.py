"""When an impression was shown: numbers and texts to wall-clock milliseconds in the data set's zone."""

from __future__ import annotations

import zlib

import polars as pl

from components.dataset.dates import DAY_MS, instant_to_local, wall_clock_ms
from components.dataset.sections import TimeUnit
from components.dataset.values import Typed, decoded, to_type

# Where the log has no time: parts that stand for days, from 1 January 2000 on.
RANDOM_PARTS = 10
RANDOM_FIRST_MS = 946_684_800_000
# An instant outside is a timestamp read in the wrong unit.
_FIRST_MS = 31_536_000_000  # 1971-01-01
_LAST_MS = 7_258_118_400_000  # 2200-01-01


def to_local_ms(column: pl.Series, unit: TimeUnit, time_zone: str) -> Typed:
    """Wall-clock milliseconds in `time_zone`, counted as if they were UTC: day = value // 86,400,000.

    Text, digits of a date, and Parquet's own timestamps are wall-clock already when they have no offset or zone.

    Args:
      column: as read.
      unit: as `Timestamp.unit` describes it.
      time_zone: an IANA name.
    """
    if unit == "random":
        return Typed(_drawn(column), pl.repeat(False, len(column), eager=True))
    if column.dtype == pl.Binary:
        text = decoded(column)
        read = to_local_ms(text, unit, time_zone)
        return Typed(read.values, read.bad | (column.is_not_null() & text.is_null()))
    if unit in ("s", "ms", "us", "ns") and not isinstance(column.dtype, (pl.Datetime, pl.Date)):
        return _bounded(column, instant_to_local(_instant(column, unit), time_zone))
    return _bounded(column, wall_clock_ms(column, unit, time_zone))


def _drawn(column: pl.Series) -> pl.Series:
    """A day of ten for each value, the same in every file and run."""
    text = column.cast(pl.String)
    values = text.drop_nulls().unique()
    days = [zlib.crc32(value.encode()) % RANDOM_PARTS for value in values]
    drawn = {value: RANDOM_FIRST_MS + day * DAY_MS for value, day in zip(values, days, strict=True)}
    return text.replace_strict(drawn, default=None, return_dtype=pl.Int64)


def _instant(column: pl.Series, unit: TimeUnit) -> pl.Series:
    """Milliseconds since 1970 in UTC, null outside the years that are believed."""
    if unit == "s":
        instant = (to_type(column, "float").values * 1000.0).round().cast(pl.Int64, strict=False)
    else:
        whole = to_type(column, "int").values
        instant = whole if unit == "ms" else (whole // (1_000 if unit == "us" else 1_000_000)).cast(pl.Int64)
    in_range = instant.is_between(_FIRST_MS, _LAST_MS).fill_null(False)
    return instant.zip_with(in_range, pl.Series([None], dtype=pl.Int64))


def _bounded(raw: pl.Series, local: pl.Series) -> Typed:
    sane = local.is_between(_FIRST_MS, _LAST_MS).fill_null(False)
    local = local.zip_with(sane, pl.Series([None], dtype=pl.Int64))
    there = raw.is_not_null()
    if raw.dtype == pl.String:
        there = there & (raw != "").fill_null(False)
    return Typed(local, there & local.is_null())
