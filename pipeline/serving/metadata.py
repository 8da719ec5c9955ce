"""What a version can be asked, as TensorFlow Serving tells it, and over REST what else a caller has to know."""

from __future__ import annotations

import inspect
from typing import Any

from google.protobuf import json_format
from tensorflow_serving.apis import get_model_metadata_pb2

from pipeline.serving.saved_model import LoadedModel

# The option that prints fields without a value was renamed between protobuf 4 and 5.
_PRINT_ALL: str = next(
    name
    for name in ("always_print_fields_with_no_presence", "including_default_value_fields")
    if name in inspect.signature(json_format.MessageToDict).parameters
)


def signature_map(model: LoadedModel) -> get_model_metadata_pb2.SignatureDefMap:
    """The signatures of a version."""
    message = get_model_metadata_pb2.SignatureDefMap()
    for name, signature in model.meta_graph.signature_def.items():
        message.signature_def[name].CopyFrom(signature)
    return message


def metadata_json(name: str, version: int, model: LoadedModel) -> dict[str, Any]:
    """The answer to `GET .../metadata`; its "notes", `components.version_notes`, TensorFlow Serving does not have."""
    options: dict[str, Any] = {"preserving_proto_field_name": True, _PRINT_ALL: True}
    signatures = json_format.MessageToDict(signature_map(model), **options)
    return {
        "model_spec": {"name": name, "signature_name": "", "version": str(version)},
        "metadata": {"signature_def": signatures, "notes": dict(model.notes)},
    }
