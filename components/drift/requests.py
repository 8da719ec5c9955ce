"""What a server was asked on a day, out of its log: TensorFlow Serving's `PredictionLog`s in TFRecord files."""

from __future__ import annotations

import datetime
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from components.dataset.declaration import Declaration
from components.dataset.input_names import LIST_SEPARATOR
from components.trainer.raw_inputs import RequestFeature, request_features
from models.arrays import Array

MOST_ROWS = 50_000
"""More rows say no more of a distribution."""
_ROWS_OF_A_REQUEST = 64
_TYPES = {tf.int64: pa.int64(), tf.float32: pa.float32(), tf.string: pa.large_binary()}

Columns = Mapping[str, Sequence[Sequence[Any] | None]]


def asked(folder: str | Path, declaration: Declaration, day: str) -> pa.RecordBatch | None:
    """The rows that predictions were asked for on a day, one list column a feature; None: there are none.

    A ranking stands for a row of each candidate, at most 64 of them, evenly spread; of more than 50,000 rows a random
    sample is taken.

    Args:
      folder: of the log; it need not be there.
      declaration: the data set.
      day: ISO, on the clock of the declared zone.
    """
    zone = ZoneInfo(declaration.time_zone)
    begin = datetime.datetime.fromisoformat(day).replace(tzinfo=zone)
    end = begin + datetime.timedelta(days=1)
    seconds = (begin.timestamp(), end.timestamp())
    features = request_features(declaration)
    kept: list[list[Sequence[Any] | None]] = []
    seen, rng = 0, np.random.default_rng(0)
    for path in _files(Path(folder), seconds[0]):
        for row in _rows(path, features, seconds):
            seen += 1
            if len(kept) < MOST_ROWS:
                kept.append(row)
            elif (place := int(rng.integers(seen))) < MOST_ROWS:
                kept[place] = row
    if not kept:
        return None
    columns = zip(*kept, strict=True)
    arrays = [
        pa.array(list(column), pa.large_list(_TYPES[feature.dtype if not feature.is_list else tf.string]))
        for column, feature in zip(columns, features, strict=True)
    ]
    return pa.RecordBatch.from_arrays(arrays, [feature.name for feature in features])


def _files(folder: Path, begin: float) -> list[Path]:
    """Files of the log that were written to since the day began."""
    if not folder.is_dir():
        return []
    return sorted(
        path for path in folder.rglob("*tfrecord*") if path.is_file() and path.stat().st_mtime >= begin
    )


def _rows(
    path: Path, features: Sequence[RequestFeature], seconds: tuple[float, float]
) -> Iterator[list[Sequence[Any] | None]]:
    written = path.stat().st_mtime
    records = tf.data.TFRecordDataset(str(path)).as_numpy_iterator()
    while True:
        try:
            record = next(records)
        except StopIteration:
            return
        except tf.errors.DataLossError:
            # The server is still writing, or was killed: what follows has no beginning.
            return
        log = prediction_log_pb2.PredictionLog.FromString(record)
        moment = log.log_metadata.timestamp_secs or written
        if seconds[0] <= moment < seconds[1]:
            yield from _of_request(log, features)


def _of_request(log: Any, features: Sequence[RequestFeature]) -> Iterator[list[Sequence[Any] | None]]:
    kind = log.WhichOneof("log_type")
    if kind == "predict_log":
        inputs = log.predict_log.request.inputs
        arrays = {name: tf.make_ndarray(tensor) for name, tensor in inputs.items()}
        if set(arrays) == {"examples"}:
            yield from (
                _of_example(tf.train.Example.FromString(e), features) for e in arrays["examples"].ravel()
            )
        else:
            yield from _of_tensors(arrays, features)
    elif kind in ("classify_log", "regress_log"):
        given = getattr(log, kind).request.input
        for example in (*given.example_list.examples, *given.example_list_with_context.examples):
            whole = tf.train.Example()
            whole.CopyFrom(given.example_list_with_context.context)
            whole.MergeFrom(example)
            yield _of_example(whole, features)


def _of_tensors(
    arrays: Mapping[str, Array], features: Sequence[RequestFeature]
) -> Iterator[list[Sequence[Any] | None]]:
    """Every row of a `serving_default`, and the candidates of a `rank`, whose user is given once."""
    shape = np.broadcast_shapes(*(array.shape for array in arrays.values()))
    count = math.prod(shape)
    chosen = np.linspace(0, count - 1, min(count, _ROWS_OF_A_REQUEST)).astype(int)
    flat = {name: np.broadcast_to(array, shape).ravel()[chosen] for name, array in arrays.items()}
    for at in range(len(chosen)):
        yield [
            _value(feature, flat[feature.input][at]) if feature.input in flat else None
            for feature in features
        ]


def _value(feature: RequestFeature, value: Any) -> Sequence[Any] | None:
    """The values of a cell; None where it says that there is none."""
    if feature.dtype != tf.string:
        missing = np.isnan(value) if feature.dtype == tf.float32 else value == -1 and not feature.is_domain
        return None if missing else [value.item()]
    text = value if isinstance(value, bytes) else str(value).encode()
    if not feature.is_list:
        return [text] if text else None
    inner = LIST_SEPARATOR.encode()
    separator = inner if inner in text or feature.separator is None else feature.separator.encode()
    return [part for part in text.split(separator) if part] or None


def _of_example(example: Any, features: Sequence[RequestFeature]) -> list[Sequence[Any] | None]:
    row: list[Sequence[Any] | None] = []
    for feature in features:
        found = example.features.feature.get(feature.name)
        kind = found.WhichOneof("kind") if found is not None else None
        row.append(list(getattr(found, kind).value) or None if kind else None)
    return row
