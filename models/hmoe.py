"""HMoE: experts mixed in feature space, domains' scores mixed in label space."""

from __future__ import annotations

from typing import ClassVar

import tensorflow as tf

from models.base import DomainModel, GroupedBatch
from models.features import FeatureLayout
from models.layers.embedding import FeatureEmbedding
from models.layers.experts import ExpertBank
from models.layers.gate import DomainGate, mix
from models.layers.head import StackedHead
from models.layers.packing import Packing, one_group
from models.layers.peers import DEFAULT_LIMIT, Peers, masked_softmax
from models.layers.stacked_dense import StackedDense
from models.options import Option
from models.settings import ModelSettings


class HMoE(DomainModel):
    """Hybrid of implicit and explicit mixture of experts (Li et al., CIKM 2020).

        f_j = T_j(sum_k softmax(W_j x)_k E_k(x))             implicit: in feature space, as in MMoE
        w_d = softmax(net_d(x)),   w_d in R^D                explicit: in label space
        s_d = w_dd f_d + sum_{j != d} w_dj sg(f_j)
        y_d = sigmoid(s_d)

    The stop-gradient is the paper's task-constrained back-propagation: a loss of domain `d` moves no tower or
    gate of another domain, and the experts only through `f_d`. `f` and `s` are scores (logits).
    `net_d` is one hidden ReLU layer and a linear one.

    Cost: a row needs the score of every domain, which is inherent, O(D): D gates and D towers, small against
    the experts, which are evaluated once. Exact up to `peers` = 32 domains; with more, the sum reaches the 32
    largest domains and the row's own, so that the cost stays bounded (`models.layers.peers`). The
    gradient is sparse: only the row's own domain's slices move.

    Args:
        layout: what a row has.
        settings: `layers` (of each expert), `head_hidden` (of `T_d`), `dropout`; options `experts`: K,
            default 4; `relation_hidden`: hidden units of `net_d`, default 32; `peers`: see above.
    """

    OPTIONS: ClassVar = {"experts": Option(4), "peers": Option(DEFAULT_LIMIT), "relation_hidden": Option(32)}

    def __init__(self, layout: FeatureLayout, settings: ModelSettings, name: str | None = None) -> None:
        super().__init__(layout, settings, name)
        domains = layout.domain_count
        experts = self.option("experts")
        self.peers = Peers(domains, self.option("peers"))
        self.embedding = FeatureEmbedding(layout, settings, name="embedding")
        self.experts = ExpertBank(experts, settings.layers, settings.dropout, name="experts")
        self.gate = DomainGate(domains, experts, name="specific_gate")
        self.head = StackedHead(domains, settings.head_hidden, name="specific_head")
        self.relation_hidden = StackedDense(
            domains, self.option("relation_hidden"), "relu", name="specific_relation_hidden"
        )
        self.relation = StackedDense(domains, self.peers.columns, name="specific_relation")

    def call(self, inputs: GroupedBatch, training: bool = False) -> tf.Tensor:
        rows, domains, weights = inputs
        packing = Packing(rows, domains, weights)
        packed = one_group(self.embedding(*packing.batch, training=training))
        x = packing.unpack(packed)
        experts = self.experts(packed, training=training)
        own_score = self.head(packing.unpack(mix(packing.pack(self.gate(x, domains)), experts)), domains)
        relation = self._relation(x, domains)
        own = self.peers.own(domains)[:, None, :]
        own_weight = tf.reduce_sum(relation * own, axis=-1)
        others = (relation * (1.0 - own))[..., : self.peers.count]
        peer_scores = packing.unpack(self._peer_scores(packed, experts))
        return own_weight * own_score + tf.reduce_sum(others * peer_scores, axis=-1)

    def _peer_scores(self, packed: tf.Tensor, experts: tf.Tensor) -> tf.Tensor:
        # Scores (1, N, M) of all peers for every row; constants to the gradient.
        index = self.peers.index()
        gates = self.gate(tf.stop_gradient(packed), index)
        mixed = tf.matmul(tf.transpose(gates, [1, 0, 2]), tf.stop_gradient(experts[0]))
        return tf.stop_gradient(tf.transpose(self.head(tf.transpose(mixed, [1, 0, 2]), index)))[None]

    def _relation(self, x: tf.Tensor, domains: tf.Tensor) -> tf.Tensor:
        scores = self.relation(self.relation_hidden(x, domains), domains)
        return masked_softmax(scores, self.peers.occupied(domains)[:, None, :])

    def explain(self, inputs: GroupedBatch) -> tf.Tensor:
        """`w_d` `(G, B, D)`: how much each domain's score counts in each row's prediction."""
        rows, domains, weights = inputs
        x = self.embedding(rows, domains, weights)
        return self.peers.over_domains(self._relation(x, domains), domains)
