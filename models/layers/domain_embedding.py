"""A trained vector for each domain."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tf_keras as keras

from models.replicas import slices_of


class DomainEmbedding(keras.layers.Layer):
    """One vector per domain, `(D, k)`.

    Example:
        >>> vectors = DomainEmbedding(stacks=3, size=2)(tf.constant([2, 0]))
        >>> concat_to_rows(vectors, tf.ones([2, 5, 4])).shape
        TensorShape([2, 5, 6])

    Args:
        stacks: D.
        size: k.
    """

    def __init__(self, stacks: int, size: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.stacks = stacks
        self.size = size

    def build(self, input_shape: Any) -> None:
        self.vectors = self.add_weight(
            name="vectors",
            shape=(self.stacks, self.size),
            initializer=keras.initializers.RandomUniform(-0.05, 0.05),
        )
        super().build(input_shape)

    def call(self, domains: tf.Tensor) -> tf.Tensor:
        """Vectors `(G, k)` of domains `(G,)`."""
        return slices_of(self.vectors, domains)


def concat_to_rows(vectors: tf.Tensor, inputs: tf.Tensor) -> tf.Tensor:
    """Joins a group's vector `(G, k)` to each of its rows `(G, B, in)`: `(G, B, k + in)`."""
    repeated = tf.repeat(vectors[:, None, :], tf.shape(inputs)[1], axis=1)
    return tf.concat([repeated, inputs], axis=-1)
