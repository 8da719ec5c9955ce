"""Columns of text (or of Parquet's types) to declared types; what does not fit is marked, not guessed.

Missing: an empty value, and in a number also nan, null, none, na, n/a, \\N in any case. An int may be written with a
fraction of zero (`4.0`), as tables with missing values often do. Surrounding spaces do not count in a number. A date
that is declared as a number is the days since 1970, a time of day their fraction.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from components.dataset.dates import DAY_MS, wall_clock_ms
from components.dataset.input_names import LIST_SEPARATOR
from components.dataset.names import DateOrder, Written, is_date
from components.dataset.sections import ColumnType
from components.dataset.written import MARKS, plainly

MISSING_NUMBERS: tuple[str, ...] = ("", "nan", "null", "none", "na", "n/a", "\\n", "-nan")
_LARGEST_INT = 2.0**63
LARGEST_FLOAT = 3.4028234663852886e38  # examples hold 32-bit floats
# A pattern: what a whole number may end with, as in `4.0` and `4.`.
ZERO_FRACTION = r"\.0*$"
_NO_DATES: tuple[str, ...] = (*MISSING_NUMBERS, *MARKS, "nat", "never", "0")
# What databases hold where there is no date: 0000-00-00, 0001-01-01, 9999-12-31.
_NO_YEAR = r"^\s*(?:(?:0000|0001|9999)[-/.]|(?:\d{1,2}[-/.]){2}(?:0000|0001|9999)\b)"
_FIRST_DATE_MS, _LAST_DATE_MS = -5_364_662_400_000, 7_258_118_400_000  # 1800 to 2200


@dataclass(frozen=True)
class Typed:
    """A column in its declared type, and where a value was there that did not fit."""

    values: pl.Series
    bad: pl.Series


def to_type(
    column: pl.Series, kind: ColumnType, separator: str | None = None, written: Written = "plain"
) -> Typed:
    """Casts a column.

    Args:
      column: texts, or Parquet's values.
      kind: the type.
      separator: splits texts into lists (Parquet's own lists are taken as they are).
      written: how the numbers of texts are written; of dates, in which order.
    """
    if column.dtype == pl.Binary:
        text = decoded(column)
        return _or_no_text(column, text, to_type(text, kind, separator, written))
    if is_date(written):
        return _to_days(column, written)
    if written != "plain" and column.dtype == pl.String:
        column = plainly(column, written)
    if separator is not None or isinstance(column.dtype, pl.List):
        return _to_list(column, kind, separator)
    if kind == "string":
        return _to_string(column)
    if kind == "int":
        return _to_int(column)
    return _to_float(column)


def to_key(column: pl.Series) -> Typed:
    """A key without a declared type: its text; a whole number that Parquet has as a float is `7`, not `7.0`.

    An integer column in which values are missing is often written as floats: its ids must meet those of a table that
    lacks none.
    """
    typed = to_type(column, "string")
    if not column.dtype.is_float():
        return typed
    whole = to_type(column, "int")
    return Typed(whole.values.cast(pl.String).zip_with(~whole.bad, typed.values), typed.bad)


def decoded(column: pl.Series) -> pl.Series:
    """Bytes as text, null where they are not UTF-8."""
    try:
        return column.cast(pl.String)
    except pl.exceptions.ComputeError:
        # Polars casts all values of a column or none.
        return pl.Series(column.name, [_text_of(value) for value in column.to_list()], dtype=pl.String)


def _text_of(value: bytes | None) -> str | None:
    try:
        return None if value is None else value.decode()
    except UnicodeDecodeError:
        return None


def _or_no_text(raw: pl.Series, text: pl.Series, typed: Typed) -> Typed:
    return Typed(typed.values, typed.bad | (raw.is_not_null() & text.is_null()))


def _is_there(column: pl.Series) -> pl.Series:
    present = column.is_not_null()
    return present & (column != "").fill_null(False) if column.dtype == pl.String else present


def _to_string(column: pl.Series) -> Typed:
    text = column.cast(pl.String)
    text = text.zip_with((text != "").fill_null(False), pl.Series([None], dtype=pl.String))
    return Typed(text, pl.repeat(False, len(text), eager=True))


def _to_int(column: pl.Series) -> Typed:
    if column.dtype == pl.String:
        values = column.cast(pl.Int64, strict=False)
        doubtful = (values.is_null() & _is_there(column)).arg_true()
        if len(doubtful) == 0:
            return Typed(values, pl.repeat(False, len(values), eager=True))
        again, bad = _numbers(column.gather(doubtful))
        whole = (again == again.floor()).fill_null(False) & (again.abs() < _LARGEST_INT).fill_null(False)
        repaired = again.zip_with(whole, pl.Series([None], dtype=pl.Float64)).cast(pl.Int64)
        bad = bad | (again.is_not_null() & ~whole)
        # Not through a float, which merges ids of more than 15 digits.
        plain = column.gather(doubtful).str.strip_chars().str.replace(ZERO_FRACTION, "")
        exact = plain.cast(pl.Int64, strict=False)
        return _scatter(
            values, doubtful, exact.zip_with(exact.is_not_null(), repaired), bad & exact.is_null()
        )
    if column.dtype.is_float():
        number = column.cast(pl.Float64).fill_nan(None)
        whole = (number == number.floor()).fill_null(False) & (number.abs() < _LARGEST_INT).fill_null(False)
        values = number.zip_with(whole, pl.Series([None], dtype=pl.Float64)).cast(pl.Int64)
        return Typed(values, number.is_not_null() & ~whole)
    values = column.cast(pl.Int64, strict=False)
    return Typed(values, column.is_not_null() & values.is_null())


def _to_float(column: pl.Series) -> Typed:
    if column.dtype == pl.String:
        values = column.cast(pl.Float64, strict=False)
        finite = (values.abs() <= LARGEST_FLOAT).fill_null(False)
        doubtful = (~finite & _is_there(column)).arg_true()
        if len(doubtful) == 0:
            return Typed(values, pl.repeat(False, len(values), eager=True))
        again, bad = _numbers(column.gather(doubtful))
        return _scatter(values, doubtful, again, bad)
    values = column.cast(pl.Float64, strict=False).fill_nan(None)
    too_large = (values.abs() > LARGEST_FLOAT).fill_null(False)
    bad = (column.is_not_null() & values.is_null() & ~_is_nan(column)) | too_large
    return Typed(values.zip_with(~too_large, pl.Series([None], dtype=pl.Float64)), bad)


def _to_days(column: pl.Series, order: DateOrder) -> Typed:
    """Dates as days since 1970."""
    if column.dtype.is_float():
        # Digits of a date in a column that lacks some.
        whole = _to_int(column)
        read = _to_days(whole.values, order)
        return Typed(read.values, read.bad | whole.bad)
    if not isinstance(column.dtype, (pl.Datetime, pl.Date)):
        column = column.cast(pl.String)
        absent = column.str.strip_chars().str.to_lowercase().is_in(_NO_DATES) | column.str.contains(_NO_YEAR)
        column = column.zip_with(~absent.fill_null(True), pl.Series([None], dtype=pl.String))
    moments = wall_clock_ms(column, order, "UTC")
    known = moments.is_between(_FIRST_DATE_MS, _LAST_DATE_MS).fill_null(False)
    days = (moments / DAY_MS).zip_with(known, pl.Series([None], dtype=pl.Float64))
    return Typed(days, column.is_not_null() & days.is_null())


def _is_nan(column: pl.Series) -> pl.Series:
    return column.is_nan().fill_null(False) if column.dtype.is_float() else column.is_null()


def _numbers(text: pl.Series) -> tuple[pl.Series, pl.Series]:
    """(finite numbers, texts that are neither a number nor a mark for a missing one)."""
    stripped = text.str.strip_chars()
    missing = stripped.str.to_lowercase().is_in(MISSING_NUMBERS)
    number = stripped.cast(pl.Float64, strict=False)
    finite = (number.abs() <= LARGEST_FLOAT).fill_null(False) & number.is_not_nan() & ~missing
    return number.zip_with(finite, pl.Series([None], dtype=pl.Float64)), ~finite & ~missing


def _scatter(values: pl.Series, where: pl.Series, repaired: pl.Series, bad: pl.Series) -> Typed:
    flags = pl.repeat(False, len(values), eager=True).scatter(where, bad)
    return Typed(values.clone().scatter(where, repaired), flags)


def _to_list(column: pl.Series, kind: ColumnType, separator: str | None) -> Typed:
    """Texts split, Parquet's lists as they are; a value that holds what separates values in requests is none."""
    rows = len(column)
    is_list = isinstance(column.dtype, pl.List)
    lists = column if is_list else column.cast(pl.String).str.split(separator or ",")
    flat = pl.DataFrame({"row": pl.int_range(rows, eager=True), "value": lists}).explode("value")
    if flat["value"].dtype == pl.String:
        flat = flat.with_columns(pl.col("value").str.strip_chars())
    typed = to_type(flat["value"], kind)
    unfit = typed.bad
    if typed.values.dtype == pl.String:
        for between in {LIST_SEPARATOR, separator or LIST_SEPARATOR}:
            unfit = unfit | typed.values.str.contains(between, literal=True).fill_null(False)
    items = pl.DataFrame({"row": flat["row"], "value": typed.values, "bad": unfit})
    bad_rows = items.filter("bad")["row"].unique()
    packed = items.filter(pl.col("value").is_not_null()).group_by("row", maintain_order=True).agg("value")
    joined = pl.DataFrame({"row": pl.int_range(rows, eager=True)}).join(
        packed, on="row", how="left", maintain_order="left"
    )
    bad = pl.repeat(False, rows, eager=True).scatter(bad_rows, True)
    return Typed(joined["value"], bad)
