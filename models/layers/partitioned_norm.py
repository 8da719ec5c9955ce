"""Normalisation with each domain's own statistics (STAR)."""

from __future__ import annotations

from typing import Any, NamedTuple

import tensorflow as tf
import tf_keras as keras

from models.replicas import all_groups, own_copy, own_groups, slices_of


class _Moments(NamedTuple):
    mean: tf.Tensor
    variance: tf.Tensor


class PartitionedNorm(keras.layers.Layer):
    """Partitioned normalisation (Sheng et al., CIKM 2021).

        x' = (g * g_d) (x - mu_d) / sqrt(var_d + eps) + b + b_d

    In training `mu_d` and `var_d` are those of the domain's rows in the batch: all groups of one domain are
    pooled, padding left out, and the gradient goes through them. At inference they are the domain's moving
    statistics, so a row's score depends on no other row.

    The moving statistics are decayed sums per domain (rows, values, squares),
    `S <- momentum * S + sum over the batch's rows`, moved only by batches in which the domain occurs. The
    first batch is therefore not mixed with a made-up start, batches count by their rows, and the variance is
    right even when a domain comes one row at a time (an average of the batches' variances would tend to
    zero). A domain without a training row is normalised with the sums over all domains.

    Example:
        >>> norm, domains, weights = PartitionedNorm(stacks=2), tf.constant([1]), tf.ones([1, 2])
        >>> norm(tf.constant([[[1.0], [3.0]]]), domains, weights, training=True).numpy().round(2)
        array([[[-1.],
                [ 1.]]], dtype=float32)

    Args:
        stacks: D.
        momentum: what remains of the sums when the domain's next batch comes, in [0, 1).
        epsilon: added to the variance.
    """

    def __init__(self, stacks: int, momentum: float = 0.99, epsilon: float = 1e-3, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not 0 <= momentum < 1:
            raise ValueError(f"momentum must be in [0, 1), got {momentum}")
        self.stacks = stacks
        self.momentum = momentum
        self.epsilon = epsilon

    def build(self, input_shape: Any) -> None:
        width = int(input_shape[-1])
        self.gamma = self.add_weight(name="gamma", shape=(width,), initializer="ones")
        self.beta = self.add_weight(name="beta", shape=(width,), initializer="zeros")
        self.specific_gamma = self.add_weight(
            name="specific_gamma", shape=(self.stacks, width), initializer="ones"
        )
        self.specific_beta = self.add_weight(
            name="specific_beta", shape=(self.stacks, width), initializer="zeros"
        )
        # The last row holds the sums over all domains.
        self.rows = self._state("moving_rows", 1)
        self.values = self._state("moving_values", width)
        self.squares = self._state("moving_squares", width)
        super().build(input_shape)

    def _state(self, name: str, width: int) -> tf.Variable:
        return self.add_weight(
            name=name, shape=(self.stacks + 1, width), initializer="zeros", trainable=False
        )

    def call(
        self, inputs: tf.Tensor, domains: tf.Tensor, weights: tf.Tensor, training: bool = False
    ) -> tf.Tensor:
        """Normalised inputs, `(G, B, in)`.

        Args:
            inputs: `(G, B, in)`.
            domains: `(G,)`.
            weights: `(G, B)`, 0 for padding.
            training: whether the batch's statistics are used, and the moving ones moved.
        """
        moments = self._of_batch(inputs, domains, weights) if training else self.moving(domains)
        scale = self.gamma * slices_of(self.specific_gamma, domains)
        scale *= tf.math.rsqrt(moments.variance + self.epsilon)
        shift = self.beta + slices_of(self.specific_beta, domains) - moments.mean * scale
        return inputs * scale[:, None, :] + shift[:, None, :]

    def moving(self, domains: tf.Tensor) -> _Moments:
        """Moving mean and variance `(G, in)` of domains `(G,)`."""
        known = slices_of(self.rows, domains)[:, 0] > 0
        index = tf.where(known, domains, self.stacks)
        rows = slices_of(self.rows, index)
        mean = tf.math.divide_no_nan(slices_of(self.values, index), rows)
        squares = tf.math.divide_no_nan(slices_of(self.squares, index), rows)
        variance = tf.maximum(squares - tf.square(mean), 0.0)
        return _Moments(mean, tf.where(rows > 0, variance, 1.0))

    def _of_batch(self, inputs: tf.Tensor, domains: tf.Tensor, weights: tf.Tensor) -> _Moments:
        mask = weights[:, :, None]
        group_rows, group_values, domains = all_groups(
            tf.reduce_sum(mask, axis=1), tf.reduce_sum(inputs * mask, axis=1), domains
        )
        occurring, group_of = tf.unique(domains)
        count = tf.size(occurring)

        def pool(per_group: tf.Tensor) -> tf.Tensor:
            return tf.math.unsorted_segment_sum(per_group, group_of, count)

        rows = pool(group_rows)
        values = pool(group_values)
        mean = tf.math.divide_no_nan(values, rows)
        own_mean = own_groups(tf.gather(mean, group_of))
        deviations = tf.square(inputs - own_mean[:, None, :]) * mask
        [group_squares] = all_groups(tf.reduce_sum(deviations, axis=1))
        squares = pool(group_squares)
        variance = tf.math.divide_no_nan(squares, rows)
        self._move(occurring, rows, values, squares + rows * tf.square(mean))
        return _Moments(own_mean, own_groups(tf.gather(variance, group_of)))

    def _move(self, occurring: tf.Tensor, *sums: tf.Tensor) -> None:
        index = tf.concat([occurring, [self.stacks]], axis=0)
        sums = tuple(tf.stop_gradient(tf.concat([s, tf.reduce_sum(s, 0, keepdims=True)], 0)) for s in sums)
        kept = tf.where(sums[0] > 0, self.momentum, 1.0)  # Groups of nothing but padding move nothing.
        for state, added in zip((self.rows, self.values, self.squares), sums, strict=True):
            own_copy(state).scatter_update(tf.IndexedSlices(kept * tf.gather(state, index) + added, index))
