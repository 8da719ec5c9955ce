"""Scoring many rows with a model, batch by batch."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from models.arrays import Array
from models.base import DomainModel
from models.rows import RowSource
from models.schedule import Schedule, tile_size
from models.unknown_domain import stand_ins

ROWS_AT_ONCE = 4096


class Predictor:
    """A model's forward pass at inference, compiled once for batches of any shape.

    Args:
        model: built.
    """

    def __init__(self, model: DomainModel) -> None:
        self._model = model
        rows = {
            key: tf.TensorSpec([None, None, *shape], tf.int64 if key == "categorical" else tf.float32)
            for key, shape in model.layout.row_shapes().items()
        }
        signature = [rows, tf.TensorSpec([None], tf.int32), tf.TensorSpec([None, None], tf.float32)]
        self._logits = tf.function(
            lambda rows, domains, weights: model((rows, domains, weights), training=False),
            input_signature=signature,
            autograph=False,
        )

    def predict(self, source: RowSource) -> Array:
        """Logits `(n,)` of all rows of a source, in its order; as served, those of an unknown domain (D) too."""
        domain = np.asarray(source.domain)
        everyone = np.arange(len(domain))
        unknown = domain >= self._model.domain_count
        if self._model.serves_unknown or not unknown.any():
            return self._predict(source, everyone, domain)
        logits = np.zeros(len(domain), np.float32)
        logits[~unknown] = self._predict(source, everyone[~unknown], domain[~unknown])
        asked = everyone[unknown]
        for stand_in, share in enumerate(stand_ins(self._model.layout)):
            logits[unknown] += share * self._predict(
                source, asked, np.full(len(asked), stand_in, domain.dtype)
            )
        return logits

    def _predict(self, source: RowSource, asked: Array, domain: Array) -> Array:
        """Logits `(m,)` of the rows `asked` `(m,)` as rows of these domains `(m,)`."""
        logits = np.zeros(len(asked), np.float32)
        if len(asked) == 0:
            return logits
        _, counts = np.unique(domain, return_counts=True)
        tile = tile_size(counts, ROWS_AT_ONCE, ROWS_AT_ONCE)
        plan = Schedule("fused", domain, tile, max(1, ROWS_AT_ONCE // tile)).epoch(0)
        for step in plan.steps():
            rows = {key: tf.constant(value) for key, value in source.gather(asked[step.rows]).items()}
            scored = self._logits(rows, tf.constant(step.domains), tf.constant(step.weights)).numpy()
            kept = step.weights > 0
            logits[step.rows[kept]] = scored[kept]
        return logits
