"""A tower for each domain, stored as stacks."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any

import tensorflow as tf
import tf_keras as keras

from models.layers.dropout import ResumableDropout
from models.layers.stacked_dense import StackedDense


class StackedTower(keras.layers.Layer):
    """`D` towers of dense ReLU layers, `u_d = U_d(x)`; each group of rows goes through its domain's tower.

    Example:
        >>> StackedTower(stacks=4, layers=[16, 8])(tf.ones([2, 5, 6]), tf.constant([3, 0])).shape
        TensorShape([2, 5, 8])

    Args:
        stacks: D.
        layers: units of each hidden layer.
        dropout: share of units dropped after each layer in training.
        base: whether the towers are offsets from a common one (`StackedDense`).
        rank: of the offsets; None for full ones.
    """

    def __init__(
        self,
        stacks: int,
        layers: Sequence[int],
        dropout: float = 0.0,
        base: bool = False,
        rank: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.dense = [
            StackedDense(stacks, units, "relu", base=base, rank=rank, name=f"layer_{i}")
            for i, units in enumerate(layers)
        ]
        salt = zlib.crc32(self.name.encode())
        self.dropouts = [
            ResumableDropout(dropout, seed=salt + i, name=f"dropout_{i}") for i in range(len(layers))
        ]

    def call(
        self, inputs: tf.Tensor, index: tf.Tensor, known: tf.Tensor | None = None, training: bool = False
    ) -> tf.Tensor:
        """Outputs `(G, B, layers[-1])` of `(G, B, in)`, group `g` through tower `index[g]`.

        `known` as for `StackedDense`.
        """
        hidden = inputs
        for dense, dropout in zip(self.dense, self.dropouts, strict=True):
            hidden = dropout(dense(hidden, index, known), training=training)
        return hidden
