"""The output head of each domain."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tf_keras as keras

from models.layers.stacked_dense import StackedDense


class StackedHead(keras.layers.Layer):
    """`O_d`: one hidden ReLU layer and one unit for each domain; gives the logit of a click, 0 before training.

    Example:
        >>> StackedHead(stacks=3, hidden=8)(tf.ones([2, 5, 4]), tf.constant([2, 0])).shape
        TensorShape([2, 5])

    Args:
        stacks: D.
        hidden: units of the hidden layer; 0 for a linear head.
        base: whether the heads are offsets from a common one (`StackedDense`).
        rank: of the offsets; None for full ones.
    """

    def __init__(
        self, stacks: int, hidden: int, base: bool = False, rank: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.hidden: StackedDense | None = None
        if hidden:
            self.hidden = StackedDense(stacks, hidden, "relu", base=base, rank=rank, name="hidden")
        self.unit = StackedDense(stacks, 1, kernel_initializer="zeros", base=base, rank=rank, name="unit")

    def call(self, inputs: tf.Tensor, index: tf.Tensor, known: tf.Tensor | None = None) -> tf.Tensor:
        """Logits `(G, B)` of inputs `(G, B, in)`, group `g` through head `index[g]`; `known` as for `StackedDense`."""
        hidden = inputs if self.hidden is None else self.hidden(inputs, index, known)
        return tf.squeeze(self.unit(hidden, index, known), axis=-1)
