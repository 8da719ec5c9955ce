"""The exported model: Transform graph and model in one SavedModel with signatures for callers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_transform as tft
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

from components.dataset.declaration import Declaration
from components.trainer.raw_inputs import RawInputs, RequestFeature, missing_value
from models.base import DomainModel
from models.dispatch import explain_mixed, predict_mixed
from models.features import FeatureLayout

OUTPUT = "click_probability"
WARMUP_BATCHES = (1, 32, 512)


class ServedModel(tf.Module):
    """A click model that takes raw features.

    Args:
      model: the trained model.
      transform_output: the Transform graph that made its training rows.
      layout: what the packed columns hold.
      declaration: the data set.
    """

    def __init__(
        self,
        model: DomainModel,
        transform_output: tft.TFTransformOutput,
        layout: FeatureLayout,
        declaration: Declaration,
    ) -> None:
        super().__init__(name="served_model")
        self.model = model
        # Attached to the object that is saved: an untracked layer loses its tables in serving.
        self.transform_layer = transform_output.transform_features_layer()
        self._layout = layout
        self._inputs = RawInputs(declaration, transform_output.raw_feature_spec())
        self.predict_transformed = tf.function(
            self._score, input_signature=[_row_specs(layout), _DOMAIN_SPEC]
        )

    @property
    def request_features(self) -> list[RequestFeature]:
        """The named inputs of `serving_default` and `explain`."""
        return self._inputs.features

    def signatures(self) -> dict[str, Callable[..., Any]]:
        """The signatures of the export: `serving_default`, `examples` and, where the model explains, `explain`."""
        signatures = {
            "serving_default": self._named(lambda raw: {OUTPUT: self._score(*self._transform(raw))}),
            "examples": tf.function(
                lambda examples: {
                    OUTPUT: self._score(*self._transform(self._inputs.from_examples(examples)))
                },
                input_signature=[tf.TensorSpec([None], tf.string, name="examples")],
            ),
        }
        if self.model.explains:
            signatures["explain"] = self._named(
                lambda raw: {"weights": explain_mixed(self.model, *self._transform(raw))}
            )
        return signatures

    def _named(self, answer: Callable[[dict[str, Any]], dict[str, tf.Tensor]]) -> Callable[..., Any]:
        specs = {
            feature.name: tf.TensorSpec([None], feature.dtype, name=feature.name)
            for feature in self._inputs.features
        }
        return tf.function(
            lambda features: answer(self._inputs.from_named(features)), input_signature=[specs]
        )

    def _transform(self, raw: dict[str, Any]) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        packed = self.transform_layer(raw)
        return unpack(packed, self._layout), tf.cast(tf.reshape(packed["domain"], [-1]), tf.int32)

    def _score(self, rows: dict[str, tf.Tensor], domain: tf.Tensor) -> tf.Tensor:
        return tf.sigmoid(predict_mixed(self.model, rows, domain))


_DOMAIN_SPEC = tf.TensorSpec([None], tf.int32, name="domain")


def _row_specs(layout: FeatureLayout) -> dict[str, tf.TensorSpec]:
    return {
        name: tf.TensorSpec([None, *shape], tf.int64 if name == "categorical" else tf.float32)
        for name, shape in layout.row_shapes().items()
    }


def unpack(packed: dict[str, tf.Tensor], layout: FeatureLayout) -> dict[str, tf.Tensor]:
    """Transform's packed outputs as the model's row tensors (rows, ...)."""
    return {
        name: tf.cast(tf.reshape(packed[name], [-1, *spec.shape[1:]]), spec.dtype)
        for name, spec in _row_specs(layout).items()
    }


def save(served: ServedModel, directory: Path) -> None:
    """Writes the SavedModel with its signatures and warm-up requests into `directory`."""
    tf.saved_model.save(served, str(directory), signatures=served.signatures())
    _write_warmup_requests(served, directory / "assets.extra")


def _write_warmup_requests(served: ServedModel, directory: Path) -> None:
    """Requests that a server replays before it serves, so that no caller pays for the first call."""
    directory.mkdir(parents=True, exist_ok=True)
    signatures = ["serving_default", *(["explain"] if served.model.explains else [])]
    with tf.io.TFRecordWriter(str(directory / "tf_serving_warmup_requests")) as writer:
        for signature in signatures:
            for rows in WARMUP_BATCHES:
                request = predict_pb2.PredictRequest()
                request.model_spec.signature_name = signature
                for feature in served.request_features:
                    values = np.full([rows], missing_value(feature.dtype), feature.dtype.as_numpy_dtype)
                    request.inputs[feature.name].CopyFrom(tf.make_tensor_proto(values, feature.dtype, [rows]))
                log = prediction_log_pb2.PredictionLog(
                    predict_log=prediction_log_pb2.PredictLog(request=request)
                )
                writer.write(log.SerializeToString())
