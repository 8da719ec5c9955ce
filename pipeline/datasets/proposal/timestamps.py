"""Which column tells when an impression was shown: by what its values say, not by their size alone."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from components.dataset.dates import DAY_MS
from components.dataset.names import Written
from components.dataset.sections import TimeUnit
from components.dataset.times import to_local_ms
from components.dataset.values import to_type
from pipeline.datasets.proposal.figures import highest, lowest, mean, quantile
from pipeline.datasets.proposal.kinds import Values, written_unit
from pipeline.datasets.proposal.roles import Column
from pipeline.datasets.proposal.words import (
    EXACT_TIMES,
    IDENTIFIERS,
    ITEMS,
    OTHER_DATES,
    PARTS_OF_TIME,
    TIMES,
    USERS,
    has,
    words,
)

_YEAR_MS = 365.25 * DAY_MS
_FEWEST_MOMENTS, _ROWS_OF_A_STRETCH = 50, 20
# From 1990 to 2100, in seconds.
_FIRST, _LAST = 631_152_000, 4_102_444_800
_UNITS: tuple[tuple[TimeUnit, int, str], ...] = (
    ("s", 1, "seconds"),
    ("ms", 1_000, "milliseconds"),
    ("us", 1_000_000, "microseconds"),
    ("ns", 1_000_000_000, "nanoseconds"),
)
_FORMS: tuple[tuple[TimeUnit, dict[int, str]], ...] = (
    (
        "iso",
        {8: "YYYYMMDD", 10: "YYYYMMDDHH", 12: "YYYYMMDDHHMM", 14: "YYYYMMDDHHMMSS", 17: "YYYYMMDDHHMMSSmmm"},
    ),
    ("yymmddhh", {7: "YYMMDDHH", 8: "YYMMDDHH"}),
)
_STRAY = 0.005
_NEARLY_ALL = 0.99
_FEWEST_GROUPS = 5
_NEAR_MS = 1.5 * DAY_MS
_LONGEST_YEARS = 30.0
_OLDEST_YEAR = 1995
_FEWEST_COUNTED = 100
_MOST_DAYS = 400
_DAYS = frozenset({"date", "day", "dt", "ds", "pt"})
_COUNTED = ", which counts from a moment of its own: add that moment, as seconds since 1970 or in the unit that it has"


@dataclass(frozen=True)
class ClockCandidate:
    """A column that may be the timestamp.

    Attributes:
      column: its name.
      unit: of its values.
      score: how likely; below 0 it is none, above 2 it is beyond doubt.
      why: for the comment.
      doubts: what speaks against it.
    """

    column: str
    unit: TimeUnit
    score: float
    why: str
    doubts: tuple[str, ...] = ()


def clock_candidates(columns: Iterable[Column], now_ms: int | None = None) -> list[ClockCandidate]:
    """Columns of the impressions whose values may be times, the likeliest first; those that are none come last.

    Args:
      columns: of the joined sample.
      now_ms: what counts as the present; by default this machine's clock.
    """
    every = [column for column in columns if column.in_log]
    found = [candidate for column in every if (candidate := clock_candidate(column, every, now_ms))]
    return sorted(found, key=lambda candidate: -candidate.score)


def clock_candidate(
    column: Column, columns: Iterable[Column], now_ms: int | None = None
) -> ClockCandidate | None:
    """A column as a timestamp; `None` when its values are no times.

    Args:
      column: the column.
      columns: those beside it, among which users and items may be.
      now_ms: as for `clock_candidates`.
    """
    name, values = column.name, column.values
    unit, why = reading(values)
    if unit is None or values.present < 0.9:
        return None
    moments = to_local_ms(values.column, unit, "UTC").values
    given = moments.drop_nulls()
    if len(given) < 0.9 * len(moments):
        return None
    score = 1.0 if unit not in ("s", "ms", "us", "ns") else 0.0
    score += 1.5 if has(name, EXACT_TIMES) else 1.0 if has(name, TIMES) else 0.0
    if (given % DAY_MS == 0).all():
        score -= 0.9
        why += ", whole days only"
    if has(name, PARTS_OF_TIME) and not has(name, EXACT_TIMES):
        score -= 0.3
    if given.n_unique() > 10 and mean(given.diff().drop_nulls() >= 0) >= _NEARLY_ALL:
        score += 0.5
        why += ", in the order of the file"
    now = round(datetime.datetime.now(datetime.timezone.utc).timestamp() * 1000) if now_ms is None else now_ms
    against = list(_against(column, moments, columns, now))
    first, last = (
        str(np.datetime64(round(end), "ms").astype("datetime64[s]"))
        for end in (lowest(given), highest(given))
    )
    # Texts without an offset are shown as they are written.
    shifted = to_local_ms(values.column, unit, "Asia/Shanghai").values
    zone = "" if shifted.equals(moments) else " UTC"
    why = f"{why}: {first.replace('T', ' ')} to {last.replace('T', ' ')}{zone}"
    doubts = tuple(doubt for doubt, _ in against)
    return ClockCandidate(name, unit, score - sum(weight for _, weight in against), why, doubts)


def _against(
    column: Column, moments: pl.Series, columns: Iterable[Column], now_ms: int
) -> Iterator[tuple[str, float]]:
    """What speaks against a column, and how much."""
    given = moments.drop_nulls()
    whose = constant_within(column, columns)
    if whose is not None:
        yield f"it is the same in all rows of one {whose}, so it dates that, not the impression", 3.0
    if has(column.name, OTHER_DATES):
        yield "its name dates something else", 1.5
    elif has(column.name, IDENTIFIERS) and not has(column.name, EXACT_TIMES):
        yield "it is named like an identifier", 2.0
    if quantile(given, 0.95) > now_ms + 2 * DAY_MS:
        yield "it lies in the future", 2.0
    if quantile(given, 0.5) < (_OLDEST_YEAR - 1970) * _YEAR_MS:
        yield f"it lies before {_OLDEST_YEAR}", 1.0
    years = (quantile(given, 1 - _STRAY) - quantile(given, _STRAY)) / _YEAR_MS
    if years > _LONGEST_YEARS:
        yield f"it spreads over {years:.0f} years", 1.5


def constant_within(column: Column, columns: Iterable[Column]) -> str | None:
    """The user or item whose rows all have one value of the column; `None` where there is none."""
    for other in columns:
        entity = (
            has(other.name, USERS) or has(other.name, ITEMS) or other.is_key
        ) and other.name != column.name
        if not entity or not other.in_log or other.values.kind not in ("int", "string"):
            continue
        frame = pl.DataFrame({"of": other.values.column, "value": column.values.column}).drop_nulls()
        groups = frame.group_by("of").agg(pl.len().alias("rows"), pl.col("value").n_unique().alias("values"))
        several = groups.filter(pl.col("rows") > 1)
        # One session is a time of all its rows; of several rows on different days that would be a strange chance.
        if len(several) >= _FEWEST_GROUPS and mean(several["values"] == 1) >= _NEARLY_ALL:
            return other.name
    return None


def reading(values: Values) -> tuple[TimeUnit | None, str]:
    """The unit in which a column's values are times, and why; `None` where they are none."""
    if values.kind == "time":
        return written_unit(values.column), values.why
    if values.kind not in ("int", "float"):
        return None, ""
    numbers = values.column.drop_nulls()
    if numbers.is_empty():
        return None, ""
    if values.kind == "int":
        unit, form = _digits_of_dates(numbers)
        if unit is not None:
            return unit, f"dates written as {form}"
    # A stray value or two are unusable rows, which are counted later, not another unit.
    low, high = quantile(numbers, _STRAY), quantile(numbers, 1 - _STRAY)
    for number_unit, factor, word in _UNITS:
        within = low >= _FIRST * factor and high <= _LAST * factor
        if within and (number_unit == "s" or values.kind == "int"):
            return number_unit, f"numbers of the size of {word} since 1970"
    return None, ""


