"""A served DFEI of any number of domains, with untrained weights: for what serving costs, not for what it predicts.

It has the outer form of an exported model: one raw tensor per feature, vocabulary tables for text and integer
features, normalised numbers, mixed domains in one request, warm-up requests inside.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from models.arrays import Array

TEXTS, IDS, NUMBERS = 8, 12, 8
VOCABULARY = 5_000


def feature_columns(rows: int, domains: int, seed: int = 1) -> dict[str, Array]:
    """A request of so many rows (rows,), the domains mixed evenly; a tenth of the values are not in a vocabulary."""
    chance = np.random.default_rng(seed)
    columns: dict[str, Array] = {}
    for number in range(TEXTS):
        values = chance.integers(0, VOCABULARY * 10 // 9, rows)
        columns[f"text_{number}"] = np.array([b"value-%d" % value for value in values], object)
    for number in range(IDS):
        columns[f"id_{number}"] = chance.integers(0, VOCABULARY * 10 // 9, rows)
    for number in range(NUMBERS):
        columns[f"number_{number}"] = chance.normal(size=rows).astype(np.float32)
    columns["domain"] = chance.integers(0, domains, rows)
    return columns


def save_model(directory: Path, domains: int, full_kernels: bool = False) -> Path:
    """Saves the model as a SavedModel with warm-up requests; imports TensorFlow.

    `full_kernels`: the paper's towers at any number of domains, instead of the default's.
    """
    import tensorflow as tf

    from models.dispatch import predict_mixed
    from models.features import CategoricalFeature, FeatureLayout
    from models.registry import build_model
    from models.settings import ModelSettings

    names = [f"text_{number}" for number in range(TEXTS)] + [f"id_{number}" for number in range(IDS)]
    layout = FeatureLayout(
        categorical=tuple(CategoricalFeature(name, VOCABULARY + 2) for name in names),
        numeric=tuple(f"number_{number}" for number in range(NUMBERS)),
        domains=tuple(str(number) for number in range(domains)),
        domain_rows=(1,) * domains,
        user="id_0",
        item="id_1",
    )

    class Served(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            base = False if full_kernels else None
            settings = ModelSettings(averages="learned", common_base=base)
            self.model = build_model(layout, settings)
            texts = tf.strings.join(["value-", tf.strings.as_string(tf.range(VOCABULARY))])
            self.tables = [
                self._table(texts if name.startswith("text") else tf.range(VOCABULARY, dtype=tf.int64))
                for name in names
            ]

        def _table(self, keys: tf.Tensor) -> tf.lookup.StaticHashTable:
            values = tf.range(1, VOCABULARY + 1, dtype=tf.int64)
            return tf.lookup.StaticHashTable(
                tf.lookup.KeyValueTensorInitializer(keys, values), VOCABULARY + 1
            )

        def score(self, raw: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
            ids = [table.lookup(raw[name]) for name, table in zip(names, self.tables, strict=True)]
            numbers = [tf.clip_by_value(raw[f"number_{number}"], -5.0, 5.0) for number in range(NUMBERS)]
            rows = {"categorical": tf.stack(ids, 1), "numeric": tf.stack(numbers, 1)}
            domain = tf.cast(raw["domain"], tf.int32)
            return {"click_probability": tf.sigmoid(predict_mixed(self.model, rows, domain))}

    served = Served()
    sample = feature_columns(1, domains)
    specs = {
        name: tf.TensorSpec([None], tf.string if column.dtype == object else column.dtype, name=name)
        for name, column in sample.items()
    }
    signature = tf.function(served.score, input_signature=[specs])
    tf.saved_model.save(served, str(directory), signatures={"serving_default": signature})
    _write_warmup(directory / "assets.extra", domains)
    return directory


def _write_warmup(directory: Path, domains: int) -> None:
    import tensorflow as tf
    from tensorflow_serving.apis import prediction_log_pb2

    directory.mkdir()
    with tf.io.TFRecordWriter(str(directory / "tf_serving_warmup_requests")) as writer:
        for rows in (1, 32, 512):
            log = prediction_log_pb2.PredictionLog()
            for name, column in feature_columns(rows, domains).items():
                message: Any = log.predict_log.request.inputs[name]
                message.CopyFrom(tf.make_tensor_proto(column))
            writer.write(log.SerializeToString())
