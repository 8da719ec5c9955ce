"""HiNet: shared, own, and other domains' information, extracted apart."""

from __future__ import annotations

from typing import ClassVar

import tensorflow as tf
import tf_keras as keras

from models.base import DomainModel, GroupedBatch
from models.features import FeatureLayout
from models.layers.domain_embedding import DomainEmbedding
from models.layers.embedding import FeatureEmbedding
from models.layers.experts import ExpertBank
from models.layers.gate import DomainGate, mix
from models.layers.head import StackedHead
from models.layers.packing import Packing, one_group
from models.layers.peers import DEFAULT_LIMIT, Peers, masked_softmax
from models.layers.stacked_experts import StackedExpertBank
from models.options import Option
from models.settings import ModelSettings


class HiNet(DomainModel):
    """Hierarchical information extraction (Zhou et al., ICDE 2023, arXiv 2303.06095), its scenario layer.

        SEI(x) = sum_k softmax(gate(x))_k E_k(x)                sub-expert integration, K sub-experts
        G      = SEI_shared(x)                                  what all domains have in common
        S_d    = SEI_d(x)                                       the domain's own
        A_d    = sum_{j != d} a_dj S_j                          scenario-aware attention
        a_d    = softmax_{j != d}(net(domain embedding of d))
        y_d    = sigmoid(T_d([A_d; S_d; G]))

    The own domain is left out before the softmax, so the weights of the others sum to 1; public code masks it
    afterwards. The paper's task layer (a mixture over tasks) has nothing to mix with one task: the domain's
    tower takes its place. With a single domain `A_d` is zero.

    Cost: a row goes through the sub-experts of every domain, which is inherent, O(D), forward and backward.
    Exact up to `peers` = 32 domains; with more, `j` runs over the 32 largest domains (`models.layers.peers`).

    Args:
        layout: what a row has.
        settings: `layers` (of each sub-expert), `head_hidden` (of `T_d`), `dropout`; options `experts`: K,
            default 2; `peers`: see above.

    Raises:
        ValueError: if `experts` is below 2: a gate over one sub-expert is no gate.
    """

    OPTIONS: ClassVar = {"experts": Option(2, least=2), "peers": Option(DEFAULT_LIMIT)}

    def __init__(self, layout: FeatureLayout, settings: ModelSettings, name: str | None = None) -> None:
        super().__init__(layout, settings, name)
        domains = layout.domain_count
        experts = self.option("experts")
        self.peers = Peers(domains, self.option("peers"))
        self.embedding = FeatureEmbedding(layout, settings, name="embedding")
        self.shared_experts = ExpertBank(experts, settings.layers, settings.dropout, name="shared_experts")
        self.shared_gate = keras.layers.Dense(
            experts, activation="softmax", use_bias=False, name="shared_gate"
        )
        self.specific_experts = StackedExpertBank(
            domains, experts, settings.layers, settings.dropout, name="specific_experts"
        )
        self.specific_gate = DomainGate(domains, experts, name="specific_gate")
        self.domain_vectors = DomainEmbedding(
            domains, settings.embedding_size, name="specific_domain_embedding"
        )
        self.attention = keras.layers.Dense(self.peers.count, name="attention")
        self.head = StackedHead(domains, settings.head_hidden, name="specific_head")

    def call(self, inputs: GroupedBatch, training: bool = False) -> tf.Tensor:
        rows, domains, weights = inputs
        packing = Packing(rows, domains, weights)
        packed = one_group(self.embedding(*packing.batch, training=training))
        shared = mix(self.shared_gate(packed), self.shared_experts(packed, training=training))
        others = self._extract(packed, self.peers.index(), training)
        if self.peers.exact:
            own = self.peers.of_own(others, packing.domains)[None]
        else:
            own = packing.pack(self._extract(packing.unpack(packed), domains, training))
        attention = packing.of_groups(self._attention(domains))
        attended = tf.einsum("nm,mne->ne", attention, others)[None]
        return self.head(packing.unpack(tf.concat([attended, own, shared], axis=-1)), domains)

    def _extract(self, x: tf.Tensor, index: tf.Tensor, training: bool) -> tf.Tensor:
        return mix(self.specific_gate(x, index), self.specific_experts(x, index, training=training))

    def _attention(self, domains: tf.Tensor) -> tf.Tensor:
        return masked_softmax(self.attention(self.domain_vectors(domains)), self.peers.others(domains))

    def explain(self, inputs: GroupedBatch) -> tf.Tensor:
        """`a_d` `(G, B, D)`: how much each other domain's information counts; 0 for the own domain."""
        _, domains, weights = inputs
        attention = tf.repeat(self._attention(domains)[:, None, :], tf.shape(weights)[1], axis=1)
        return self.peers.over_domains(attention, domains)
