"""DFI made personal: what a row takes from its own past behaviour in every domain, by attention."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tf_keras as keras

from models.replicas import slices_of


class PersonalIntegration(keras.layers.Layer):
    """Attention over domains whose keys and values are a row's own averages there.

    Where DFI (Xi et al., "DFEI", arXiv 2404.08361) attends over one feature `v_j` per domain, the same for every
    row, here each row brings its own: `p_j`, the averages of its user (and item) in domain `j`. With `e_d` a
    trained vector of the row's domain and `H` heads,

        w_h = softmax_j(<Q_h [x; e_d], p_j> + <e_d R_h, r_j>),   z = W [sum_j w_1j p_j; ...; sum_j w_Hj p_j].

    The second term learns which domains speak for which (`r_j` a trained vector of domain `j`), so that a user's
    behaviour elsewhere speaks where the user is new. Keys and values are linear in `p_j`; their maps are moved to
    the other side of the products, so that a row costs `O(H D F)` beside its query.

    Example:
        >>> layer = PersonalIntegration(domains=3, size=8)
        >>> layer((tf.ones([2, 5, 4]), tf.ones([2, 5, 3, 6])), tf.constant([2, 0])).shape
        TensorShape([2, 5, 8])

    Args:
        domains: D.
        size: length of z.
        heads: H.
        domain_size: length of `e_d` and `r_j`.
    """

    def __init__(self, domains: int, size: int, heads: int = 4, domain_size: int = 8, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if min(domains, size, heads, domain_size) < 1:
            raise ValueError(f"sizes must be at least 1, got {(domains, size, heads, domain_size)}")
        self.domains = domains
        self.size = size
        self.heads = heads
        self.domain_size = domain_size

    def build(self, input_shape: Any) -> None:
        rows, history = input_shape
        inputs, values = int(rows[-1]) + self.domain_size, int(history[-1])
        self.query = self.add_weight("query", (inputs, self.heads * values), initializer="glorot_uniform")
        self.own = self._domain_vectors("own")
        self.relation = self.add_weight(
            "relation", (self.domain_size, self.heads * self.domain_size), initializer="glorot_uniform"
        )
        self.others = self._domain_vectors("others")
        self.value = self.add_weight("value", (self.heads * values, self.size), initializer="glorot_uniform")
        super().build(input_shape)

    def _domain_vectors(self, name: str) -> tf.Variable:
        initializer = keras.initializers.RandomNormal(stddev=0.05)
        return self.add_weight(name, (self.domains, self.domain_size), initializer=initializer)

    def call(self, inputs: tuple[tf.Tensor, tf.Tensor], domains: tf.Tensor) -> tf.Tensor:
        """z `(G, B, size)`.

        Args:
            inputs: x `(G, B, in)` and the rows' averages per domain `(G, B, D, F)`.
            domains: `(G,)`.
        """
        _, history = inputs
        weights = self.weights_over_domains(inputs, domains)
        taken = tf.matmul(weights, history)
        return tf.matmul(_flat(taken), self.value)

    def weights_over_domains(self, inputs: tuple[tf.Tensor, tf.Tensor], domains: tf.Tensor) -> tf.Tensor:
        """Weights `(G, B, H, D)`, each head's summing to 1; arguments as for `call`."""
        x, history = inputs
        shape = tf.shape(x)
        own = slices_of(self.own, domains)
        own_rows = tf.repeat(own[:, None, :], shape[1], axis=1)
        query = tf.matmul(tf.concat([x, own_rows], axis=-1), self.query) * history.shape[-1] ** -0.5
        query = tf.reshape(query, [shape[0], shape[1], self.heads, history.shape[-1]])
        relation = tf.reshape(tf.matmul(own, self.relation), [-1, self.heads, self.domain_size])
        affinity = tf.matmul(relation, self.others, transpose_b=True)
        return tf.nn.softmax(tf.matmul(query, history, transpose_b=True) + affinity[:, None])


def _flat(values: tf.Tensor) -> tf.Tensor:
    shape = tf.shape(values)
    return tf.reshape(values, [shape[0], shape[1], values.shape[2] * values.shape[3]])
