"""What is measured of a day's examples, in one pass whose memory does not grow with the rows."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import tensorflow as tf
from tfx_bsl.coders import example_coder

from components.dataset.declaration import Declaration
from components.dataset.names import LOCAL_TIME
from components.drift.figures import Counts, FeatureFigures, Measured
from models.arrays import Array

HOUR_MS = 3_600_000
_BATCH = 4096


def measure(
    files: Sequence[str],
    declaration: Declaration,
    day: str,
    known: Mapping[str, Sequence[str]] | None = None,
) -> Measured:
    """Reads a day's examples once.

    Args:
      files: gzipped TFRecords of tf.Example.
      declaration: the data set.
      day: ISO.
      known: by categorical feature, the values of the days before, as text; None: that is not known.
    """
    found = Measured(day=day)
    columns = [name for name in declaration.example_columns() if name != LOCAL_TIME]
    seen = {name: pa.array([_bytes(value) for value in values]) for name, values in (known or {}).items()}
    categorical = declaration.categorical_features()
    for batch in _batches(files):
        rows = batch.num_rows
        label = _first(batch, declaration.label).astype(np.int64)
        found.overall.rows += rows
        found.overall.clicks += int(label.sum())
        _count_domains(found, batch, declaration.domain, label)
        hours = (_first(batch, LOCAL_TIME).astype(np.int64) // HOUR_MS) % 24
        found.hours = _added(found.hours, np.bincount(hours, minlength=24))
        found.clicks = _added(found.clicks, np.bincount(hours, label, minlength=24))
        for name in columns:
            figures = found.features.setdefault(name, FeatureFigures(unseen=0 if name in seen else None))
            if name not in batch.schema.names:
                figures.missing += rows
                continue
            column = batch.column(name)
            lengths = pc.fill_null(pc.list_value_length(column), 0)
            figures.missing += rows - int(pc.sum(pc.greater(lengths, 0)).as_py() or 0)
            values = column.flatten()
            figures.values += len(values)
            if not len(values):
                continue
            if name in categorical:
                if name in seen:
                    texts = values if pa.types.is_large_binary(values.type) else values.cast(pa.string())
                    texts = texts.cast(pa.binary())
                    figures.unseen = (
                        (figures.unseen or 0)
                        + len(values)
                        - int(pc.sum(pc.is_in(texts, value_set=seen[name])).as_py() or 0)
                    )
            elif pa.types.is_integer(values.type) or pa.types.is_floating(values.type):
                low, high = pc.min_max(values).values()
                figures.low = min(_number(low), math.inf if figures.low is None else figures.low)
                figures.high = max(_number(high), -math.inf if figures.high is None else figures.high)
    return found


def _added(counts: list[int], more: Array) -> list[int]:
    return [count + int(added) for count, added in zip(counts, more, strict=True)]


def _number(value: pa.Scalar) -> float:
    return float(value.as_py())


def _bytes(value: str) -> bytes:
    return value.encode() if isinstance(value, str) else bytes(value)


def _batches(files: Sequence[str]) -> Iterator[pa.RecordBatch]:
    decoder = example_coder.ExamplesToRecordBatchDecoder()
    records = tf.data.TFRecordDataset(list(files), compression_type="GZIP").batch(_BATCH)
    for block in records.as_numpy_iterator():
        yield decoder.DecodeBatch(block.tolist())


def _first(batch: pa.RecordBatch, name: str) -> Array:
    """A column of which every row has one value."""
    values: Array = batch.column(name).flatten().to_numpy(zero_copy_only=False)
    return values


def _count_domains(found: Measured, batch: pa.RecordBatch, domain: str, label: Array) -> None:
    values, place = np.unique(_first(batch, domain), return_inverse=True)
    rows = np.bincount(place, minlength=len(values))
    clicks = np.bincount(place, weights=label, minlength=len(values))
    for value, count, clicked in zip(values, rows, clicks, strict=True):
        name = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
        counts = found.domains.setdefault(name, Counts())
        counts.rows += int(count)
        counts.clicks += int(clicked)
