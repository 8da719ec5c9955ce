"""AITM: domains in a chain, each taking over what it needs from its predecessor."""

from __future__ import annotations

from typing import ClassVar

import tensorflow as tf

from models.base import DomainModel, GroupedBatch
from models.features import FeatureLayout
from models.layers.embedding import FeatureEmbedding
from models.layers.head import StackedHead
from models.layers.packing import Packing, one_group
from models.layers.stacked_dense import StackedDense
from models.layers.stacked_tower import StackedTower
from models.layers.transfer import AdaptiveTransfer
from models.options import Option
from models.replicas import slices_of
from models.settings import ModelSettings

DEFAULT_CHAIN = 32


class AITM(DomainModel):
    """Adaptive information transfer (Xi et al., KDD 2021), with domains in the place of conversion steps.

        z_1 = tower_1(x)
        p   = g_t(z_{t-1})                                              one linear ReLU layer
        z_t = sum_i a_i h3(t_i),   t = (tower_t(x), p),   a_i = softmax_i(<h1(t_i), h2(t_i)> / sqrt k)
        y_t = sigmoid(O_t(z_t))

    The chain runs from the domain with most training rows to that with fewest, which is the order of the
    domains' indices (`chain`). Towers, `g_t` and `O_t` are the domain's own; `h1..h3` are shared. The paper's
    calibrator, which keeps a later conversion step no more likely than an earlier one, has no meaning
    between domains and is left out.

    Cost: a row of the t-th domain needs t towers, which is inherent. Rows of the first and largest domain go
    through one; all others in a batch through as many as the batch's furthest domain needs. Exact up to
    `chain` = 32 domains; with more, every domain after the 31st follows the 31st directly, so that the cost
    stays bounded. A loss of domain `t` moves the towers of its predecessors too, as in the paper; gradients
    are sparse.

    Args:
        layout: what a row has.
        settings: `layers`, `head_hidden` (of `O_t`), `dropout`; option `chain`: longest chain, at least 1.

    Raises:
        ValueError: if `chain` is below 1.
    """

    OPTIONS: ClassVar = {"chain": Option(DEFAULT_CHAIN)}

    def __init__(self, layout: FeatureLayout, settings: ModelSettings, name: str | None = None) -> None:
        super().__init__(layout, settings, name)
        domains = layout.domain_count
        self._last = min(domains, self.option("chain")) - 1
        size = settings.layers[-1]
        self.embedding = FeatureEmbedding(layout, settings, name="embedding")
        self.tower = StackedTower(domains, settings.layers, settings.dropout, name="specific_tower")
        self.handover = StackedDense(domains, size, "relu", name="specific_handover")
        self.transfer = AdaptiveTransfer(size, name="transfer")
        self.head = StackedHead(domains, settings.head_hidden, name="specific_head")

    @property
    def chain(self) -> tuple[str, ...]:
        """The domains' values in the order of the chain."""
        return self.layout.domains

    def call(self, inputs: GroupedBatch, training: bool = False) -> tf.Tensor:
        rows, domains, weights = inputs
        packing = Packing(rows, domains, weights)
        packed = one_group(self.embedding(*packing.batch, training=training))
        own = self.tower(packing.unpack(packed), domains, training=training)
        if self._last == 0:
            return self.head(own, domains)
        self._build_transfer(own.shape[-1])
        position = tf.minimum(domains, self._last)
        before = packing.unpack(self._predecessor(packed, packing.of_groups(position), training))
        handed = self.handover(before, domains)
        moved = self.transfer(own, handed)
        return self.head(tf.where((position > 0)[:, None, None], moved, own), domains)

    def _build_transfer(self, size: int) -> None:
        # Their first use would otherwise be inside a loop, where no variable can be created.
        if not self.handover.built:
            self.handover(tf.zeros([1, 1, size]), tf.zeros([1], tf.int32))
        if not self.transfer.built:
            self.transfer(tf.zeros([1, size]), tf.zeros([1, size]))

    def _predecessor(self, packed: tf.Tensor, position: tf.Tensor, training: bool) -> tf.Tensor:
        """z `(1, N, k)` of the domain before each row's position; zeros for the first position."""
        later = tf.where(position > 0)
        steps = tf.range(tf.reduce_max(tf.concat([position, [0]], 0)))
        towers = self.tower(tf.gather_nd(packed[0], later)[None], steps, training=training)
        place = tf.gather_nd(position, later)[:, None]

        def step(state: tf.Tensor, element: tuple[tf.Tensor, ...]) -> tf.Tensor:
            t, tower, kernel, bias = element
            handed = self.handover.activation(tf.matmul(state, kernel) + bias)
            moved = tf.where(t > 0, self.transfer(tower, handed), tower)
            return tf.where(place > t, moved, state)

        kernels, biases = slices_of(self.handover.kernel, steps), slices_of(self.handover.bias, steps)
        width = towers.shape[-1]
        last = tf.foldl(step, (steps, towers, kernels, biases), tf.zeros([tf.size(later), width]))
        return tf.scatter_nd(later, last, tf.stack([tf.size(position, tf.int64), width]))[None]
