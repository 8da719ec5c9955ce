"""Real rows as every door of the exported model takes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_transform as tft

from components.dataset.declaration import Declaration
from components.dataset.input_names import LIST_SEPARATOR
from components.trainer.export import unpack
from components.trainer.raw_inputs import (
    TIME_FEATURE,
    RawInputs,
    RequestFeature,
    missing_value,
    request_features,
)
from models.arrays import Array, pack_texts, write_arrays
from models.features import FeatureLayout


def read_serialized(files: Sequence[str], rows: int) -> list[bytes]:
    """The first `rows` serialized `tf.Example`s of gzip-compressed TFRecords, without their time: asked now, as a
    caller asks."""
    dataset = tf.data.TFRecordDataset(sorted(files), compression_type="GZIP").take(rows)
    return [_without_time(record) for record in dataset.as_numpy_iterator()]


def _without_time(record: bytes) -> bytes:
    example = tf.train.Example.FromString(record)
    example.features.feature.pop(TIME_FEATURE, None)
    return example.SerializeToString()


def named_rows(serialized: Sequence[bytes], features: Sequence[RequestFeature]) -> dict[str, Array]:
    """The named-feature request of the same rows: one array (rows,) per feature."""
    examples = [tf.train.Example.FromString(record).features.feature for record in serialized]
    return {
        feature.input: np.array(
            [_value(example.get(feature.name), feature) for example in examples],
            object if feature.dtype == tf.string else feature.dtype.as_numpy_dtype,
        )
        for feature in features
    }


def _value(value: tf.train.Feature | None, feature: RequestFeature) -> float | int | bytes | str:
    values: Sequence[float | int | bytes] = (
        [] if value is None else getattr(value, value.WhichOneof("kind") or "int64_list").value
    )
    if feature.is_list:
        texts = [item if isinstance(item, bytes) else str(item).encode() for item in values]
        return b"".join(text + LIST_SEPARATOR.encode() for text in texts)
    return values[0] if values else missing_value(feature.dtype)


def differing_readings(
    inputs: RawInputs, serialized: Sequence[bytes], named: Mapping[str, Array]
) -> list[str]:
    """For each feature that reads otherwise in an example than in a request: the value, and both readings."""
    of_examples = inputs.from_examples(tf.constant(serialized))
    request = {
        feature.name: tf.constant(named[feature.input].tolist(), feature.dtype) for feature in inputs.features
    }
    of_request = inputs.from_named(request)
    found = []
    for feature in inputs.features:
        # An integer -1 is no value to the model, whether an example has it or leaves it out.
        none = [] if feature.is_list or feature.dtype != tf.int64 else [missing_value(feature.dtype)]
        one, other = (
            [[] if values == none else values for values in _rows(read[feature.name])]
            for read in (of_examples, of_request)
        )
        row = next((row for row, (a, b) in enumerate(zip(one, other, strict=True)) if a != b), None)
        if row is not None:
            value = named[feature.input][row : row + 1].tolist()[0]
            found.append(
                f"{feature.name} of row {row + 1}, {value!r}: {one[row]} in the example, {other[row]} in a request"
            )
    return found


def _rows(read: tf.Tensor | tf.SparseTensor) -> list[list[object]]:
    """The values of each row, missing ones left out."""
    if not isinstance(read, tf.SparseTensor):
        return [np.ravel(row).tolist() for row in read.numpy()]
    rows: list[list[object]] = [[] for _ in range(int(read.dense_shape[0]))]
    for (row, *_), value in zip(read.indices.numpy(), read.values.numpy().tolist(), strict=True):
        rows[row].append(value)
    return rows


def write_requests(
    files: Sequence[str],
    rows: int,
    declaration: Declaration,
    transform_graph: str,
    layout: FeatureLayout,
    path: Path,
) -> int:
    """Writes the same rows in every form, for a process that knows nothing of this project.

    Args:
      files: gzip-compressed TFRecords of raw `tf.Example`s.
      rows: how many rows to take.
      declaration: the data set.
      transform_graph: the Transform graph's directory.
      layout: what the packed columns hold.
      path: the `.npz` to write, for `fresh_process.read_requests`: `serialized`, `named.<feature>`,
        `transformed.<column>`, and `readings`: what an example and a request with the same value are read as where
        that differs.

    Returns:
      The number of rows written.
    """
    serialized = read_serialized(files, rows)
    transform_output = tft.TFTransformOutput(transform_graph)
    inputs = RawInputs(declaration, transform_output.raw_feature_spec())
    packed = transform_output.transform_features_layer()(inputs.from_examples(tf.constant(serialized)))
    transformed = {**unpack(packed, layout), "domain": tf.cast(tf.reshape(packed["domain"], [-1]), tf.int32)}
    named = named_rows(serialized, request_features(declaration))
    texts: dict[str, list[Any]] = {
        "serialized": serialized,
        "readings": differing_readings(inputs, serialized, named),
    }
    arrays = {f"transformed.{name}": column.numpy() for name, column in transformed.items()}
    for name, column in named.items():
        if column.dtype == object:
            texts[f"named.{name}"] = column.tolist()
        else:
            arrays[f"named.{name}"] = column
    for name, values in texts.items():
        arrays[f"text.{name}"], arrays[f"length.{name}"] = pack_texts(values)
    write_arrays(path, arrays)
    return len(serialized)
