"""Raw inputs, sparse or dense, as dense matrices of one row per impression.

Transform traces this graph about eight times before it reads a row, and a declaration may have hundreds of columns:
a scalar column costs one op here, all else is done on whole matrices.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import tensorflow as tf

from components.dataset.names import BEHAVIOUR_PREFIX
from components.transform import hashing
from components.transform.transform_plan import TransformPlan

Raw: TypeAlias = "tf.Tensor | tf.SparseTensor"

NO_INTEGER = tf.int64.min
UNSET = -1
MISSING = {tf.int64: NO_INTEGER, tf.float32: float("nan"), tf.string: ""}


@dataclass(frozen=True)
class Columns:
    """A batch of rows; `n` rows.

    Attributes:
      hashes: of every source, `hashing.MISSING` where a row has no value, int64 (n, H).
      integers, texts: the raw values behind the first I + S hashes, int64 (n, I) and string (n, S); ranges follow.
      numbers: normalised features (logarithm taken where asked), then `buckets` features, then `as_is` features;
        NaN where missing, float32 (n, N + Q + P).
      behaviours: NaN where missing, float32 (n, F).
      time: local time in ms, -1 ("now") where missing, int64 (n,).
      label: float32 (n,).
    """

    hashes: tf.Tensor
    integers: tf.Tensor
    texts: tf.Tensor
    numbers: tf.Tensor
    behaviours: tf.Tensor
    time: tf.Tensor
    label: tf.Tensor


class RowReader:
    """Makes dense columns of one batch. Of a column that is not one of `lists` every row has at most one value."""

    def __init__(self, inputs: Mapping[str, Raw], rows_of: str, lists: Set[str]) -> None:
        self._inputs = inputs
        self._lists = lists
        value = inputs[rows_of]
        self._rows = (
            value.dense_shape[0] if isinstance(value, tf.SparseTensor) else tf.shape(value, tf.int64)[0]
        )
        self._shapes: dict[int, tf.Tensor] = {}
        self._missing = {dtype: tf.constant(value, dtype) for dtype, value in MISSING.items()}

    def matrix(
        self, columns: Sequence[tuple[str, int]], dtype: tf.DType, features: bool = False
    ) -> tf.Tensor:
        """Columns (name, width) side by side, (n, sum of widths); integers are cast for a float matrix.

        Of `features` an integer -1 becomes NaN there: it stands for no value.
        """
        if not columns:
            return tf.ensure_shape(tf.fill(self._shape(0), self._missing[dtype]), [None, 0])
        if dtype != tf.float32:
            return tf.concat([self._dense(name, width) for name, width in columns], axis=1)
        integers = [self._inputs[name].dtype != tf.float32 for name, _ in columns]
        order = np.argsort(integers, kind="stable")
        parts = [self._dense(name, width) for name, width in columns]
        floats = [part for part, integer in zip(parts, integers, strict=True) if not integer]
        if any(integers):
            cast = tf.concat([part for part, integer in zip(parts, integers, strict=True) if integer], axis=1)
            missing = (cast == NO_INTEGER) | (cast == UNSET) if features else cast == NO_INTEGER
            floats.append(tf.where(missing, MISSING[tf.float32], tf.cast(cast, tf.float32)))
        matrix = floats[0] if len(floats) == 1 else tf.concat(floats, axis=1)
        if (order == np.arange(len(order))).all():
            return matrix
        return tf.gather(matrix, np.argsort(order), axis=1)

    def _shape(self, width: int) -> tf.Tensor:
        if width not in self._shapes:
            self._shapes[width] = tf.stack([self._rows, tf.constant(width, tf.int64)])
        return self._shapes[width]

    def _dense(self, name: str, width: int) -> tf.Tensor:
        value = self._inputs[name]
        if not isinstance(value, tf.SparseTensor):
            return value if len(value.shape) == 2 else tf.reshape(value, self._shape(width))
        if name in self._lists:
            value = tf.sparse.slice(value, [0, 0], self._shape(width))
        return tf.raw_ops.SparseToDense(
            sparse_indices=value.indices,
            output_shape=self._shape(width),
            sparse_values=value.values,
            default_value=self._missing[value.dtype],
        )


def read_columns(inputs: Mapping[str, Raw], plan: TransformPlan) -> Columns:
    """Reads and hashes everything that a batch holds.

    An integer -1 of a feature stands for no value, in a log as in a request. In a list it is a value, and so it is of
    the domain, which every row has.
    """
    domain = plan.sources[plan.vocabularies[0].source].name
    reader = RowReader(inputs, domain, {source.name for source in plan.sources if source.is_list})
    whole = [s for s in plan.sources if s.edges is None]
    integers = reader.matrix([(s.name, s.width) for s in whole if not s.is_text], tf.int64)
    may_lack = [not s.is_list and s.name != domain for s in whole if not s.is_text for _ in range(s.width)]
    integers = tf.where((integers == UNSET) & np.array(may_lack, bool), NO_INTEGER, integers)
    texts = reader.matrix([(s.name, s.width) for s in whole if s.is_text], tf.string)
    hashes = [
        _hash(tf.strings.as_string(integers), integers == NO_INTEGER),
        _hash(texts, texts == ""),
        *_ranges(reader, plan),
    ]
    plain = [name for name, treatment in plan.numeric if treatment == "as_is"]
    names = [name for name, _ in (*plan.normalised, *plan.quantiles)] + plain
    numbers = reader.matrix([(name, 1) for name in names], tf.float32, features=True)
    logarithm = np.array([log for _, log in plan.normalised] + [False] * (len(names) - len(plan.normalised)))
    if logarithm.any():
        # The minimum of NaN and a number is NaN, so that a missing number stays missing.
        numbers = tf.where(logarithm, tf.math.log1p(tf.math.maximum(numbers, 0.0)), numbers)
    if plain:
        # Other treatments bound a caller's infinite number; as it is it would be the end of the row's score.
        endless = tf.math.is_inf(numbers) & (np.arange(len(names)) >= len(names) - len(plain))
        numbers = tf.where(endless, np.float32(np.nan), numbers)
    time = reader.matrix([(plan.time, 1)], tf.int64)[:, 0]
    return Columns(
        hashes=tf.ensure_shape(tf.concat(hashes, axis=1), [None, plan.hashed_columns]),
        integers=integers,
        texts=texts,
        numbers=tf.ensure_shape(numbers, [None, len(names)]),
        behaviours=reader.matrix([(BEHAVIOUR_PREFIX + name, 1) for name in plan.behaviours], tf.float32),
        time=tf.where(time == NO_INTEGER, tf.constant(-1, tf.int64), time),
        label=reader.matrix([(plan.label, 1)], tf.float32)[:, 0],
    )


def _ranges(reader: RowReader, plan: TransformPlan) -> list[tf.Tensor]:
    """Hashes `(n, 1)` of every range: of how many of its edges the number has reached."""
    hashes = []
    for source in plan.sources:
        if source.edges is not None:
            number = reader.matrix([(source.column, 1)], tf.float32, features=True)
            reached = tf.reduce_sum(tf.cast(number >= np.array(source.edges, np.float32), tf.int64), 1)
            hashes.append(_hash(tf.strings.as_string(reached)[:, None], tf.math.is_nan(number)))
    return hashes


def _hash(texts: tf.Tensor, missing: tf.Tensor) -> tf.Tensor:
    hashes = tf.strings.to_hash_bucket_fast(texts, hashing.HASH_BUCKETS)
    return tf.where(missing, tf.constant(hashing.MISSING, tf.int64), hashes)
