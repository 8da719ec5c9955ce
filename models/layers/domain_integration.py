"""DFI: what a row takes from every domain's features, by attention."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tf_keras as keras

MASKED = -1e9


class DomainFeatureIntegration(keras.layers.Layer):
    """Personalised integration of domain features (Xi et al., "DFEI", arXiv 2404.08361).

        z = sum_j w_j h1(v_j),   w = softmax_j(<h2(x), h3(v_j)> / sqrt(k))

    over all domains, the row's own included; `h1`, `h2`, `h3` are linear. Domains that never had a batch have
    no feature yet and get no weight (if there is none at all, weights are equal). The weights explain
    a prediction: `weights` gives them.

    Args:
        size: k, the length of queries, keys and values.
    """

    def __init__(self, size: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if size < 1:
            raise ValueError(f"size must be at least 1, got {size}")
        self.size = size
        self.value = keras.layers.Dense(size, use_bias=False, name="value")
        self.query = keras.layers.Dense(size, use_bias=False, name="query")
        self.key = keras.layers.Dense(size, use_bias=False, name="key")

    def weights_over_domains(self, inputs: tf.Tensor, table: tf.Tensor, seen: tf.Tensor) -> tf.Tensor:
        """Weights `(G, B, D)`, each row's summing to 1; arguments as for `call`."""
        query = self.query(tf.reshape(inputs, [-1, inputs.shape[-1]]))
        weights = _weights(query, self.key(table), seen)
        return tf.reshape(weights, tf.concat([tf.shape(inputs)[:-1], tf.shape(seen)], 0))

    def call(self, inputs: tf.Tensor, table: tf.Tensor, seen: tf.Tensor) -> tf.Tensor:
        """z `(G, B, k)`.

        Args:
            inputs: `(G, B, in)`, x, the embedded rows.
            table: `(D, v)`, features of all domains.
            seen: `(D,)`, 1 where a domain has a feature, else 0.
        """
        query = self.query(tf.reshape(inputs, [-1, inputs.shape[-1]]))
        attended = attend(query, self.key(table), self.value(table), seen)
        return tf.reshape(attended, tf.concat([tf.shape(inputs)[:-1], [self.size]], 0))


def _weights(query: tf.Tensor, key: tf.Tensor, seen: tf.Tensor) -> tf.Tensor:
    query = query * (float(key.shape[-1]) ** -0.5)
    scores = tf.matmul(query, key, transpose_b=True)
    return tf.nn.softmax(scores + MASKED * (1.0 - seen))


@tf.custom_gradient
def attend(query: tf.Tensor, key: tf.Tensor, value: tf.Tensor, seen: tf.Tensor) -> tf.Tensor:
    """Softmax attention `(R, k)` of queries `(R, k)` over keys and values `(D, k)`, scaled by `1 / sqrt(k)`.

    Its gradient is written out, because with many domains the `(R, D)` matrices are what costs. With `P` the
    weights, `Z = P V` the result and `dZ` its gradient,

        dP = dZ V',   dS = P o (dP - rowsum(dP o P)),   rowsum(dP o P) = rowsum(dZ o Z),

    so the row sum runs over `k` instead of `D` columns, and its subtraction rides on the product as one more
    column: two passes over `(R, D)` where automatic differentiation makes six.
    """
    weights = _weights(query, key, seen)
    attended = tf.matmul(weights, value)
    scale = float(key.shape[-1]) ** -0.5

    def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, None]:
        row_sums = tf.reduce_sum(upstream * attended, axis=1, keepdims=True)
        augmented = tf.concat([upstream, -row_sums], axis=1)
        ones = tf.ones_like(value[:, :1])
        scores = weights * tf.matmul(augmented, tf.concat([value, ones], axis=1), transpose_b=True)
        return (
            tf.matmul(scores, key) * scale,
            tf.matmul(scores, query, transpose_a=True) * scale,
            tf.matmul(weights, upstream, transpose_a=True),
            None,
        )

    return attended, gradient
