"""PLE: levels of shared and own experts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

import tensorflow as tf
import tf_keras as keras

from models.base import DomainModel, GroupedBatch
from models.features import FeatureLayout
from models.layers.embedding import FeatureEmbedding
from models.layers.experts import ExpertBank
from models.layers.gate import DomainGate, mix
from models.layers.head import StackedHead
from models.layers.packing import Packing, one_group
from models.layers.peers import DEFAULT_LIMIT, Peers, masked_softmax
from models.layers.stacked_experts import StackedExpertBank
from models.options import Option
from models.settings import ModelSettings


class Streams(NamedTuple):
    """What a level is given. `N` rows are in `G` groups of at most `B`; what needs no groups has no padding.

    Attributes:
        own: `(G, B, in)`, the stream of the row's domain.
        shared: `(1, N, in)`, the shared stream.
        peers: `(M or 1, N, in)`, the streams of all domains for every row; None where nothing reads them.
    """

    own: tf.Tensor
    shared: tf.Tensor
    peers: tf.Tensor | None


class ExtractionLevel(keras.layers.Layer):
    """One level of PLE: own experts of every domain, shared experts, gates over them.

        h_d <- softmax(W_d h_d) over {experts of d at h_d; shared experts at h_s}
        h_s <- softmax(W_s h_s) over {experts of every domain j at h_j; shared experts at h_s}

    Args:
        peers: the domains that the shared gate reaches.
        own_experts: of each domain.
        shared_experts: of all.
        layers: units of each hidden layer of an expert.
        dropout: share of units dropped after each layer in training.
        levels_above: levels that follow; the last one has no shared gate.
    """

    def __init__(
        self,
        peers: Peers,
        own_experts: int,
        shared_experts: int,
        layers: Sequence[int],
        dropout: float,
        levels_above: int,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.peers = peers
        self.own_experts = own_experts
        self.levels_above = levels_above
        self.bank = StackedExpertBank(peers.domains, own_experts, layers, dropout, name="specific_experts")
        self.shared_bank = ExpertBank(shared_experts, layers, dropout, name="shared_experts")
        self.gate = DomainGate(peers.domains, own_experts + shared_experts, name="specific_gate")
        self.shared_gate: keras.layers.Dense | None = None
        if levels_above:
            self.shared_gate = keras.layers.Dense(
                peers.columns * own_experts + shared_experts, use_bias=False, name="shared_gate"
            )

    def call(self, streams: Streams, domains: tf.Tensor, packing: Packing, training: bool = False) -> Streams:
        """The streams that the next level is given; at the last level `own` alone counts."""
        shared = self.shared_bank(streams.shared, training=training)
        if self.shared_gate is None:
            own = self.bank(streams.own, domains, training=training)
            next_own = self._next_own(streams, domains, own, packing.unpack(shared))
            return Streams(next_own, streams.shared, None)
        index = self.peers.index()
        every = self.bank(streams.peers, index, training=training)
        if self.peers.exact:
            own = packing.unpack(self.peers.of_own(every, packing.domains)[None])
        else:
            own = self.bank(streams.own, domains, training=training)
        next_own = self._next_own(streams, domains, own, packing.unpack(shared))
        mask = packing.of_groups(self._mask(domains, shared.shape[2]))
        weights = masked_softmax(self.shared_gate(streams.shared), mask[None])
        next_shared = mix(weights, self._all_experts(packing.pack(own), every, shared))
        if self.levels_above < 2:
            return Streams(next_own, next_shared, None)
        for_all = tf.repeat(shared, self.peers.count, axis=0)
        next_peers = mix(self.gate(streams.peers, index), tf.concat([every, for_all], axis=2))
        return Streams(next_own, next_shared, next_peers)

    def _next_own(self, streams: Streams, domains: tf.Tensor, own: tf.Tensor, shared: tf.Tensor) -> tf.Tensor:
        return mix(self.gate(streams.own, domains), tf.concat([own, shared], axis=2))

    def _all_experts(self, own: tf.Tensor, every: tf.Tensor, shared: tf.Tensor) -> tf.Tensor:
        # (1, N, columns, out): the experts of each peer, of a domain too small to be one, and the shared ones.
        lead = tf.shape(own)[:2]
        tail = [self.peers.count * self.own_experts, own.shape[-1]]
        pieces = [tf.reshape(tf.transpose(every, [1, 0, 2, 3]), tf.concat([lead, tail], 0))]
        if not self.peers.exact:
            pieces.append(own)
        return tf.concat([*pieces, shared], axis=2)

    def _mask(self, domains: tf.Tensor, shared_experts: int) -> tf.Tensor:
        occupied = tf.repeat(self.peers.occupied(domains), self.own_experts, axis=1)
        return tf.pad(occupied, [[0, 0], [0, shared_experts]], constant_values=True)


class PLE(DomainModel):
    """Progressive layered extraction (Tang et al., RecSys 2020), a domain for each task.

        h_d^0 = h_s^0 = x
        h_d^l, h_s^l = extraction level l of h^{l-1}      (`ExtractionLevel`), l = 1 ... L
        y_d = sigmoid(T_d(h_d^L))                         the domain's own tower

    Own experts serve one domain, shared experts all; the last level has no shared gate. With one level this
    is CGC, not PLE: the default is two. The hidden layers of `layers` are dealt out to the levels in order,
    so that the network is as deep as the others: 128-64 and 32 with two levels.

    Cost: below the last level the shared gate mixes the experts of every domain, so that a row goes through
    all of them, which is inherent, O(D), forward and backward. Exact up to `peers` = 32 domains; with
    more, the shared gate reaches the experts of the 32 largest domains and, through one more column, those of
    the row's own (`models.layers.peers`).

    Args:
        layout: what a row has.
        settings: `layers`, `head_hidden` (of `T_d`), `dropout`; options `levels`: L, default 2;
            `own_experts`: of each domain and level, default 1; `shared_experts`: of each level, default 2;
            `peers`: see above.

    Raises:
        ValueError: if there are more levels than hidden layers, or none.
    """

    OPTIONS: ClassVar = {
        "levels": Option(2),
        "peers": Option(DEFAULT_LIMIT),
        "own_experts": Option(1),
        "shared_experts": Option(2),
    }

    def __init__(self, layout: FeatureLayout, settings: ModelSettings, name: str | None = None) -> None:
        super().__init__(layout, settings, name)
        levels = self.option("levels")
        if not 1 <= levels <= len(settings.layers):
            raise ValueError(
                f"model.options.levels: expected 1 to {len(settings.layers)}, as many as there are hidden "
                f"layers to deal out, got {levels}"
            )
        self.peers = Peers(layout.domain_count, self.option("peers"))
        self.embedding = FeatureEmbedding(layout, settings, name="embedding")
        self.levels = [
            ExtractionLevel(
                self.peers,
                self.option("own_experts"),
                self.option("shared_experts"),
                layers,
                settings.dropout,
                levels - 1 - i,
                name=f"level_{i}",
            )
            for i, layers in enumerate(deal_out(settings.layers, levels))
        ]
        self.head = StackedHead(layout.domain_count, settings.head_hidden, name="specific_head")

    def call(self, inputs: GroupedBatch, training: bool = False) -> tf.Tensor:
        rows, domains, weights = inputs
        packing = Packing(rows, domains, weights)
        packed = one_group(self.embedding(*packing.batch, training=training))
        streams = Streams(packing.unpack(packed), packed, packed)
        for level in self.levels:
            streams = level(streams, domains, packing, training=training)
        return self.head(streams.own, domains)


def deal_out(layers: Sequence[int], levels: int) -> list[list[int]]:
    """Splits hidden layers into consecutive parts, one per level, the earlier ones not shorter."""
    base, more = divmod(len(layers), levels)
    sizes = [base + (i < more) for i in range(levels)]
    return [list(layers[sum(sizes[:i]) : sum(sizes[: i + 1])]) for i in range(levels)]
