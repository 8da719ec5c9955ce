"""PEPNet: one network, personalised per domain and per user by gates."""

from __future__ import annotations

from typing import ClassVar

import tensorflow as tf
import tf_keras as keras

from models.base import DomainModel, GroupedBatch
from models.features import FeatureLayout
from models.layers.domain_embedding import DomainEmbedding
from models.layers.dropout import ResumableDropout
from models.layers.embedding import FeatureEmbedding
from models.layers.gate_nu import GateNU
from models.layers.packing import Packing, one_group
from models.layers.tower import SharedTower
from models.options import Option
from models.settings import ModelSettings


class PEPNet(DomainModel):
    """Parameter and embedding personalised network (Chang et al., KDD 2023).

        O   = GateNU([E_domain; sg(E)]) o E                       EPNet: the embeddings, per domain
        p   = [E_user; E_item; E_author; sg(O)]
        H_0 = O,   H_l = GateNU_l(p) o relu(H_{l-1} W_l + b_l)    PPNet: each hidden layer, per user and item
        y   = sigmoid(H_L W + b)

    `E` is the whole input `x`. The stop-gradients are on what the gates see alone: the gated `E` itself is
    not detached, so the embeddings do train. The last layer of every gate starts at zero, hence every gate
    at 1. There is one task, so one tower; the domain's own parameters are its embedding. Ids that are not
    inputs (`use_ids: false`) are missing from `p`. The cost per row does not depend on D.

    Args:
        layout: what a row has.
        settings: `layers`, `head_hidden`, `dropout`; option `gate_hidden`: hidden units of each gate,
            default 64.
    """

    OPTIONS: ClassVar = {"gate_hidden": Option(64)}

    def __init__(self, layout: FeatureLayout, settings: ModelSettings, name: str | None = None) -> None:
        super().__init__(layout, settings, name)
        gate_hidden = self.option("gate_hidden")
        self.embedding = FeatureEmbedding(layout, settings, name="embedding")
        self.prior = [self.embedding.slice_of(f) for f in layout.id_features] if settings.use_ids else []
        self.domain_vectors = DomainEmbedding(
            layout.domain_count, settings.embedding_size, name="specific_domain_embedding"
        )
        self.embedding_gate = GateNU(self.embedding.output_size, gate_hidden, name="embedding_gate")
        self.dense = [SharedTower([units], name=f"layer_{i}") for i, units in enumerate(settings.layers)]
        self.gates = [GateNU(units, gate_hidden, name=f"gate_{i}") for i, units in enumerate(settings.layers)]
        self.dropouts = [
            ResumableDropout(settings.dropout, seed=i, name=f"dropout_{i}")
            for i in range(len(settings.layers))
        ]
        hidden = [settings.head_hidden] if settings.head_hidden else []
        self.head_hidden = SharedTower(hidden, name="head_hidden")
        self.head = keras.layers.Dense(1, kernel_initializer="zeros", name="head")

    def call(self, inputs: GroupedBatch, training: bool = False) -> tf.Tensor:
        rows, domains, weights = inputs
        packing = Packing(rows, domains, weights)
        x = one_group(self.embedding(*packing.batch, training=training))
        vectors = self.domain_vectors(packing.domains)[None]
        gate = self.embedding_gate(tf.concat([vectors, tf.stop_gradient(x)], axis=-1))
        hidden = gate * x
        prior = tf.concat([*(x[..., part] for part in self.prior), tf.stop_gradient(hidden)], axis=-1)
        for dense, layer_gate, dropout in zip(self.dense, self.gates, self.dropouts, strict=True):
            hidden = dropout(layer_gate(prior) * dense(hidden), training=training)
        return packing.unpack(tf.squeeze(self.head(self.head_hidden(hidden)), axis=-1))
