"""Raw inputs, sparse or dense, as dense matrices of one row per impression."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import tensorflow as tf

from components.dataset.declaration import BEHAVIOUR_PREFIX
from components.transform import hashing
from components.transform.plan import Plan, Source

Raw: TypeAlias = "tf.Tensor | tf.SparseTensor"

NO_INTEGER = tf.int64.min
NAN = float("nan")


@dataclass(frozen=True)
class Columns:
    """A batch of rows; `n` rows.

    Attributes:
      hashes: of every source, `hashing.MISSING` where a row has no value, int64 (n, H).
      integers, texts: the raw values behind the hashes, int64 (n, I) and string (n, S); I + S = H.
      numbers: normalised features (logarithm taken where asked), then `buckets` features; NaN where missing,
        float32 (n, N + Q).
      plain: `as_is` features, 0 where missing, float32 (n, P).
    """

    hashes: tf.Tensor
    integers: tf.Tensor
    texts: tf.Tensor
    numbers: tf.Tensor
    plain: tf.Tensor


def dense(value: Raw, width: int, missing: object) -> tf.Tensor:
    """The first `width` values of every row, (n, width), `missing` where there are fewer."""
    if not isinstance(value, tf.SparseTensor):
        return tf.reshape(value, [tf.shape(value)[0], -1])[:, :width]
    rows = value.dense_shape[0]
    kept = value.indices[:, 1] < width
    # Scalars are by far the most: they skip the filter unless a row carries several values.
    indices, values = tf.boolean_mask(value.indices, kept), tf.boolean_mask(value.values, kept)
    default = tf.fill(tf.stack([rows, width]), tf.constant(missing, value.dtype))
    return tf.ensure_shape(tf.tensor_scatter_nd_update(default, indices, values), [None, width])


def number(value: Raw) -> tf.Tensor:
    """One number per row, float32 (n,), NaN where missing."""
    if value.dtype == tf.float32:
        return dense(value, 1, NAN)[:, 0]
    column = dense(value, 1, NO_INTEGER)[:, 0]
    return tf.where(column == NO_INTEGER, NAN, tf.cast(column, tf.float32))


def read_columns(inputs: Mapping[str, Raw], plan: Plan) -> Columns:
    """Reads and hashes everything that features need."""
    rows = row_count(inputs[plan.sources[plan.vocabularies[0].source].name])
    integers = _stack([_raw(inputs, s) for s in plan.sources if not s.is_text], rows, tf.int64)
    texts = _stack([_raw(inputs, s) for s in plan.sources if s.is_text], rows, tf.string)
    parts = []
    if integers.shape[1]:
        parts.append(_hash(tf.strings.as_string(integers), integers == NO_INTEGER))
    if texts.shape[1]:
        parts.append(_hash(texts, texts == ""))
    numbers = [
        _logarithm(number(inputs[name])) if log else number(inputs[name]) for name, log in plan.normalised
    ]
    numbers += [number(inputs[name]) for name, _ in plan.quantiles]
    plain = [number(inputs[name]) for name, treatment in plan.numeric if treatment == "as_is"]
    return Columns(
        hashes=tf.concat(parts, axis=1),
        integers=integers,
        texts=texts,
        numbers=_stack([column[:, None] for column in numbers], rows, tf.float32),
        plain=_nan_to_zero(_stack([column[:, None] for column in plain], rows, tf.float32)),
    )


def read_behaviours(inputs: Mapping[str, Raw], plan: Plan) -> tf.Tensor:
    """Observed behaviours, NaN where missing, float32 (n, F)."""
    rows = row_count(inputs[plan.time])
    columns = [number(inputs[BEHAVIOUR_PREFIX + name])[:, None] for name in plan.behaviours]
    return _stack(columns, rows, tf.float32)


def read_time(inputs: Mapping[str, Raw], plan: Plan) -> tf.Tensor:
    """Local time in ms, -1 ("now") where missing, int64 (n,)."""
    return dense(inputs[plan.time], 1, -1)[:, 0]


def row_count(value: Raw) -> tf.Tensor:
    """n, as int32."""
    if isinstance(value, tf.SparseTensor):
        return tf.cast(value.dense_shape[0], tf.int32)
    return tf.shape(value)[0]


def _raw(inputs: Mapping[str, Raw], source: Source) -> tf.Tensor:
    return dense(inputs[source.name], source.width, "" if source.is_text else NO_INTEGER)


def _hash(texts: tf.Tensor, missing: tf.Tensor) -> tf.Tensor:
    hashes = tf.strings.to_hash_bucket_fast(texts, hashing.HASH_BUCKETS)
    return tf.where(missing, tf.constant(hashing.MISSING, tf.int64), hashes)


def _logarithm(column: tf.Tensor) -> tf.Tensor:
    return tf.math.log1p(tf.maximum(column, 0.0))


def _nan_to_zero(values: tf.Tensor) -> tf.Tensor:
    return tf.where(tf.math.is_nan(values), 0.0, values)


def _stack(columns: list[tf.Tensor], rows: tf.Tensor, dtype: tf.DType) -> tf.Tensor:
    if not columns:
        return tf.ensure_shape(tf.zeros(tf.stack([rows, 0]), dtype), [None, 0])
    return tf.concat(columns, axis=1)
