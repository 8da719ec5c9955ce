"""`tf.math.unsorted_segment_sum` of many short rows, bit for bit, as fast as TensorFlow has it anywhere.

TensorFlow 2.21's own takes three times as long on a processor as 2.16's: 1.5 ms and 0.5 ms for 32,768 rows of 16 into
20,000. As a product with a sparse matrix of ones, which adds the same rows in the same order, it takes 0.5 ms in 2.21,
and 0.8 ms in 2.16.
"""

from __future__ import annotations

import functools

import tensorflow as tf


def segment_sum(rows: tf.Tensor, place: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
    """The sum of the rows of each place. It has no gradient.

    Args:
      rows: float32, (n, ...).
      place: int32 (n,), 0 to count - 1.
      count: how many places there are.
    """
    if rows.shape.rank != 2 or not _is_slow():
        return tf.math.unsorted_segment_sum(rows, place, count)
    size = tf.size(place, tf.int64)
    return tf.raw_ops.SparseTensorDenseMatMul(
        a_indices=tf.transpose(tf.stack([tf.cast(place, tf.int64), tf.range(size)])),
        a_values=tf.ones([size], rows.dtype),
        a_shape=tf.stack([tf.cast(count, tf.int64), size]),
        b=rows,
    )


def distinct(gradient: tf.IndexedSlices) -> tf.IndexedSlices:
    """The same gradient with each index once: what names it several times is summed."""
    indices, place = tf.unique(gradient.indices)
    values = segment_sum(gradient.values, place, tf.size(indices))
    return tf.IndexedSlices(values, indices, gradient.dense_shape)


@functools.cache
def _is_slow() -> bool:
    major, minor = (int(part) for part in tf.__version__.split(".")[:2])
    return (major, minor) >= (2, 17) and not tf.config.list_physical_devices("GPU")
