"""Rows to vectors: one embedding table for all categorical features, numbers appended."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras

from models.base import Rows
from models.features import FeatureLayout
from models.layers.dropout import ResumableDropout
from models.replicas import slices_of
from models.settings import ModelSettings

DOMAIN = "(domain)"


class FeatureEmbedding(keras.layers.Layer):
    """The embedding layer that all models share.

    All categorical features live in one table `(sum of sizes, k)`, each at its offset, so that a batch is one
    gather forward and one sparse gradient backward however many features there are. A list-valued feature is
    the mean over its non-missing values, zeros if it has none. Numbers, Transform's averages and the user's
    history are appended as they are.

        x = [e_1; ...; e_F; numeric; averages; history],   x in R^(F k + N + A + D H)

    Args:
        layout: what a row has.
        settings: `embedding_size`, `use_ids`, `averages`, `history`, `embedding_l2`, the dropouts.
        domain_feature: whether the domain's id is embedded like a feature, unless the settings say.
        attends_history: whether the model reads the history itself when `history` is "attention"; the rows'
            history is then no part of x.

    Raises:
        ValueError: when nothing is left to be an input.
    """

    def __init__(
        self,
        layout: FeatureLayout,
        settings: ModelSettings,
        domain_feature: bool = False,
        attends_history: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.layout = layout
        self.settings = settings
        self.k = settings.embedding_size
        chosen = settings.domain_feature
        self.domain_feature = domain_feature if chosen is None else chosen
        self.attends_history = attends_history
        self.uses_averages = bool(layout.averages) and settings.uses_transform_averages
        flat = ("flat", "both") if attends_history else ("flat", "attention", "both")
        self.uses_history = bool(layout.history) and settings.history in flat
        self._plan_columns()
        if not self.output_size:
            raise ValueError("no input is left: the layout has no feature that the settings let through")
        salt = zlib.crc32(self.name.encode())
        self.input_dropout = ResumableDropout(settings.embedding_dropout, seed=salt, name="input_dropout")
        self.id_dropout = ResumableDropout(settings.id_dropout, seed=salt + 1, name="id_dropout")

    def get_config(self) -> dict[str, Any]:
        """The arguments as plain values."""
        return {
            "name": self.name,
            "layout": self.layout.to_json(),
            "settings": self.settings.model_dump(),
            "domain_feature": self.domain_feature,
            "attends_history": self.attends_history,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> FeatureEmbedding:
        """The layer that `get_config` describes."""
        layout, settings = FeatureLayout.from_json(config["layout"]), ModelSettings(**config["settings"])
        return cls(**{**config, "layout": layout, "settings": settings})

    def _plan_columns(self) -> None:
        dropped = set() if self.settings.use_ids else set(self.layout.id_features)
        columns: list[int] = []
        offsets: list[int] = []
        identifying: list[bool] = []
        widths: list[int] = []
        slices: dict[str, slice] = {}
        column = offset = position = 0
        for feature in self.layout.categorical:
            if feature.name not in dropped:
                columns += range(column, column + feature.width)
                offsets += [offset] * feature.width
                identifying += [feature.name in self.layout.id_features] * feature.width
                widths.append(feature.width)
                slices[feature.name] = slice(position, position + self.k)
                offset += feature.size
                position += self.k
            column += feature.width
        if self.domain_feature:
            offsets.append(offset)
            identifying.append(False)
            widths.append(1)
            slices[DOMAIN] = slice(position, position + self.k)
            offset += self.layout.domain_count
            position += self.k
        self._keeps_all = columns == list(range(column))
        self._columns = np.array(columns, np.int32)
        self._offsets = np.array(offsets, np.int32)
        self._identifying = np.array(identifying, bool)
        self._widths = widths
        self.slices = slices
        self.table_rows = offset
        self.embedded_size = position
        self.output_size = position + len(self.layout.numeric)
        self.output_size += len(self.layout.averages) if self.uses_averages else 0
        self.output_size += self.layout.domain_count * len(self.layout.history) if self.uses_history else 0

    def build(self, input_shape: Any) -> None:
        if self.table_rows:
            self.table = self.add_weight(
                name="table",
                shape=(self.table_rows, self.k),
                initializer=keras.initializers.RandomUniform(-0.05, 0.05),
            )
        # Called by its mask alone, so Keras would not build it before the first step in training.
        self.id_dropout.build(input_shape)
        super().build(input_shape)

    def slice_of(self, feature: str) -> slice:
        """Where in the last axis of `x` a feature's embedding lies (`DOMAIN` for the domain's).

        Raises:
            ValueError: if the feature is not embedded, for example an id while `use_ids` is false.
        """
        if feature not in self.slices:
            raise ValueError(f"feature {feature!r} is not embedded; embedded are {sorted(self.slices)}")
        return self.slices[feature]

    def call(
        self, rows: Rows, domains: tf.Tensor, weights: tf.Tensor | None = None, training: bool = False
    ) -> tf.Tensor:
        """Vectors `(G, B, output_size)` of rows `(G, B, ...)`.

        Args:
            rows: tensors by key.
            domains: `(G,)`, read when the domain is a feature.
            weights: `(G, B)` padding mask; padding is left out of the L2 penalty.
            training: whether dropout fires and the penalty counts.
        """
        parts = []
        if self.table_rows:
            embedded = self._lookup(rows, domains, training)
            if training and self.settings.embedding_l2 > 0:
                self.add_loss(self._penalty(embedded, weights))
            parts.append(embedded)
        if self.layout.numeric:
            parts.append(rows["numeric"])
        if self.uses_averages:
            parts.append(rows["averages"])
        if self.uses_history:
            shape = tf.shape(rows["history"])
            flat = self.layout.domain_count * len(self.layout.history)
            parts.append(tf.reshape(rows["history"], [shape[0], shape[1], flat]))
        x = tf.concat(parts, axis=-1) if len(parts) > 1 else parts[0]
        return self.input_dropout(x, training=training)

    def _lookup(self, rows: Rows, domains: tf.Tensor, training: bool) -> tf.Tensor:
        ids = self._local_ids(rows, domains)
        if training and self.settings.id_dropout > 0 and self._identifying.any():
            kept = self.id_dropout.keep_mask(tf.shape(ids)) | ~tf.constant(self._identifying)
            ids = tf.where(kept, ids, 0)
        vectors = slices_of(self.table, ids + self._offsets)
        leading = tf.shape(ids)[:2]
        if max(self._widths) > 1:
            vectors = self._average_lists(vectors, ids)
        return tf.reshape(vectors, tf.concat([leading, [self.embedded_size]], 0))

    def _local_ids(self, rows: Rows, domains: tf.Tensor) -> tf.Tensor:
        parts = []
        if self._columns.size:
            ids = rows["categorical"]
            parts.append(
                tf.cast(ids if self._keeps_all else tf.gather(ids, self._columns, axis=-1), tf.int32)
            )
        if self.domain_feature:
            rows_per_group = tf.shape(next(iter(rows.values())))[1]
            column = tf.repeat(tf.cast(domains, tf.int32)[:, None], rows_per_group, axis=1)
            parts.append(column[..., None])
        return tf.concat(parts, axis=-1) if len(parts) > 1 else parts[0]

    def _average_lists(self, vectors: tf.Tensor, ids: tf.Tensor) -> tf.Tensor:
        # Runs of plain features are kept together: one split and one concat, whose gradients are cheap.
        runs: list[int] = []
        is_list: list[bool] = []
        for width in self._widths:
            if width == 1 and runs and not is_list[-1]:
                runs[-1] += 1
            else:
                runs.append(width)
                is_list.append(width > 1)
        pieces = []
        for piece, piece_ids, averaged in zip(
            tf.split(vectors, runs, axis=2), tf.split(ids, runs, axis=2), is_list, strict=True
        ):
            if averaged:
                present = tf.cast(piece_ids > 0, piece.dtype)[..., None]
                count = tf.maximum(tf.reduce_sum(present, axis=2, keepdims=True), 1.0)
                piece = tf.reduce_sum(piece * (present / count), axis=2, keepdims=True)
            pieces.append(piece)
        return tf.concat(pieces, axis=2)

    def _penalty(self, embedded: tf.Tensor, weights: tf.Tensor | None) -> tf.Tensor:
        squares = tf.reduce_sum(tf.square(embedded), axis=-1)
        if weights is None:
            return self.settings.embedding_l2 * tf.reduce_mean(squares)
        return self.settings.embedding_l2 * tf.math.divide_no_nan(
            tf.reduce_sum(squares * weights), tf.reduce_sum(weights)
        )
