"""The rows of a batch without its padding, for what does not need them in groups."""

from __future__ import annotations

from collections.abc import Mapping

import tensorflow as tf


class Packing:
    """Takes the padding out of a grouped batch, and puts it back.

    A step of mixed domains fills its groups to two thirds where one domain has most of the rows. What all domains
    share, and what a row is told by every domain, needs no groups: it is computed for the `N` rows alone.

    Args:
        rows: `(G, B, ...)` by key.
        domains: `(G,)`.
        weights: `(G, B)`, 1 for a row and 0 for padding.

    Attributes:
        domains: `(N,)`, of each row.
        batch: rows `(N, 1, ...)`, their domains, and weights `(N, 1)`: each row as a group of its own.
    """

    def __init__(self, rows: Mapping[str, tf.Tensor], domains: tf.Tensor, weights: tf.Tensor) -> None:
        self._shape = tf.shape(weights)
        flat = tf.reshape(weights, [-1])
        self._place = tf.cast(tf.where(flat > 0)[:, 0], tf.int32)
        self._group = tf.math.floordiv(self._place, self._shape[1])
        self.domains = self.of_groups(domains)
        alone = {key: tf.gather(_flat(value), self._place)[:, None] for key, value in rows.items()}
        self.batch = alone, self.domains, tf.gather(flat, self._place)[:, None]

    def of_groups(self, values: tf.Tensor) -> tf.Tensor:
        """What each row's group has: `(G, ...)` to `(N, ...)`."""
        return tf.gather(values, self._group)

    def pack(self, values: tf.Tensor) -> tf.Tensor:
        """`(G, B, ...)` to `(1, N, ...)`: all rows as one group.

        A stacked layer given one group and M indices sends the group through all M slices: `(M, N, out)`.
        """
        packed = tf.gather(_flat(values), self._place)[None]
        packed.set_shape([1, None, *values.shape[2:]])
        return packed

    def unpack(self, values: tf.Tensor) -> tf.Tensor:
        """`(1, N, ...)` to `(G, B, ...)`, zeros in the padding."""
        tail = tf.shape(values)[2:]
        slots = tf.concat([tf.reduce_prod(self._shape)[None], tail], 0)
        flat = tf.scatter_nd(self._place[:, None], values[0], slots)
        groups = tf.reshape(flat, tf.concat([self._shape, tail], 0))
        groups.set_shape([None, None, *values.shape[2:]])
        return groups


def one_group(values: tf.Tensor) -> tf.Tensor:
    """Rows that are groups of their own `(N, 1, ...)` as one group `(1, N, ...)`."""
    shape = tf.shape(values)
    group = tf.reshape(values, tf.concat([[1], shape[:1], shape[2:]], 0))
    group.set_shape([1, None, *values.shape[2:]])
    return group


def _flat(values: tf.Tensor) -> tf.Tensor:
    return tf.reshape(values, tf.concat([[-1], tf.shape(values)[2:]], 0))
