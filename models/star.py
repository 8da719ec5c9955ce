"""STAR: one centre network, multiplied by each domain's own."""

from __future__ import annotations

from typing import ClassVar

import tensorflow as tf
import tf_keras as keras

from models.base import DomainModel, GroupedBatch
from models.features import FeatureLayout
from models.layers.domain_embedding import DomainEmbedding, concat_to_rows
from models.layers.dropout import ResumableDropout
from models.layers.embedding import FeatureEmbedding
from models.layers.packing import Packing, one_group
from models.layers.partitioned_norm import PartitionedNorm
from models.layers.star_dense import StarDense
from models.layers.tower import SharedTower
from models.options import Option
from models.settings import ModelSettings


class STAR(DomainModel):
    """Star topology adaptive recommender (Sheng et al., CIKM 2021).

        x'    = partitioned normalisation of x with the domain's statistics
        h     = relu(h (W o W_d) + b + b_d)         layer by layer, from h = x'
        s_m   = h (W o W_d) + b + b_d               the last layer: one unit, linear
        s_a   = aux([domain embedding; x])          auxiliary network, shared
        y_d   = sigmoid(s_m + s_a)

    Public versions multiply wrongly (they add kernels), put a ReLU on the logit, take the normalisation's
    statistics over mixed batches or at test time; here kernels are multiplied, the logit is linear, and the
    statistics are the domain's: the batch's in training, the moving ones at inference
    (`models.layers.partitioned_norm`). The cost per row does not depend on D.

    Args:
        layout: what a row has.
        settings: `layers`, `head_hidden` (one more layer of the star), `dropout`; options `aux_hidden`:
            hidden units of the auxiliary network, default 32; `norm_momentum`: default 0.99.
    """

    OPTIONS: ClassVar = {"norm_momentum": Option(0.99, least=0, most=0.999999), "aux_hidden": Option(32)}

    def __init__(self, layout: FeatureLayout, settings: ModelSettings, name: str | None = None) -> None:
        super().__init__(layout, settings, name)
        domains = layout.domain_count
        self.embedding = FeatureEmbedding(layout, settings, name="embedding")
        self.norm = PartitionedNorm(domains, self.option("norm_momentum"), name="norm")
        hidden = [*settings.layers, *([settings.head_hidden] if settings.head_hidden else [])]
        self.star = [StarDense(domains, units, "relu", name=f"star_{i}") for i, units in enumerate(hidden)]
        self.dropouts = [
            ResumableDropout(settings.dropout, seed=i, name=f"dropout_{i}")
            for i in range(len(settings.layers))
        ]
        self.unit = StarDense(domains, 1, kernel_initializer="zeros", name="star_unit")
        self.domain_vectors = DomainEmbedding(
            domains, settings.embedding_size, name="specific_domain_embedding"
        )
        self.aux_hidden = SharedTower([self.option("aux_hidden")], name="aux_hidden")
        self.aux_unit = keras.layers.Dense(1, kernel_initializer="zeros", name="aux_unit")

    def call(self, inputs: GroupedBatch, training: bool = False) -> tf.Tensor:
        rows, domains, weights = inputs
        packing = Packing(rows, domains, weights)
        packed = self.embedding(*packing.batch, training=training)
        x = packing.unpack(one_group(packed))
        hidden = self.norm(x, domains, weights, training=training)
        for i, layer in enumerate(self.star):
            hidden = layer(hidden, domains)
            if i < len(self.dropouts):
                hidden = self.dropouts[i](hidden, training=training)
        main = self.unit(hidden, domains)
        aux = self.aux_unit(self.aux_hidden(concat_to_rows(self.domain_vectors(domains), x)))
        return tf.squeeze(main + aux, axis=-1)
