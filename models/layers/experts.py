"""A bank of experts that every row goes through."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any

import tensorflow as tf
import tf_keras as keras

from models.layers.dropout import ResumableDropout
from models.layers.initializers import StackedGlorotUniform


class ExpertBank(keras.layers.Layer):
    """`E` towers of dense ReLU layers over the same input, all of them evaluated.

        h_e = E_e(x),   e = 1 ... E

    The first layers are one wide product `(in, E * out)`, the following ones a batched product over experts.

    Example:
        >>> ExpertBank(experts=3, layers=[16, 8])(tf.ones([2, 5, 4])).shape
        TensorShape([2, 5, 3, 8])

    Args:
        experts: E.
        layers: units of each hidden layer of an expert.
        dropout: share of units dropped after each layer in training.
    """

    def __init__(self, experts: int, layers: Sequence[int], dropout: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if experts < 1:
            raise ValueError(f"a bank needs at least one expert, got {experts}")
        self.experts = experts
        self.units = list(layers)
        salt = zlib.crc32(self.name.encode())
        self.dropouts = [
            ResumableDropout(dropout, seed=salt + i, name=f"dropout_{i}") for i in range(len(layers))
        ]

    def build(self, input_shape: Any) -> None:
        width = int(input_shape[-1])
        self.kernels = []
        self.biases = []
        for i, units in enumerate(self.units):
            self.kernels.append(
                self.add_weight(
                    name=f"layer_{i}/kernel",
                    shape=(self.experts, width, units),
                    initializer=StackedGlorotUniform(),
                )
            )
            self.biases.append(
                self.add_weight(name=f"layer_{i}/bias", shape=(self.experts, units), initializer="zeros")
            )
            width = units
        super().build(input_shape)

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Outputs `(G, B, E, layers[-1])` of inputs `(G, B, in)`."""
        leading = tf.shape(inputs)[:-1]
        flat = tf.reshape(inputs, [1, -1, inputs.shape[-1]])
        hidden = flat
        for kernel, bias, dropout in zip(self.kernels, self.biases, self.dropouts, strict=True):
            hidden = tf.nn.relu(tf.matmul(hidden, kernel) + bias[:, None, :])
            hidden = dropout(hidden, training=training)
        outputs = tf.transpose(hidden, [1, 0, 2])
        return tf.reshape(outputs, tf.concat([leading, [self.experts, self.units[-1]]], 0))
