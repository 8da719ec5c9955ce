"""A tower that all domains share."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any

import tensorflow as tf
import tf_keras as keras

from models.layers.dropout import ResumableDropout


class SharedTower(keras.layers.Layer):
    """Dense ReLU layers, `s = S(x)`, the same for every domain.

    Example:
        >>> SharedTower(layers=[16, 8])(tf.ones([2, 5, 6])).shape
        TensorShape([2, 5, 8])

    Args:
        layers: units of each hidden layer.
        dropout: share of units dropped after each layer in training.
    """

    def __init__(self, layers: Sequence[int], dropout: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dense = [
            keras.layers.Dense(units, activation="relu", name=f"layer_{i}") for i, units in enumerate(layers)
        ]
        salt = zlib.crc32(self.name.encode())
        self.dropouts = [
            ResumableDropout(dropout, seed=salt + i, name=f"dropout_{i}") for i in range(len(layers))
        ]

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Outputs `(..., layers[-1])` of inputs `(..., in)`."""
        leading = tf.shape(inputs)[:-1]
        hidden = tf.reshape(inputs, [-1, inputs.shape[-1]])
        for dense, dropout in zip(self.dense, self.dropouts, strict=True):
            hidden = dropout(dense(hidden), training=training)
        return tf.reshape(hidden, tf.concat([leading, [hidden.shape[-1]]], 0))
