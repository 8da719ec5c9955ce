"""One tower over all domains: what everything else has to beat."""

from __future__ import annotations

import tensorflow as tf
import tf_keras as keras

from models.base import DomainModel, GroupedBatch
from models.features import FeatureLayout
from models.layers.embedding import FeatureEmbedding
from models.layers.packing import Packing, one_group
from models.layers.tower import SharedTower
from models.settings import ModelSettings


class MLP(DomainModel):
    """A multi-layer perceptron over the rows of all domains together.

        x = embeddings of the row, the domain's id among them
        y = sigmoid(O(S(x)))

    All parameters are shared. The domain's id is a feature unless `domain_feature: false`, which makes the
    model blind to domains. The cost per row does not depend on D.

    Args:
        layout: what a row has.
        settings: `layers`, `head_hidden`, `dropout`, `domain_feature` (default here: true).
    """

    def __init__(self, layout: FeatureLayout, settings: ModelSettings, name: str | None = None) -> None:
        super().__init__(layout, settings, name)
        hidden = [settings.head_hidden] if settings.head_hidden else []
        self.embedding = FeatureEmbedding(layout, settings, domain_feature=True, name="embedding")
        self.tower = SharedTower(settings.layers, settings.dropout, name="tower")
        self.head_hidden = SharedTower(hidden, name="head_hidden")
        self.head = keras.layers.Dense(1, kernel_initializer="zeros", name="head")

    def call(self, inputs: GroupedBatch, training: bool = False) -> tf.Tensor:
        rows, domains, weights = inputs
        packing = Packing(rows, domains, weights)
        packed = one_group(self.embedding(*packing.batch, training=training))
        hidden = self.tower(packed, training=training)
        return packing.unpack(tf.squeeze(self.head(self.head_hidden(hidden)), axis=-1))

    @property
    def knows_domain(self) -> bool:
        return self.settings.domain_feature is not False
