"""DFI: what a row takes from every domain's features, by attention."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf
import tf_keras as keras

MASKED = -1e9


class Recent(NamedTuple):
    """The rows of a table that gradients flow into; the others are constants.

    Attributes:
        index: `(U,)`, which rows, each at most once.
        features: `(U, v)`, those rows, equal to what the table has there.
    """

    index: tf.Tensor
    features: tf.Tensor


class DomainFeatureIntegration(keras.layers.Layer):
    """Personalised integration of domain features (Xi et al., "DFEI", arXiv 2404.08361).

        z = sum_j w_j h1(v_j),   w = softmax_j(<h2(x), h3(v_j)> / sqrt(k))

    over all domains, the row's own included; `h1`, `h2`, `h3` are linear. Domains that never had a batch have
    no feature yet and get no weight (if there is none at all, weights are equal). The weights explain
    a prediction: `weights_over_domains` gives them.

    The maps of keys and values are moved to the other side of the products,

        <h2(x), h3(v_j)> = <h2(x) W3', v_j>,   sum_j w_j h1(v_j) = h1(sum_j w_j v_j),

    which leaves `v`, mostly a constant, as key and value: see `attend` for what that saves.

    Args:
        size: k, the length of queries, keys and values.
        features: v, the length of a domain's feature.
    """

    def __init__(self, size: int, features: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if size < 1 or features < 1:
            raise ValueError(f"size and features must be at least 1, got {size} and {features}")
        self.size = size
        self.features = features

    def build(self, input_shape: Any) -> None:
        inputs = int(input_shape[-1])
        for name, width in (("query", inputs), ("key", self.features), ("value", self.features)):
            initializer = keras.initializers.GlorotUniform()
            setattr(self, name, self.add_weight(name, (width, self.size), initializer=initializer))
        super().build(input_shape)

    def call(
        self, inputs: tf.Tensor, table: tf.Tensor, seen: tf.Tensor, recent: Recent | None = None
    ) -> tf.Tensor:
        """z `(G, B, k)`.

        Args:
            inputs: `(G, B, in)`, x, the embedded rows.
            table: `(D, v)`, features of all domains.
            seen: `(D,)`, 1 where a domain has a feature, else 0.
            recent: the rows of the table that gradients flow into; all of them if absent.
        """
        attended = attend(self._queries(inputs), table, seen, recent)
        integrated = tf.matmul(attended, self.value)
        return tf.reshape(integrated, tf.concat([tf.shape(inputs)[:-1], [self.size]], 0))

    def weights_over_domains(self, inputs: tf.Tensor, table: tf.Tensor, seen: tf.Tensor) -> tf.Tensor:
        """Weights `(G, B, D)`, each row's summing to 1; arguments as for `call`."""
        if not self.built:
            self.build(inputs.shape)
        weights = _weights(self._queries(inputs), table, seen)
        return tf.reshape(weights, tf.concat([tf.shape(inputs)[:-1], tf.shape(seen)], 0))

    def _queries(self, inputs: tf.Tensor) -> tf.Tensor:
        query = tf.matmul(tf.reshape(inputs, [-1, inputs.shape[-1]]), self.query)
        return tf.matmul(query, self.key * self.size**-0.5, transpose_b=True)


def _weights(query: tf.Tensor, table: tf.Tensor, seen: tf.Tensor) -> tf.Tensor:
    return tf.nn.softmax(tf.matmul(query, table, transpose_b=True) + MASKED * (1.0 - seen))


def attend(query: tf.Tensor, table: tf.Tensor, seen: tf.Tensor, recent: Recent | None = None) -> tf.Tensor:
    """`P T` with `P = softmax(Q T')`: queries `(R, v)` over a table `(D, v)` that is key and value, to `(R, v)`.

    Its gradient is written out, because with many domains the `(R, D)` matrices are what costs. With `Z` the
    result and `dZ` its gradient,

        dP = dZ T',   dS = P o (dP - rowsum(dP o P)),   rowsum(dP o P) = rowsum(dZ o Z),
        dQ = dS T,    dT = P' dZ + dS' Q.

    The row sum runs over `v` instead of `D` columns and its subtraction rides on the product as one more
    column; `dT` is formed only for the rows in `recent`: one pass and two products over `(R, D)`, where
    automatic differentiation makes five passes and four products.

    Args:
        query: `(R, v)`, scaled.
        table: `(D, v)`.
        seen: `(D,)`, 0 for rows of the table that get no weight.
        recent: the rows that gradients flow into; all of them if absent.
    """
    if recent is None:
        return _attend(query, table, seen, tf.range(tf.shape(table)[0]), table)
    return _attend(query, table, seen, recent.index, recent.features)


@tf.custom_gradient
def _attend(
    query: tf.Tensor, table: tf.Tensor, seen: tf.Tensor, index: tf.Tensor, features: tf.Tensor
) -> tuple[tf.Tensor, Callable[[tf.Tensor], tuple[tf.Tensor | None, ...]]]:
    del features  # equal to the table's rows; an argument so that it can have a gradient
    weights = _weights(query, table, seen)
    attended = tf.matmul(weights, table)

    def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor | None, ...]:
        row_sums = tf.reduce_sum(upstream * attended, axis=1, keepdims=True)
        left = tf.concat([upstream, -row_sums], axis=1)
        right = tf.concat([table, tf.ones_like(table[:, :1])], axis=1)
        scores = weights * tf.matmul(left, right, transpose_b=True)
        to_features = tf.matmul(tf.gather(weights, index, axis=1), upstream, transpose_a=True)
        to_features += tf.matmul(tf.gather(scores, index, axis=1), query, transpose_a=True)
        return tf.matmul(scores, table), None, None, None, to_features

    return attended, gradient
