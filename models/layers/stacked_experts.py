"""A bank of experts for each domain, stored as stacks."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any

import tensorflow as tf
import tf_keras as keras

from models.layers.dropout import ResumableDropout
from models.layers.initializers import StackedGlorotUniform
from models.replicas import slices_of


class StackedExpertBank(keras.layers.Layer):
    """`E` experts for each of `D` domains; each group of rows goes through the experts of its domain alone.

        h_e = E_(d,e)(x),   e = 1 ... E

    Example:
        >>> bank = StackedExpertBank(stacks=4, experts=3, layers=[16, 8])
        >>> bank(tf.ones([2, 5, 6]), tf.constant([3, 0])).shape
        TensorShape([2, 5, 3, 8])

    Args:
        stacks: D.
        experts: E, of each domain.
        layers: units of each hidden layer of an expert.
        dropout: share of units dropped after each layer in training.
    """

    def __init__(
        self, stacks: int, experts: int, layers: Sequence[int], dropout: float = 0.0, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if stacks < 1 or experts < 1:
            raise ValueError(f"stacks and experts must be at least 1, got {stacks} and {experts}")
        self.stacks = stacks
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
                    shape=(self.stacks, self.experts, width, units),
                    initializer=StackedGlorotUniform(),
                )
            )
            self.biases.append(
                self.add_weight(
                    name=f"layer_{i}/bias", shape=(self.stacks, self.experts, units), initializer="zeros"
                )
            )
            width = units
        super().build(input_shape)

    def call(self, inputs: tf.Tensor, index: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Outputs `(G, B, E, layers[-1])` of inputs `(G, B, in)`, group `g` through bank `index[g]`.

        A single group, `G` = 1 in its static shape, goes through the banks of all of `index`; its outputs are
        `(len(index), B, E, layers[-1])`.
        """
        hidden = inputs[:, None]
        for i, dropout in enumerate(self.dropouts):
            kernel, bias = slices_of(self.kernels[i], index), slices_of(self.biases[i], index)
            if i == 0 and inputs.shape[0] == 1:
                product = _one_group_through_all(inputs[0], kernel)
            else:
                product = tf.matmul(hidden, kernel)
            hidden = dropout(tf.nn.relu(product + bias[:, :, None, :]), training=training)
        return tf.transpose(hidden, [0, 2, 1, 3])


def _one_group_through_all(inputs: tf.Tensor, kernels: tf.Tensor) -> tf.Tensor:
    """`(B, in)` times each of `(M, E, in, out)`: `(M, E, B, out)`, as one wide product.

    A product that broadcasts the group would make the gradient of every bank with respect to it before summing.
    """
    many, experts, _, units = tf.unstack(tf.shape(kernels))
    wide = tf.reshape(tf.transpose(kernels, [2, 0, 1, 3]), [inputs.shape[-1], -1])
    product = tf.reshape(tf.matmul(inputs, wide), [-1, many, experts, units])
    return tf.transpose(product, [1, 2, 0, 3])
