"""The gate of a domain over experts, and the mixture it weighs."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tf_keras as keras

from models.layers.stacked_dense import StackedDense


class DomainGate(keras.layers.Layer):
    """Softmax weights over `E` experts from a linear map without bias, one map per domain.

        g_d(x) = softmax(x W_d),   W (D, in, E)

    Example:
        >>> weights = DomainGate(stacks=2, experts=3)(tf.ones([1, 5, 4]), tf.constant([1]))
        >>> mix(weights, tf.ones([1, 5, 3, 8])).shape
        TensorShape([1, 5, 8])

    Args:
        stacks: D.
        experts: E.
    """

    def __init__(self, stacks: int, experts: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.scores = StackedDense(stacks, experts, use_bias=False, name="scores")

    def call(self, inputs: tf.Tensor, index: tf.Tensor) -> tf.Tensor:
        """Weights `(G, B, E)` of inputs `(G, B, in)`; each row's sum to 1."""
        return tf.nn.softmax(self.scores(inputs, index), axis=-1)


def mix(weights: tf.Tensor, experts: tf.Tensor) -> tf.Tensor:
    """The weighted sum of experts: weights `(G, B, E)`, experts `(G, B, E, out)` to `(G, B, out)`."""
    return tf.squeeze(tf.matmul(weights[..., None, :], experts), axis=-2)
