"""The exported model: Transform graph and model in one SavedModel with signatures for callers."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_transform as tft
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

from components.baseline.target import write_target
from components.dataset.declaration import Declaration
from components.evaluator.scoring import SIGNATURE as JUDGED_BY
from components.trainer.raw_inputs import RawInputs, RequestFeature, missing_value
from components.transform.applied import TransformGraph
from components.version_notes import write_domains, write_lists, write_written
from models.base import DomainModel
from models.calibration import Calibration
from models.dispatch import explain_mixed, predict_mixed, resemblance_mixed
from models.features import FeatureLayout

OUTPUT = "click_probability"
WARMUP_BATCHES = (1, 32, 512)


class ServedModel(tf.Module):
    """A click model that takes raw features.

    What is tracked, and so exported, are variables, the Transform graph and functions. The Keras model is not: its
    call functions, which no caller has, would be most of the graph and of the time that saving and loading take.

    Args:
      model: the trained model.
      transform_output: the Transform graph that made its training rows.
      layout: what the packed columns hold.
      declaration: the data set.
      calibration: the last stage, by domain; `None`: there is none.
    """

    def __init__(
        self,
        model: DomainModel,
        transform_output: tft.TFTransformOutput,
        layout: FeatureLayout,
        declaration: Declaration,
        calibration: Calibration | None = None,
    ) -> None:
        super().__init__(name="served_model")
        self._model = lambda: model
        self.weights = list(model.variables)
        self.declaration = declaration
        self._calibration = calibration
        self.transform = TransformGraph(transform_output)
        self.layout = layout
        self._inputs = RawInputs(declaration, transform_output.raw_feature_spec())
        # A context of saving has every `tf.function` traced anew; these are traced once for whoever asks.
        transformed = [_row_specs(layout), _DOMAIN_SPEC]
        self._scored = functools.cache(lambda: _traced(self._score, transformed))
        self._explained = functools.cache(
            lambda: _traced(lambda rows, domain: explain_mixed(model, rows, domain), transformed)
        )
        self.predict_transformed = tf.function(
            lambda rows, domain: self._scored()(rows, domain), input_signature=transformed, autograph=False
        )
        # Traced once for all signatures: to save and to load an export costs by what is in it.
        self._transformed = tf.function(
            self._transform, input_signature=[self._inputs.specs()], autograph=False
        )
        self._transformed_flat = tf.function(
            lambda flat: self._transformed(self._inputs.from_flat(flat)),
            input_signature=[self._inputs.flat_specs()],
            autograph=False,
        )

    @property
    def model(self) -> DomainModel:
        """The trained model."""
        return self._model()

    @property
    def request_features(self) -> list[RequestFeature]:
        """The named inputs of `serving_default`, `rank` and `explain`."""
        return self._inputs.features

    def explain_transformed(self, rows: dict[str, tf.Tensor], domain: tf.Tensor) -> tf.Tensor:
        """`explain_mixed` of transformed rows."""
        return self._explained()(rows, domain)

    def signatures(self) -> dict[str, Callable[..., Any]]:
        """`serving_default`, `rank`, `examples` and, where the model explains, `explain`."""
        signatures = {
            "serving_default": self._named(
                lambda named: self._click(self._transformed_flat(self._inputs.flat_named(named))), 1
            ),
            "rank": self._named(self._rank, 2),
            JUDGED_BY: tf.function(
                lambda examples: self._click(self._transformed(self._inputs.from_examples(examples))),
                input_signature=[tf.TensorSpec([None], tf.string, name="examples")],
                autograph=False,
            ),
        }
        if self.model.explains:
            signatures["explain"] = self._named(self._explain, 1)
        return signatures

    def _explain(self, named: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        rows, domain = self._transformed_flat(self._inputs.flat_named(named))
        told = {"weights": self.explain_transformed(rows, domain)}
        if self.model.tells_resemblance:
            told["resemblance"] = resemblance_mixed(self.model, rows, domain)
        return told

    def _named(
        self, answer: Callable[[dict[str, tf.Tensor]], dict[str, tf.Tensor]], rank: int
    ) -> Callable[..., Any]:
        """A signature that takes one tensor per feature; "no value" where a caller leaves one out."""
        # Defaults have to come last. Names of inputs are those of the specs.
        features = sorted(self._inputs.features, key=lambda feature: not feature.is_domain)

        def ask(*values: tf.Tensor) -> dict[str, tf.Tensor]:
            return answer({feature.name: value for feature, value in zip(features, values, strict=True)})

        ask.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
            [
                inspect.Parameter(
                    f"input_{number}",
                    inspect.Parameter.POSITIONAL_OR_KEYWORD,
                    default=inspect.Parameter.empty if feature.is_domain else _no_value(feature, rank),
                )
                for number, feature in enumerate(features)
            ]
        )
        specs = [tf.TensorSpec([None] * rank, feature.dtype, name=feature.input) for feature in features]
        return tf.function(ask, input_signature=specs, autograph=False)

    def _click(self, transformed: tuple[dict[str, tf.Tensor], tf.Tensor]) -> dict[str, tf.Tensor]:
        return {OUTPUT: self.predict_transformed(*transformed)}

    def _rank(self, named: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        flat, shape = self._inputs.flat_ranking(named)
        return {OUTPUT: tf.reshape(self._click(self._transformed_flat(flat))[OUTPUT], shape)}

    def _transform(self, raw: dict[str, Any]) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        packed = self.transform(raw)
        return unpack(packed, self.layout), tf.cast(tf.reshape(packed["domain"], [-1]), tf.int32)

    def _score(self, rows: dict[str, tf.Tensor], domain: tf.Tensor) -> tf.Tensor:
        logits = predict_mixed(self.model, rows, domain)
        if self._calibration is not None:
            scale, offset = (
                tf.constant(np.append(own, common), tf.float32)
                for own, common in zip(
                    (self._calibration.scale, self._calibration.offset), self._calibration.common, strict=True
                )
            )
            logits = tf.gather(scale, domain) * logits + tf.gather(offset, domain)
        return tf.sigmoid(logits)


def _traced(function: Callable[..., tf.Tensor], specs: list[Any]) -> Callable[..., tf.Tensor]:
    traced: Callable[..., tf.Tensor] = tf.function(
        function, input_signature=specs, autograph=False
    ).get_concrete_function()
    return traced


def _no_value(feature: RequestFeature, rank: int) -> tf.Tensor:
    return tf.constant(missing_value(feature.dtype), feature.dtype, [1] * rank)


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
    """Writes the SavedModel with its signatures, warm-up requests and what it predicts into `directory`."""
    tf.saved_model.save(served, str(directory), signatures=served.signatures())
    _write_warmup_requests(served, directory / "assets.extra")
    _write_names(served, directory)


def save_for_evaluation(served: ServedModel, directory: Path) -> None:
    """As `save`, with the signature that the Evaluator asks alone: for a model that is judged and never served."""
    examples = {JUDGED_BY: served.signatures()[JUDGED_BY]}
    tf.saved_model.save(served, str(directory), signatures=examples)
    _write_names(served, directory)


def _write_names(served: ServedModel, directory: Path) -> None:
    write_target(served.declaration, directory)
    domain = next(feature for feature in served.request_features if feature.is_domain)
    write_domains(directory, domain.input, served.layout.domains)
    write_lists(directory, {f.input: f.separator or "" for f in served.request_features if f.is_list})
    features = served.declaration.features
    dressed = [
        f for f in served.request_features if f.name in features and features[f.name].written != "plain"
    ]
    if dressed:
        write_written(directory, {feature.input: features[feature.name].written for feature in dressed})


def _write_warmup_requests(served: ServedModel, directory: Path) -> None:
    """Requests that a server replays before it serves, so that no caller pays for the first call."""
    directory.mkdir(parents=True, exist_ok=True)
    shapes: dict[str, list[list[int]]] = {
        "serving_default": [[rows] for rows in WARMUP_BATCHES],
        "rank": [[1, items] for items in WARMUP_BATCHES],
    }
    if served.model.explains:
        shapes["explain"] = shapes["serving_default"]
    with tf.io.TFRecordWriter(str(directory / "tf_serving_warmup_requests")) as writer:
        for signature, shape in ((name, shape) for name, sizes in shapes.items() for shape in sizes):
            request = predict_pb2.PredictRequest()
            request.model_spec.signature_name = signature
            for feature in served.request_features:
                sizes = [1, 1] if feature.is_domain and signature == "rank" else shape
                values = np.full(sizes, missing_value(feature.dtype), feature.dtype.as_numpy_dtype)
                request.inputs[feature.input].CopyFrom(tf.make_tensor_proto(values, feature.dtype, sizes))
            log = prediction_log_pb2.PredictionLog(predict_log=prediction_log_pb2.PredictLog(request=request))
            writer.write(log.SerializeToString())
