"""MMoE: shared experts, a gate and a tower per domain."""

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
from models.options import Option
from models.settings import ModelSettings


class MMoE(DomainModel):
    """Multi-gate mixture of experts (Ma et al., KDD 2018), a domain for each task.

        h_d = sum_k softmax(W_d x)_k E_k(x)       K experts, all shared; W_d without bias
        y_d = sigmoid(T_d(h_d))                   the domain's own tower

    The gate's scores go straight into the softmax: nothing normalises them before. The cost per row does not
    depend on D.

    Args:
        layout: what a row has.
        settings: `layers` (of each expert), `head_hidden` (of `T_d`), `dropout`; option `experts`: K,
            default 4.
    """

    OPTIONS: ClassVar = {"experts": Option(4)}

    def __init__(self, layout: FeatureLayout, settings: ModelSettings, name: str | None = None) -> None:
        super().__init__(layout, settings, name)
        experts = self.option("experts")
        self.embedding = FeatureEmbedding(layout, settings, name="embedding")
        self.experts = ExpertBank(experts, settings.layers, settings.dropout, name="experts")
        self.gate = DomainGate(layout.domain_count, experts, name="specific_gate")
        self.head = StackedHead(layout.domain_count, settings.head_hidden, name="specific_head")

    def call(self, inputs: GroupedBatch, training: bool = False) -> tf.Tensor:
        rows, domains, weights = inputs
        packing = Packing(rows, domains, weights)
        packed = one_group(self.embedding(*packing.batch, training=training))
        gates = packing.pack(self.gate(packing.unpack(packed), domains))
        mixed = mix(gates, self.experts(packed, training=training))
        return self.head(packing.unpack(mixed), domains)