def _digits_of_dates(numbers: pl.Series) -> tuple[TimeUnit | None, str]:
    text = numbers.cast(pl.String)
    lengths = text.str.len_chars()
    length = int(quantile(lengths, 0.5))
    if mean(lengths == length) < 1 - _STRAY and length not in (7, 8):
        return None, ""
    for unit, forms in _FORMS:
        if length not in forms:
            continue
        moments = to_local_ms(text, unit, "UTC").values
        # Of ten-digit numbers picked at random one in a hundred is a date and an hour.
        if mean(moments.is_between(_FIRST * 1000, _LAST * 1000).fill_null(False)) >= 1 - _STRAY:
            return unit, forms[length]
    return None, ""


def digits_of_a_day(values: Values) -> bool:
    """Whether ints are a day of the month, an hour and a minute: 172359 is the 17th, one minute to midnight."""
    if values.kind != "int" or values.column.drop_nulls().n_unique() <= _FEWEST_MOMENTS:
        return False
    numbers = values.column.drop_nulls()
    numbers = numbers.filter(numbers != 0)
    days, hours, minutes = numbers // 10_000, numbers // 100 % 100, numbers % 100
    return bool((days.is_between(1, 31) & (hours < 24) & (minutes < 60)).all())


def has_a_time_of_its_own(column: Column, clock_ms: pl.Series) -> bool:
    """Whether each value has a stretch of the time to itself, as the number of a day or of a release has.

    Args:
        column: one of the impressions.
        clock_ms: their timestamps.
    """
    if not column.in_log or not 2 <= column.distinct <= column.present / _ROWS_OF_A_STRETCH:
        return False
    if column.values.kind not in ("int", "string"):
        return False
    rows = pl.DataFrame({"ms": clock_ms, "value": column.values.column}).drop_nulls()
    value = rows.sort("ms", maintain_order=True)["value"]
    # Rows of one moment may lie in any order, so a border may be crossed more than once.
    return int((value != value.shift()).sum()) < 2 * column.distinct


