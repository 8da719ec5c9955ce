"""DFE: what characterises a domain, extracted while training as a moving average of its representations."""

from __future__ import annotations

from typing import Any, NamedTuple

import tensorflow as tf
import tf_keras as keras

from models.replicas import all_groups, own_copy, own_groups, slices_of

FULL_ROWS = 32


class DomainFeatures(NamedTuple):
    """What is known of the domains in one forward pass.

    Attributes:
        own: `(G, k)`, v of each group's domain; in training, gradients flow through it.
        table: `(D, k)`, v of all domains; a constant.
        seen: `(D,)` float32, 1 for a domain that has had a batch, else 0.
    """

    own: tf.Tensor
    table: tf.Tensor
    seen: tf.Tensor


class DomainFeatureExtraction(keras.layers.Layer):
    """Automatic domain feature extraction (Xi et al., "DFEI", arXiv 2404.08361).

        v_d <- a_n v_d + (1 - a_n) mean_batch(u_d),   a_n = a ^ min(n / full_rows, 1)

    over the n rows of domain `d` in the step, padding left out; groups of the same domain are one batch. A
    batch of `full_rows` rows or more moves v_d as in the paper, a smaller one in proportion: the mean of
    three rows says little of a domain, and would carry these rows' own representations into their logits. The
    first batch that a domain ever has sets `v_d`, so no random start decays in it. Gradients reach the towers
    through the batch mean, with weight `1 - a_n` (1 on the first batch); the accumulated part is a constant.

    At inference the state of the end of training is read and nothing moves. A domain that was never seen then
    has the mean over the domains that were (zeros if none). State and flags are weights of the layer,
    hence part of every checkpoint and SavedModel.

    Example:
        >>> dfe = DomainFeatureExtraction(2, decay=0.9, full_rows=2)
        >>> u, weights = tf.constant([[[1.0], [3.0]]]), tf.ones([1, 2])
        >>> dfe(u, tf.constant([1]), weights, training=True).own.numpy().round(3)
        array([[2.]], dtype=float32)
        >>> dfe(u + 10, tf.constant([1]), weights, training=True).own.numpy().round(3)
        array([[3.]], dtype=float32)

    Args:
        domains: D.
        decay: a.
        full_rows: rows of a batch that moves v_d with the whole weight 1 - a.
        frozen_random: reproduces a defect of the authors' released code to measure it: `v_d` starts as
            normal noise that is never assigned, so training sees `a * noise + (1 - a) * mean`, inference
            noise.
    """

    def __init__(
        self,
        domains: int,
        decay: float = 0.9,
        frozen_random: bool = False,
        full_rows: int = FULL_ROWS,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if domains < 1:
            raise ValueError(f"domains must be at least 1, got {domains}")
        if not 0 <= decay < 1:
            raise ValueError(f"decay must be in [0, 1), got {decay}")
        self.domains = domains
        self.decay = decay
        self.frozen_random = frozen_random
        self.full_rows = float(full_rows)

    def build(self, input_shape: Any) -> None:
        self.state = self.add_weight(
            name="state",
            shape=(self.domains, int(input_shape[-1])),
            initializer=keras.initializers.RandomNormal(stddev=1.0) if self.frozen_random else "zeros",
            trainable=False,
        )
        self.seen = self.add_weight(
            name="seen",
            shape=(self.domains,),
            initializer="ones" if self.frozen_random else "zeros",
            trainable=False,
        )
        super().build(input_shape)

    def call(
        self, inputs: tf.Tensor, domains: tf.Tensor, weights: tf.Tensor, training: bool = False
    ) -> DomainFeatures:
        """The domains' features, in training after they took in this step's rows.

        Args:
            inputs: `(G, B, k)`, u, the output of each group's own tower.
            domains: `(G,)`; may repeat.
            weights: `(G, B)` padding mask.
            training: whether the state moves.
        """
        if training:
            return self._accumulate(inputs, domains, weights)
        return self.inferred(domains)

    def inferred(self, domains: tf.Tensor) -> DomainFeatures:
        """The domains' features as inference reads them; `domains` is `(G,)`, D for one that is not known."""
        table, mean = self.table(), self._mean()
        known = domains < self.domains
        own = tf.where(known[:, None], tf.gather(table, tf.where(known, domains, 0)), mean)
        return DomainFeatures(own, table, tf.convert_to_tensor(self.seen))

    def has_feature(self, domains: tf.Tensor) -> tf.Tensor:
        """Whether there was a batch of the domains `(G,)`, bool; D is one that is not known."""
        known = domains < self.domains
        return known & (slices_of(self.seen, tf.where(known, domains, 0)) > 0)

    def table(self) -> tf.Tensor:
        """v of all domains `(D, k)` as inference reads it."""
        return tf.where(self.seen[:, None] > 0, self.state, self._mean())

    def _mean(self) -> tf.Tensor:
        count = tf.reduce_sum(self.seen)
        return tf.math.divide_no_nan(tf.linalg.matvec(self.state, self.seen, transpose_a=True), count)

    def _accumulate(self, inputs: tf.Tensor, domains: tf.Tensor, weights: tf.Tensor) -> DomainFeatures:
        group_sums = tf.squeeze(tf.matmul(weights[:, None, :], inputs), axis=1)
        group_sums, group_counts, domains = all_groups(group_sums, tf.reduce_sum(weights, 1), domains)
        occurring, place = tf.unique(domains)
        sums = tf.math.unsorted_segment_sum(group_sums, place, tf.size(occurring))
        counts = tf.math.unsorted_segment_sum(group_counts, place, tf.size(occurring))[:, None]
        means = tf.math.divide_no_nan(sums, counts)
        state = slices_of(self.state, occurring)
        seen = slices_of(self.seen, occurring)[:, None]
        decay = self.decay ** tf.minimum(counts / self.full_rows, 1.0)
        moved = tf.where(seen > 0, decay * state + (1.0 - decay) * means, means)
        moved = tf.where(counts > 0, moved, state)
        now_seen = tf.maximum(seen, tf.cast(counts > 0, seen.dtype))[:, 0]
        rows = occurring[:, None]
        features = DomainFeatures(
            own=own_groups(tf.gather(moved, place)),
            table=tf.tensor_scatter_nd_update(self.state, rows, tf.stop_gradient(moved)),
            seen=tf.tensor_scatter_nd_update(self.seen, rows, now_seen),
        )
        if not self.frozen_random:
            own_copy(self.state).scatter_nd_update(rows, tf.stop_gradient(moved))
            own_copy(self.seen).scatter_nd_update(rows, now_seen)
        return features
