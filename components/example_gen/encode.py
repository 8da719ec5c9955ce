"""Joined rows to the columns of examples: behaviours derived, types narrowed to int64, float32 and bytes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl
import pyarrow as pa

from components.dataset.declaration import Declaration
from components.dataset.label import is_positive, label_of
from components.dataset.names import BEHAVIOUR_PREFIX
from components.dataset.sections import Behaviour
from components.dataset.values import LARGEST_FLOAT
from components.example_bytes import list_values

# Rows encoded at a time: a tf.Example is many times as large as its row.
_SLICE_ROWS = 8192


def example_frame(rows: pl.DataFrame, declaration: Declaration) -> pl.DataFrame:
    """The columns of the examples, in the order and types of `Declaration.example_columns`.

    A behaviour that is a ratio is missing where its denominator is 0 or missing, or where it is too large for the
    32-bit floats of examples.

    Args:
      rows: joined rows with every raw column, and `local_time_ms`.
    """
    derived = {
        BEHAVIOUR_PREFIX + name: _behaviour(rows, behaviour)
        for name, behaviour in declaration.behaviours.items()
    }
    derived[declaration.label] = label_of(rows, declaration)
    columns = {}
    for name, kind in declaration.example_columns().items():
        column = derived[name] if name in derived else rows[name]
        columns[name] = (
            column.cast(pl.Float32) if kind == "float" and not column.dtype.is_nested() else column
        )
    return pl.DataFrame(columns)


def _behaviour(rows: pl.DataFrame, behaviour: Behaviour) -> pl.Series:
    column = rows[behaviour.source]
    values = (column if behaviour.positive is None else is_positive(column, behaviour.positive)).cast(
        pl.Float64
    )
    if behaviour.denominator is not None:
        denominator = rows[behaviour.denominator].cast(pl.Float64)
        known = (denominator != 0).fill_null(False)
        values = (values / denominator).zip_with(known, pl.Series([None], dtype=pl.Float64))
    if behaviour.clip is not None:
        values = values.clip(*behaviour.clip)
    # A single infinite value would be all that is left of the averages it goes into.
    fits = (values.abs() <= LARGEST_FLOAT).fill_null(False)
    return values.zip_with(fits, pl.Series([None], dtype=pl.Float64))


def batches(frame: pl.DataFrame, slice_rows: int = _SLICE_ROWS) -> Iterator[pa.RecordBatch]:
    """The rows as columns of int64, float32 and bytes, or of lists of these, in order, a slice at a time; a null is an
    absent feature."""
    for start in range(0, len(frame), slice_rows):
        part = frame.slice(start, slice_rows)
        yield pa.RecordBatch.from_arrays([_narrowed(part[name]) for name in part.columns], names=part.columns)


def _narrowed(column: pl.Series) -> pa.Array:
    array = column.rechunk().to_arrow()
    if isinstance(column.dtype, pl.List):
        if column.null_count():
            flat, offsets = list_values(array)
            absent = np.append(column.is_null().to_numpy(), False)
            array = pa.LargeListArray.from_arrays(pa.array(offsets, pa.int64(), mask=absent), flat)
        return array.cast(pa.large_list(_narrow(array.type.value_type)))
    return array.cast(_narrow(array.type))


def _narrow(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_large_string(kind):
        return pa.large_binary()
    return pa.float32() if pa.types.is_floating(kind) else kind
