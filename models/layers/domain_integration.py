"""DFI: what a row takes from every domain's features, by attention."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf
import tf_keras as keras

MASKED = -1e9


class OwnFeatures(NamedTuple):
    """The rows of a table that are not constants: each group's own, into which its gradients flow.

    Attributes:
        index: `(G,)`, which row is each group's.
        features: `(G, v)`, equal to what the table has there.
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

    Example:
        >>> dfi = DomainFeatureIntegration(size=8, features=4)
        >>> x, v, seen = tf.ones([2, 5, 6]), tf.eye(3, 4), tf.constant([1.0, 1.0, 0.0])
        >>> dfi(x, v, seen).shape
        TensorShape([2, 5, 8])
        >>> float(dfi.weights_over_domains(x, v, seen).numpy()[..., 2].max())
        0.0

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
        self, inputs: tf.Tensor, table: tf.Tensor, seen: tf.Tensor, own: OwnFeatures | None = None
    ) -> tf.Tensor:
        """z `(G, B, k)`.

        Args:
            inputs: `(G, B, in)`, x, the embedded rows.
            table: `(D, v)`, features of all domains.
            seen: `(D,)`, 1 where a domain has a feature, else 0.
            own: where gradients flow: from each group into its own domain's feature, the others being
            constants,
                as when one domain is trained at a time. If absent, into the whole table.
        """
        return self.values(self.attended(inputs, table, seen, own))

    def attended(
        self, inputs: tf.Tensor, table: tf.Tensor, seen: tf.Tensor, own: OwnFeatures | None = None
    ) -> tf.Tensor:
        """`sum_j w_j v_j`, `(G, B, v)`; arguments as for `call`, which has to come first: it makes the weights."""
        return attend(self._queries(inputs), table, seen, own)

    def values(self, attended: tf.Tensor) -> tf.Tensor:
        """`h1` of what `attended` gives: z, `(G, B, k)`."""
        return _times(attended, self.value)

    def weights_over_domains(self, inputs: tf.Tensor, table: tf.Tensor, seen: tf.Tensor) -> tf.Tensor:
        """Weights `(G, B, D)`, each row's summing to 1; arguments as for `call`."""
        if not self.built:
            self.build(inputs.shape)
        return _weights(self._queries(inputs), table, seen)

    def _queries(self, inputs: tf.Tensor) -> tf.Tensor:
        return _times(_times(inputs, self.query), self.key * self.size**-0.5, transpose_b=True)


def _weights(query: tf.Tensor, table: tf.Tensor, seen: tf.Tensor) -> tf.Tensor:
    return tf.nn.softmax(_times(query, table, transpose_b=True, bias=MASKED * (1.0 - seen)))


def _times(
    left: tf.Tensor, right: tf.Tensor, transpose_b: bool = False, bias: tf.Tensor | None = None
) -> tf.Tensor:
    # `(G, B, i)` times `(i, o)` as one product of `G B` rows; TensorFlow adds a bias while it multiplies.
    flat = tf.matmul(tf.reshape(left, [-1, left.shape[-1]]), right, transpose_b=transpose_b)
    if bias is not None:
        flat = tf.nn.bias_add(flat, bias)
    return tf.reshape(flat, tf.concat([tf.shape(left)[:-1], [flat.shape[-1]]], 0))


def attend(query: tf.Tensor, table: tf.Tensor, seen: tf.Tensor, own: OwnFeatures | None = None) -> tf.Tensor:
    """`P T` with `P = softmax(Q T')`: queries `(G, B, v)` over a table `(D, v)` that is key and value, to `(G, B, v)`.

    Its gradient is written out, because with many domains the `(G B, D)` matrices are what costs. With `Z`
    the result and `dZ` its gradient,

        dP = dZ T',   dS = P o (dP - rowsum(dP o P)),   rowsum(dP o P) = rowsum(dZ o Z),
        dQ = dS T,    dT = P' dZ + dS' Q.

    The row sum runs over `v` instead of `D` columns and its subtraction rides on the product as one more
    column; of `P` and `dS` in `dT` only one column per group is needed: one pass and two products over `(G
    B, D)`, where automatic differentiation makes five passes and four products.

    Args:
        query: scaled.
        table: key and value.
        seen: `(D,)`, 0 for rows of the table that get no weight.
        own: where gradients flow: from each group into its own row. If absent, into the whole table.
    """
    if own is None:
        return _attend_to_all(query, table, seen)
    return _attend_to_own(query, tf.stop_gradient(table), seen, own.index, own.features)


Gradient = Callable[[tf.Tensor], tuple[tf.Tensor | None, ...]]


@tf.custom_gradient
def _attend_to_own(
    query: tf.Tensor, table: tf.Tensor, seen: tf.Tensor, index: tf.Tensor, features: tf.Tensor
) -> tuple[tf.Tensor, Gradient]:
    del features  # equal to rows of the table; an argument so that it can have a gradient
    weights = _weights(query, table, seen)
    attended = _times(weights, table)

    def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor | None, ...]:
        scores = _score_gradient(weights, attended, table, upstream)
        own_weights = tf.gather(weights, index, axis=2, batch_dims=1)[:, None]
        own_scores = tf.gather(scores, index, axis=2, batch_dims=1)[:, None]
        to_features = tf.matmul(own_weights, upstream) + tf.matmul(own_scores, query)
        return _times(scores, table), None, None, None, to_features[:, 0]

    return attended, gradient


@tf.custom_gradient
def _attend_to_all(query: tf.Tensor, table: tf.Tensor, seen: tf.Tensor) -> tuple[tf.Tensor, Gradient]:
    weights = _weights(query, table, seen)
    attended = _times(weights, table)

    def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor | None, ...]:
        scores = _score_gradient(weights, attended, table, upstream)
        to_table = tf.einsum("gbd,gbv->dv", weights, upstream) + tf.einsum("gbd,gbv->dv", scores, query)
        return _times(scores, table), to_table, None

    return attended, gradient


def _score_gradient(
    weights: tf.Tensor, attended: tf.Tensor, table: tf.Tensor, upstream: tf.Tensor
) -> tf.Tensor:
    row_sums = tf.reduce_sum(upstream * attended, axis=-1, keepdims=True)
    left = tf.concat([upstream, -row_sums], axis=-1)
    right = tf.concat([table, tf.ones_like(table[:, :1])], axis=-1)
    return weights * _times(left, right, transpose_b=True)
