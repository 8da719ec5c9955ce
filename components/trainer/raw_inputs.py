"""Raw features as callers send them, turned into what the Transform graph takes.

A caller sends one flat tensor per feature; `tf.Example`s carry the same features. A missing value is NaN for a
number, the empty string for text and -1 for an integer: the Transform graph then sees no value at all, exactly
as for a log row in which the column was empty. Neither label, behaviours nor time are asked for: the graph gets
-1 as the time, which stands for "now".
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import tensorflow as tf

from components.dataset.declaration import Declaration

TIME_FEATURE = "local_time_ms"
NOW = -1

_DTYPES = {"int": tf.int64, "float": tf.float32, "string": tf.string}
_MISSING: dict[tf.DType, float | int | str] = {tf.int64: -1, tf.float32: float("nan"), tf.string: ""}


def missing_value(dtype: tf.DType) -> float | int | str:
    """What stands for "no value" in a request: -1, NaN or the empty string."""
    return _MISSING[dtype]


@dataclasses.dataclass(frozen=True)
class RequestFeature:
    """One named input of the serving signature.

    Attributes:
      name: the raw column.
      dtype: int64, float32 or string; a list-valued feature is one string with its separator, as in the logs.
      separator: what separates the values of a list-valued feature; `None` for a single value.
    """

    name: str
    dtype: tf.DType
    separator: str | None = None


def request_features(declaration: Declaration) -> list[RequestFeature]:
    """The inputs of the named-feature signature: the declared features, the domain, the user and the item."""
    separators = {name: feature.separator for name, feature in declaration.features.items()}
    return [
        RequestFeature(
            name, tf.string if separators.get(name) is not None else _DTYPES[column], separators.get(name)
        )
        for name, column in declaration.serving_columns().items()
    ]


class RawInputs:
    """Converts requests into the inputs of the Transform graph.

    Args:
      declaration: the data set.
      raw_spec: the raw feature spec that the Transform graph was built with.
    """

    def __init__(self, declaration: Declaration, raw_spec: Mapping[str, object]) -> None:
        self.features = request_features(declaration)
        self._types = declaration.serving_columns()
        self._spec = {feature.name: raw_spec[feature.name] for feature in self.features}
        self._time_spec = raw_spec[TIME_FEATURE]

    def from_named(self, named: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor | tf.SparseTensor]:
        """Named tensors (rows,) to Transform inputs. A tensor of length 1 holds for every row."""
        rows = tf.reduce_max(tf.stack([tf.shape(value)[0] for value in named.values()]))
        raw = {}
        for feature in self.features:
            value = tf.reshape(named[feature.name], [-1])
            value = tf.cond(tf.shape(value)[0] == rows, lambda v=value: v, lambda v=value: tf.repeat(v, rows))
            value = tf.ensure_shape(value, [None])
            raw[feature.name] = self._from_flat(feature, value)
        raw[TIME_FEATURE] = self._now(rows)
        return raw

    def from_examples(self, serialized: tf.Tensor) -> dict[str, tf.Tensor | tf.SparseTensor]:
        """Serialized `tf.Example`s, string (rows,), to Transform inputs. Any feature may be absent."""
        parsed = tf.io.parse_example(serialized, {name: self._lenient(name) for name in self._spec})
        parsed[TIME_FEATURE] = self._now(tf.shape(serialized)[0])
        return parsed

    def _from_flat(self, feature: RequestFeature, value: tf.Tensor) -> tf.Tensor | tf.SparseTensor:
        if feature.separator is not None:
            parts = tf.strings.strip(tf.strings.split(value, feature.separator))
            parts = tf.ragged.boolean_mask(parts, tf.not_equal(parts, ""))
            if self._types[feature.name] != "string":
                parts = tf.strings.to_number(parts, _DTYPES[self._types[feature.name]])
            return parts.to_sparse()
        spec = self._spec[feature.name]
        if isinstance(spec, tf.io.FixedLenFeature):
            return tf.reshape(value, [-1, *spec.shape])
        if feature.dtype == tf.float32:
            present = tf.logical_not(tf.math.is_nan(value))
        else:
            present = tf.not_equal(value, tf.constant(missing_value(feature.dtype), feature.dtype))
        rows = tf.where(present)
        indices = tf.concat([rows, tf.zeros_like(rows)], axis=1)
        shape = tf.stack([tf.shape(value, tf.int64)[0], tf.constant(1, tf.int64)])
        return tf.SparseTensor(indices, tf.boolean_mask(value, present), shape)

    def _lenient(self, name: str) -> object:
        spec = self._spec[name]
        if not isinstance(spec, tf.io.FixedLenFeature):
            return spec
        size = tf.TensorShape(spec.shape).num_elements() or 1
        return tf.io.FixedLenFeature(spec.shape, spec.dtype, [missing_value(spec.dtype)] * size)

    def _now(self, rows: tf.Tensor) -> tf.Tensor | tf.SparseTensor:
        value = tf.fill([rows], tf.constant(NOW, tf.int64))
        if isinstance(self._time_spec, tf.io.FixedLenFeature):
            return tf.reshape(value, [-1, *self._time_spec.shape])
        return tf.sparse.from_dense(tf.expand_dims(value, 1))