def seen_before(column: Column, clock_ms: pl.Series) -> float:
    """Share of the last fifth of the rows whose value of the column the rows before have, too.

    Args:
      column: one of the impressions, of single values.
      clock_ms: their timestamps.
    """
    rows = pl.DataFrame({"ms": clock_ms, "value": column.values.column}).drop_nulls().sort("ms")
    last = len(rows) // 5
    before = rows["value"].head(len(rows) - last).unique()
    return mean(rows["value"].tail(last).is_in(before.implode())) if last else 1.0


def second_time(column: Column, columns: Iterable[Column], clock_ms: pl.Series) -> str | None:
    """Why a column is another time, which requests do not carry; `None` where it is none, or a fact of user or item.

    Args:
      column: one of the impressions.
      columns: those beside it.
      clock_ms: the impressions' timestamps, in the order of the column.
    """
    unit, _ = reading(column.values)
    if unit is None:
        counted_time = has(column.name, EXACT_TIMES) and not has(column.name, IDENTIFIERS)
        if not counted_time:
            return None
        if _counts(column.values):
            return "named like a time, and counts like one"
        nothing_else = TIMES.issuperset(words(column.name)) and column.distinct > _FEWEST_COUNTED
        return "named like a time, in no form that is read" if nothing_else else None
    moments = to_local_ms(column.values.column, unit, "UTC").values
    if mean(((moments - clock_ms).abs() <= _NEAR_MS).fill_null(False)) >= 0.9 * column.values.present:
        return "a second time of the impression: within a day of the timestamp"
    if constant_within(column, columns) is not None:
        return None
    if column.values.kind == "time":
        return "a date that is neither the impression's nor one of a user or an item"
    named = has(column.name, EXACT_TIMES) or has(column.name, TIMES) or has(column.name, PARTS_OF_TIME)
    if named and not has(column.name, IDENTIFIERS):
        return "named like a time, and of the size of one"
    return None


@dataclass(frozen=True)
class Dates:
    """A column that dates something other than the impression, as a feature.

    Attributes:
      written: how; plain for seconds and the like since 1970.
      days: days since 1970.
      why: for the comment.
    """

    written: Written
    days: pl.Series
    why: str


_ORDER_WORDS: dict[Written, str] = {"dmy": ", the day first", "mdy": ", the month first"}


