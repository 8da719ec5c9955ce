"""Adaptive information transfer: what a domain takes over from its predecessor (AITM)."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tf_keras as keras


class AdaptiveTransfer(keras.layers.Layer):
    """Attention over two tokens, a domain's own features and what it is handed (Xi et al., KDD 2021).

        a_i = softmax_i(<h1(t_i), h2(t_i)> / sqrt(k)),   z = sum_i a_i h3(t_i),   t = (u, p)

    Each token's query meets its own key. `h1`, `h2`, `h3` are linear without bias.

    Example:
        >>> AdaptiveTransfer(size=8)(tf.ones([2, 5, 8]), tf.zeros([2, 5, 8])).shape
        TensorShape([2, 5, 8])

    Args:
        size: k, the width of tokens and of the result.
    """

    def __init__(self, size: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.size = size
        self.queries = keras.layers.Dense(size, use_bias=False, name="queries")
        self.keys = keras.layers.Dense(size, use_bias=False, name="keys")
        self.values = keras.layers.Dense(size, use_bias=False, name="values")

    def project(self, tokens: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Scores `(..., 1)` and values `(..., k)` of tokens `(..., k)`."""
        products = tf.reduce_sum(self.queries(tokens) * self.keys(tokens), axis=-1, keepdims=True)
        return products / self.size**0.5, self.values(tokens)

    def call(self, own: tf.Tensor, handed: tf.Tensor) -> tf.Tensor:
        """z `(..., k)` of the domain's own features and the handed ones, both `(..., k)`."""
        own_score, own_value = self.project(own)
        handed_score, handed_value = self.project(handed)
        share = tf.sigmoid(own_score - handed_score)  # A softmax over two.
        return share * own_value + (1.0 - share) * handed_value
