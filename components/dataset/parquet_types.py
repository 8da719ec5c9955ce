"""Parquet's own types: which of them can be what a declaration says, and all of them as columns of a frame."""

from __future__ import annotations

import re
from collections.abc import Mapping

import polars as pl
import pyarrow as pa

from components.dataset.files import DataFile
from components.dataset.parquet import read_schema
from components.errors import InputError

_ZEROS_AT_THE_END = r"\.?0+$"
# Polars knows fixed offsets of whole hours alone.
_UNKNOWN_OFFSET = re.compile(r"[+-]\d{2}:(?!00)\d{2}")


def require_usable(file: DataFile, columns: Mapping[str, bool]) -> None:
    """Refuses what is neither a value nor, where a list is declared, a list of values. Does nothing for texts.

    Args:
      file: one that has all of the columns.
      columns: name in the file -> whether a row may carry several values.
    Raises:
      InputError: names the file, the column, its type and the remedy.
    """
    if file.format != "parquet":
        return
    schema = read_schema(file.path)
    for name in file.own_columns:
        if name not in columns:
            continue
        may_be_list = columns[name]
        kind = schema.field(name).type
        value = kind.value_type if _is_list(kind) and may_be_list else kind
        if _is_list(value) and not may_be_list:
            remedy = (
                "one value is declared: write one in each row, or, if it is a vocabulary, give its feature "
                "`list: true` and a `max_length`"
            )
        elif pa.types.is_nested(value):
            remedy = (
                "a row needs one value, or a list of them: write what is used of it as columns of their own"
            )
        elif pa.types.is_duration(value):
            remedy = "a duration is a number only in some unit: write it as a number, in seconds for example"
        else:
            continue
        raise InputError(f"{file.path}: column {name}: its type is {kind}, but {remedy}")


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def to_frame(file: DataFile, batch: pa.RecordBatch) -> pl.DataFrame:
    """A batch's columns, used or not: equal rows stay equal, and rows that differ keep differing.

    Decimals become exact text without zeros at the end (`7`, `0.25`), as a 64-bit float merges ids of more than 15
    digits; dictionary-encoded values become text too, alone or in lists; arrays become lists; instants with an offset
    of half hours become instants in UTC.

    Raises:
      InputError: there is no column for a type; names the file and the column.
    """
    return pl.DataFrame(
        [_series(file, name, column) for name, column in zip(batch.schema.names, batch.columns, strict=True)]
    )


def _series(file: DataFile, name: str, column: pa.Array) -> pl.Series:
    kind = column.type
    if pa.types.is_decimal256(kind):
        # Neither polars has the type nor arrow a cast of it to text.
        digits = [None if value is None else format(value, "f") for value in column.to_pylist()]
        text = pl.Series(name, digits, dtype=pl.String)
        return text.str.replace(_ZEROS_AT_THE_END, "") if kind.scale > 0 else text
    if pa.types.is_timestamp(kind) and _UNKNOWN_OFFSET.fullmatch(kind.tz or ""):
        column = column.cast(pa.timestamp(kind.unit, "UTC"))
    try:
        series = pl.from_arrow(column)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise InputError(
            f"{file.path}: column {name}: its type {kind} cannot be read ({error}); write it as numbers or text, or "
            "leave it out"
        ) from None
    assert isinstance(series, pl.Series)
    return _plain(series.alias(name))


def _plain(column: pl.Series) -> pl.Series:
    if isinstance(column.dtype, pl.Array):
        column = column.arr.to_list()
    is_list = isinstance(column.dtype, pl.List)
    kind = column.dtype.inner if isinstance(column.dtype, pl.List) else column.dtype
    if not isinstance(kind, (pl.Categorical, pl.Enum, pl.Decimal)):
        return column
    column = column.cast(pl.List(pl.String) if is_list else pl.String)
    if not isinstance(kind, pl.Decimal) or kind.scale == 0:
        return column
    if is_list:
        return column.list.eval(pl.element().str.replace(_ZEROS_AT_THE_END, ""))
    return column.str.replace(_ZEROS_AT_THE_END, "")