def dates_of(column: Column) -> Dates | None:
    """A column as dates; `None` where it holds none: numbers need the name of a time, for most such numbers are ids."""
    values, name = column.values, column.name
    written: Written = "plain"
    if values.kind == "time":
        written = written_unit(values.column) or "iso"
        days = to_type(values.column, "float", written=written).values
    elif values.kind in ("int", "float"):
        named = any(has(name, known) for known in (EXACT_TIMES, TIMES, OTHER_DATES, PARTS_OF_TIME))
        unit, _ = reading(values)
        if unit is None or unit == "yymmddhh" or not named or has(name, IDENTIFIERS):
            return None
        written = "iso" if unit == "iso" else "plain"
        days = to_local_ms(values.column, unit, "UTC").values / DAY_MS
    else:
        return None
    if days.null_count() == len(days):
        return None
    first, last = (str(np.datetime64(round(end), "D")) for end in (lowest(days), highest(days)))
    what = "the days since 1970" if written != "plain" else "a number as it is"
    return Dates(written, days, f"dates of {first} to {last}{_ORDER_WORDS.get(written, '')}: {what}")


def later_than(dates: Dates, clock_ms: pl.Series) -> float:
    """The share of the rows whose date lies more than a day after the impression."""
    return mean((dates.days - clock_ms / DAY_MS > 1).fill_null(False))


def found_elsewhere(columns: Iterable[Column]) -> str | None:
    """Says of the first column that is like a time and cannot be the timestamp why it cannot; `None`: there is none."""
    found: list[tuple[int, int, str]] = []
    for column in columns:
        named = has(column.name, EXACT_TIMES)
        # Before `time_since_last_click` comes `timestamp`.
        length = len(words(column.name))
        where = "" if column.in_log else ", of a lookup table (write it into the impressions' files)"
        if named and _counts(column.values):
            found.append(
                (
                    0 if column.in_log else 2,
                    length,
                    f"{column.name}{where} holds {found_instead(column.values)}",
                )
            )
        elif column.in_log and named and column.values.kind in ("int", "float", "string"):
            told = f"holds {found_instead(column.values)}, which is no time in any form that is read"
            found.append(
                (
                    4,
                    length,
                    f"{column.name} {told}: write it as 2026-03-14 09:30:00 or as seconds since 1970",
                )
            )
        elif not column.in_log and _dates_events(column, named) and reading(column.values)[0] is not None:
            told = "holds times, and is a column of a lookup table: write it into the impressions' files"
            found.append((1, length, f"{column.name} {told}"))
        elif column.in_log and has(column.name, _DAYS) and _counts_days(column.values):
            low, high = lowest(column.values.column), highest(column.values.column)
            told = f"holds {low:g} to {high:g}: if these are days, write them as dates, such as 2026-03-14"
            found.append((3, length, f"{column.name} {told}"))
    return min(found, default=(0, 0, None))[2]


def _dates_events(column: Column, named: bool) -> bool:
    """Whether the times of a table's column may be those of what was shown: of a search, a visit."""
    as_date = column.values.kind == "time" and has(column.name, TIMES) and column.distinct > _MOST_DAYS
    return (named or as_date) and not has(column.name, OTHER_DATES)


def _counts_days(values: Values) -> bool:
    """Whether whole numbers go from near 0 up, without a gap, as days of a log do."""
    if values.kind != "int" or values.present < 0.9:
        return False
    low, high = lowest(values.column), highest(values.column)
    return 0 <= low <= high <= _MOST_DAYS and values.column.drop_nulls().n_unique() > (high - low) / 2 >= 1


def _counts(values: Values) -> bool:
    """Whether numbers begin near 0 and are many, as seconds since a log began are."""
    given = values.column.drop_nulls() if values.kind in ("int", "float") else None
    return given is not None and given.n_unique() > _FEWEST_COUNTED and 0 <= lowest(given) < _FIRST


def found_instead(values: Values) -> str:
    """What a column that cannot be the timestamp holds, for messages."""
    given = values.column.drop_nulls()
    if values.present < 0.9:
        return f"a value in {values.present:.0%} of the rows"
    if values.kind in ("int", "float"):
        low, high = given.min(), given.max()
        if digits_of_a_day(values):
            return (
                f"{low!r} to {high!r}, digits of a day, an hour and a minute, it seems: write it with the year and "
                "month, as 2026-03-14 09:30"
            )
        return f"{low!r} to {high!r}" + (_COUNTED if _counts(values) else "")
    if values.kind == "string":
        given = given.filter(to_local_ms(given, "iso", "UTC").bad)
    if values.kind == "list" and values.separator is not None:
        given = given.head(1).cast(pl.List(pl.String)).list.join(values.separator)
    return f"{str(given.first())[:40]!r}"
