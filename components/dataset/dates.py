"""Dates and times as they are written, and as Parquet has them, as wall-clock milliseconds."""

from __future__ import annotations

import polars as pl

from components.dataset.month_names import year_first
from components.dataset.sections.tables import TimeUnit

DAY_MS = 86_400_000
_CLOCK = r"(?:,?[T ]\s*(\d{1,2})(?:[:hH](\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?)?\s*([AaPp])?(?:\.?[Mm]\.?)?)?"
_OFFSET = r"\s*(Z|z|UTC|GMT|[+-]\d{2}(?::?\d{2})?)?\s*$"
_DIGITS = r"(?:[T ]?(\d{2})(?::?(\d{2})(?::?(\d{2})(?:[.,]?(\d{1,9}))?)?)?)?()"
_YEAR_FIRST = r"^\s*(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})" + _CLOCK + _OFFSET
_COMPACT = r"^\s*(\d{4})(\d{2})(\d{2})" + _DIGITS + _OFFSET
_SHORT = r"^\s*(\d{2})(\d{2})(\d{2})" + _DIGITS + _OFFSET
_YEAR_LAST = r"^\s*(\d{1,2})[-/.](\d{1,2})[-/.](\d{4})" + _CLOCK + _OFFSET
_FIELDS = ("first", "second", "third", "hour", "minute", "seconds", "fraction", "half", "offset")
_ORDERS: dict[TimeUnit, tuple[str, str, str]] = {
    "dmy": ("third", "second", "first"),
    "mdy": ("third", "first", "second"),
}


def wall_clock_ms(column: pl.Series, unit: TimeUnit, time_zone: str) -> pl.Series:
    """Milliseconds in `time_zone`, counted as if they were UTC; null where a value is no such date.

    Args:
      column: texts, digits, or Parquet's dates and times; those without an offset or a zone stay as they are.
      unit: as `Timestamp.unit` describes dates: `iso`, `dmy`, `mdy`, `yymmddhh`.
      time_zone: an IANA name.
    """
    if isinstance(column.dtype, (pl.Datetime, pl.Date)):
        return _datetime_to_local(column, time_zone)
    return _text_to_local(column, unit, time_zone)


def instant_to_local(instant: pl.Series, time_zone: str) -> pl.Series:
    """Milliseconds since 1970 in UTC as those of the zone's clocks."""
    zoned = pl.from_epoch(instant, time_unit="ms").dt.replace_time_zone("UTC").dt.convert_time_zone(time_zone)
    return zoned.dt.replace_time_zone(None).dt.epoch("ms").cast(pl.Int64)


def _datetime_to_local(column: pl.Series, time_zone: str) -> pl.Series:
    moment = column.cast(pl.Datetime("ms", getattr(column.dtype, "time_zone", None)))
    if getattr(moment.dtype, "time_zone", None) is None:
        return moment.dt.epoch("ms").cast(pl.Int64)
    return moment.dt.convert_time_zone(time_zone).dt.replace_time_zone(None).dt.epoch("ms").cast(pl.Int64)


def _text_to_local(column: pl.Series, unit: TimeUnit, time_zone: str) -> pl.Series:
    # As tables with missing values write whole numbers.
    text = column.cast(pl.String).str.replace(r"^(\s*\d{6,14})\.0*\s*$", "$1")
    if unit == "iso":
        text = year_first(text)
        parts = _split(text, _YEAR_FIRST)
        compact = parts["first"].is_null()
        if compact.any():
            parts = pl.select(
                pl.when(compact).then(_split(text, _COMPACT)[name]).otherwise(parts[name]).alias(name)
                for name in _FIELDS
            )
    elif unit == "yymmddhh":
        # A number has lost the zero before the year 2009's 9.
        odd = text.str.contains(r"^\s*\d(\d\d)+\s*$").fill_null(False)
        parts = _split(("0" + text.str.strip_chars()).zip_with(odd, text), _SHORT)
        parts = parts.with_columns(first="20" + pl.col("first"))
    else:
        parts = _split(text, _YEAR_LAST)
    year, month, day = _ORDERS.get(unit, ("first", "second", "third"))
    hour = pl.col("hour").fill_null("0").cast(pl.Int64)
    half = pl.col("half").str.to_lowercase()
    # 12 AM is midnight, 12 PM noon; there is no 13 PM.
    twelve = pl.when(hour.is_between(1, 12)).then(hour % 12 + pl.when(half == "p").then(12).otherwise(0))
    found = parts.select(
        date=pl.col(year) + "-" + pl.col(month).str.zfill(2) + "-" + pl.col(day).str.zfill(2),
        hour=pl.when(half.is_in(["a", "p"])).then(twelve).otherwise(hour).cast(pl.String).str.zfill(2),
        rest=":" + pl.col("minute").fill_null("00") + ":" + pl.col("seconds").fill_null("00"),
        fraction=pl.col("fraction").fill_null("0").str.pad_end(3, "0").str.slice(0, 3).cast(pl.Int64),
        offset=pl.col("offset").str.to_uppercase(),
    )
    wall = (found["date"] + " " + found["hour"] + found["rest"]).str.to_datetime(
        "%Y-%m-%d %H:%M:%S", time_unit="ms", strict=False
    ).dt.epoch("ms") + found["fraction"]
    return _at_offset(wall.cast(pl.Int64), found["offset"], time_zone)


def _split(text: pl.Series, pattern: str) -> pl.DataFrame:
    """The fields of each text; nulls where it is none of these, or leaves a field out."""
    frame = text.str.extract_groups(pattern).struct.unnest()
    frame.columns = list(_FIELDS)
    return frame.with_columns(pl.col("half").replace("", None))


def _at_offset(wall: pl.Series, offset: pl.Series, time_zone: str) -> pl.Series:
    """Wall-clock time as it is where it has no offset; else in the data set's zone."""
    digits = offset.str.replace_all(r"[^0-9]", "").str.pad_end(4, "0")
    minutes = digits.str.slice(0, 2).cast(pl.Int64, strict=False) * 60 + digits.str.slice(2, 2).cast(
        pl.Int64, strict=False
    )
    sign = offset.str.starts_with("-").cast(pl.Int64) * -2 + 1
    universal = offset.is_in(["Z", "UTC", "GMT"])
    shift = (minutes * sign * 60_000).zip_with(~universal.fill_null(False), pl.Series([0], dtype=pl.Int64))
    return wall.zip_with(offset.is_null(), instant_to_local(wall - shift, time_zone))
