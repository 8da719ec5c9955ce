"""Classify and regress requests in JSON: features by name, as `tf.Example`s."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from pipeline.client.messages import SERVING
from pipeline.serving.errors import invalid
from pipeline.serving.example_answers import with_context
from pipeline.serving.json_tensors import parse_body, signature_name

_KINDS = {"bytes_list": "bytes", "float_list": "float", "int64_list": "int64"}
_LEAST, _LARGEST = -(1 << 63), (1 << 63) - 1


def example_request(body: bytes) -> tuple[str, list[bytes]]:
    """The signature and the serialized `tf.Example`s of a request.

    Raises:
      RequestError: INVALID_ARGUMENT, naming the feature.
    """
    document = parse_body(body)
    examples = document.get("examples")
    if not isinstance(examples, list):
        raise invalid("key 'examples' is expected and must be a list/array")
    if not examples:
        raise invalid("'examples' value is an empty array")
    context = _serialize(document["context"]) if "context" in document else b""
    return signature_name(document), with_context(context, [_serialize(one) for one in examples])


def _serialize(features: Any) -> bytes:
    if not isinstance(features, dict):
        raise invalid(f"Example must be JSON object but got JSON {type(features).__name__}")
    example = SERVING["Example"]()
    for name, value in features.items():
        try:
            feature = example.features.feature[name]
            for item in value if isinstance(value, list) else [value]:
                # No value at all is what an example has for a missing one.
                if item is not None:
                    _add(feature, name, item)
        except UnicodeEncodeError as error:
            raise invalid("a JSON string has half of a surrogate pair, which is no UTF-8") from error
    return example.SerializeToString()


def _add(feature: Any, name: str, item: Any) -> None:
    kind, value = _kind(name, item)
    if feature.WhichOneof("kind") not in (None, kind):
        raise invalid(
            f"Unexpected element type in feature: {name} expecting type: {_KINDS[feature.WhichOneof('kind')]}"
        )
    getattr(feature, kind).value.append(value)


def _kind(name: str, item: Any) -> tuple[str, Any]:
    if isinstance(item, bool):
        return "int64_list", int(item)
    if isinstance(item, int):
        if not _LEAST <= item <= _LARGEST:
            raise invalid(f"Feature: {name} has an element that is no int64")
        return "int64_list", item
    if isinstance(item, float):
        return "float_list", item
    if isinstance(item, str):
        return "bytes_list", item.encode()
    if isinstance(item, dict) and len(item) == 1 and isinstance(item.get("b64"), str):
        try:
            return "bytes_list", base64.b64decode(item["b64"], validate=True)
        except (binascii.Error, ValueError) as error:
            raise invalid(f"Feature: {name}: Unable to base64 decode") from error
    raise invalid(f"Feature: {name} has element with unexpected JSON type: {type(item).__name__}")
