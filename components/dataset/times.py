"""When an impression was shown: numbers and texts to wall-clock milliseconds in the data set's zone."""

from __future__ import annotations

import zlib

import polars as pl

from components.dataset.month_names import year_first
from components.dataset.sections import TimeUnit
from components.dataset.values import Typed, decoded, to_type

DAY_MS = 86_400_000
# Where the log has no time: parts that stand for days, from 1 January 2000 on.
RANDOM_PARTS = 10
RANDOM_FIRST_MS = 946_684_800_000
# An instant outside is a timestamp read in the wrong unit.
_FIRST_MS = 31_536_000_000  # 1971-01-01
_LAST_MS = 7_258_118_400_000  # 2200-01-01
_CLOCK = r"(?:,?[T ]\s*(\d{1,2})(?::(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?)?\s*([AaPp])?(?:\.?[Mm]\.?)?)?"
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
    if isinstance(column.dtype, (pl.Datetime, pl.Date)):
        return _bounded(column, _datetime_to_local(column, time_zone))
    if unit in ("s", "ms", "us", "ns"):
        return _bounded(column, _instant_to_local(_instant(column, unit), time_zone))
    return _bounded(column, _text_to_local(column, unit, time_zone))


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


def _instant_to_local(instant: pl.Series, time_zone: str) -> pl.Series:
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
    return wall.zip_with(offset.is_null(), _instant_to_local(wall - shift, time_zone))
