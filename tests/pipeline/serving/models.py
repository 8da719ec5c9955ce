"""A small SavedModel with the signatures of an exported model, for servers under test."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

NAME = "clicks"
DOMAINS = 3
FEATURES = {"user_id": tf.int64, "duration": tf.float32, "tag": tf.string}
_EXAMPLE_SPEC = {
    "user_id": tf.io.FixedLenFeature([], tf.int64, -1),
    "duration": tf.io.FixedLenFeature([], tf.float32, 0.0),
    "tag": tf.io.FixedLenFeature([], tf.string, ""),
}


class Clicks(tf.Module):
    """`sigmoid(bias + user_id / 10 + duration - length of tag)`."""

    def __init__(self, bias: float) -> None:
        super().__init__(name="clicks")
        self.bias = tf.Variable(bias, name="bias")
        keys = tf.constant(["a", "bb"])
        self.table = tf.lookup.StaticHashTable(
            tf.lookup.KeyValueTensorInitializer(keys, tf.constant([0.0, 0.0])), 0.0
        )

    def score(self, raw: dict[str, tf.Tensor]) -> tf.Tensor:
        length = tf.cast(tf.strings.length(raw["tag"]), tf.float32) + self.table.lookup(raw["tag"])
        return tf.sigmoid(self.bias + tf.cast(raw["user_id"], tf.float32) / 10 + raw["duration"] - length)

    def signatures(self) -> dict[str, Any]:
        named = [{name: tf.TensorSpec([None], dtype, name=name) for name, dtype in FEATURES.items()}]
        examples = tf.TensorSpec([None], tf.string, name="examples")
        inputs = tf.TensorSpec([None], tf.string, name="inputs")

        def parsed(serialized: tf.Tensor) -> tf.Tensor:
            return self.score(tf.io.parse_example(serialized, _EXAMPLE_SPEC))

        def classify(serialized: tf.Tensor) -> dict[str, tf.Tensor]:
            scores = parsed(serialized)
            classes = tf.tile([["no", "yes"]], [tf.size(scores), 1])
            return {"scores": tf.stack([1 - scores, scores], axis=1), "classes": classes}

        def rank(user_id: tf.Tensor, video_id: tf.Tensor) -> dict[str, tf.Tensor]:
            logits = self.bias + tf.cast(user_id[:, None] + video_id, tf.float32) / 10
            return {"click_probability": tf.sigmoid(logits), "video_id": video_id}

        grid = [tf.TensorSpec([None, None], dtype) for dtype in (tf.int64, tf.int64, tf.string)]

        @tf.function(input_signature=grid)
        def candidates(
            tab: tf.Tensor,
            video_id: tf.Tensor = tf.constant([[-1]], tf.int64),  # noqa: B008
            tag: tf.Tensor = tf.constant([[""]]),  # noqa: B008
        ) -> dict[str, tf.Tensor]:
            length = tf.cast(tf.strings.length(tag), tf.float32)[:, None, :]
            logits = tf.cast(tab[:, :, None] + video_id[:, None, :], tf.float32) / 10 - length
            return {"click_probability": tf.sigmoid(self.bias + logits)}

        floats = tf.TensorSpec([None], tf.float32)

        @tf.function(input_signature=[floats, floats])
        def optional(x: tf.Tensor, y: tf.Tensor = tf.constant([7.0])) -> dict[str, tf.Tensor]:  # noqa: B008
            return {"z": x + y}

        return {
            "optional": optional,
            "candidates": candidates,
            "serving_default": tf.function(
                lambda raw: {"click_probability": self.score(raw)}, input_signature=named
            ),
            "examples": tf.function(
                lambda examples: {"click_probability": parsed(examples)}, input_signature=[examples]
            ),
            "explain": tf.function(
                lambda raw: {"weights": tf.tile(self.score(raw)[:, None], [1, DOMAINS])},
                input_signature=named,
            ),
            "classify": tf.function(classify, input_signature=[inputs]),
            "regress": tf.function(lambda inputs: {"outputs": parsed(inputs)}, input_signature=[inputs]),
            "rank": tf.function(
                rank,
                input_signature=[
                    tf.TensorSpec([None], tf.int64, name="user_id"),
                    tf.TensorSpec([None, None], tf.int64, name="video_id"),
                ],
            ),
            "echo": tf.function(
                lambda text_bytes, flag, half: {"text_bytes": text_bytes, "flag": flag, "half": half},
                input_signature=[
                    tf.TensorSpec([None], tf.string, name="text_bytes"),
                    tf.TensorSpec([None], tf.bool, name="flag"),
                    tf.TensorSpec([None], tf.float64, name="half"),
                ],
            ),
            "total": tf.function(
                lambda x: {"sum": tf.reduce_sum(x)},
                input_signature=[tf.TensorSpec([None], tf.int32, name="x")],
            ),
        }


def expected(rows: dict[str, Any], bias: float = 0.0) -> np.ndarray:
    """What the model answers."""
    length = np.array([len(tag) for tag in rows["tag"]])
    logits = bias + np.asarray(rows["user_id"]) / 10 + np.asarray(rows["duration"]) - length
    return (1 / (1 + np.exp(-logits))).astype(np.float32)


def save_version(base: Path, version: int, bias: float = 0.0, warm: bool = True) -> Path:
    """Saves the model as `<base>/<version>`, complete at once."""
    unfinished = base / f".unfinished-{version}"
    model = Clicks(bias)
    tf.saved_model.save(model, str(unfinished), signatures=model.signatures())
    if warm:
        (unfinished / "assets.extra").mkdir()
        write_warmup(unfinished / "assets.extra" / "tf_serving_warmup_requests")
    unfinished.rename(base / str(version))
    return base / str(version)


def copy_version(source: Path, base: Path, version: int) -> Path:
    """Copies a saved version as `<base>/<version>`, complete at once."""
    base.mkdir(parents=True, exist_ok=True)
    unfinished = base / f".unfinished-{version}"
    shutil.copytree(source, unfinished)
    unfinished.rename(base / str(version))
    return base / str(version)


def predict_request(rows: dict[str, Any], signature: str = "") -> predict_pb2.PredictRequest:
    """A request built by TensorFlow itself."""
    request = predict_pb2.PredictRequest()
    request.model_spec.name = NAME
    request.model_spec.signature_name = signature
    for name, values in rows.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(values, FEATURES.get(name)))
    return request


def write_warmup(path: Path) -> None:
    """Two warm-up requests."""
    rows = {"user_id": [1, 2], "duration": [0.5, 0.25], "tag": ["a", "bb"]}
    with tf.io.TFRecordWriter(str(path)) as writer:
        for signature in ("serving_default", "explain"):
            log = prediction_log_pb2.PredictionLog()
            log.predict_log.request.CopyFrom(predict_request(rows, signature))
            writer.write(log.SerializeToString())


def example(**features: Any) -> tf.train.Example:
    """A `tf.Example` built by TensorFlow itself."""
    message = tf.train.Example()
    for name, value in features.items():
        feature = message.features.feature[name]
        if isinstance(value, str):
            feature.bytes_list.value.append(value.encode())
        elif isinstance(value, float):
            feature.float_list.value.append(value)
        else:
            feature.int64_list.value.append(value)
    return message
