"""Warm-up requests: replayed before a version serves, so that no caller pays for the first call.

They are in `assets.extra/tf_serving_warmup_requests` of the SavedModel, a TFRecord file of `PredictionLog`s, as
TensorFlow Serving has it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from models.arrays import Array
from pipeline.client import tensors
from pipeline.serving.errors import Code, RequestError, invalid
from pipeline.serving.example_answers import example_inputs
from pipeline.serving.saved_model import LoadedModel, ServedSignature

REQUESTS = Path("assets.extra") / "tf_serving_warmup_requests"
MOST_RECORDS = 1000


def warm_up(model: LoadedModel, path: Path) -> int:
    """Replays a version's warm-up requests.

    Args:
      model: the loaded version.
      path: its directory.

    Returns:
      How many there were.

    Raises:
      RequestError: a request failed, there are too many, or one is of a kind that is not served here.
      tf.errors.OpError: the file is damaged.
    """
    file = path / REQUESTS
    if not file.is_file():
        return 0
    count = 0
    for record in tf.data.TFRecordDataset(str(file)).as_numpy_iterator():
        count += 1
        if count > MOST_RECORDS:
            raise invalid(f"more than {MOST_RECORDS} warm-up requests")
        _replay(model, prediction_log_pb2.PredictionLog.FromString(record))
    return count


def _replay(model: LoadedModel, log: Any) -> None:
    kind = log.WhichOneof("log_type")
    if kind == "predict_log":
        request = log.predict_log.request

        def decode(signature: ServedSignature) -> Mapping[str, Array]:
            return {name: tensors.to_array(message) for name, message in request.inputs.items()}

        _run(model, request.model_spec.signature_name, decode)
    elif kind in ("classify_log", "regress_log"):
        request = getattr(log, kind).request
        _run(
            model,
            request.model_spec.signature_name,
            lambda signature: example_inputs(signature, serialized_examples(request.input)),
        )
    else:
        raise RequestError(Code.UNIMPLEMENTED, f"warm-up requests of kind {kind} are not served")


def _run(model: LoadedModel, name: str, decode: Callable[[ServedSignature], Mapping[str, Array]]) -> None:
    signature = model.signature(name)
    inputs = decode(signature)
    signature.check(inputs)
    model.run(signature, signature.complete(inputs))


def serialized_examples(message: Any) -> list[bytes]:
    """The examples of TensorFlow Serving's `Input`, serialized, each with the context that all share."""
    kind = message.WhichOneof("kind")
    if kind is None:
        return []
    examples = getattr(message, kind)
    context = examples.context.SerializeToString() if kind == "example_list_with_context" else b""
    # Concatenated serialized messages are the merged message.
    return [context + example.SerializeToString() for example in examples.examples]
