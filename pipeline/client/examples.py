"""`tf.Example` messages without TensorFlow: to build them, and as the JSON that REST takes."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import numpy as np

from pipeline.client import tensors
from pipeline.client.messages import SERVING


def serialize_example(features: Mapping[str, Any]) -> bytes:
    """A serialized `tf.Example`.

    Args:
      features: a scalar, list or array per name: integers become an int64 list, floats a float list, text and
        bytes a bytes list. `None` and empty lists are features without a value.

    Raises:
      ValueError: a value is none of these.
    """
    example = SERVING["Example"]()
    for name, value in features.items():
        feature = example.features.feature[name]
        array = np.atleast_1d(tensors.as_array([] if value is None else value))
        if array.size == 0:
            continue
        if array.dtype.kind in "iub":
            feature.int64_list.value.extend(array.ravel().tolist())
        elif array.dtype.kind == "f":
            feature.float_list.value.extend(array.ravel().tolist())
        elif array.dtype.kind in "SUO":
            items = array.ravel().tolist()
            feature.bytes_list.value.extend(
                [item.encode() if isinstance(item, str) else item for item in items]
            )
        else:
            raise ValueError(f"feature {name!r}: {array.dtype} fits no tf.Example feature")
    return example.SerializeToString()


def example_to_json(serialized: bytes) -> dict[str, Any]:
    """A serialized `tf.Example` as the JSON object that `:classify` and `:regress` take."""
    example = SERVING["Example"].FromString(serialized)
    return {name: _to_json(feature) for name, feature in example.features.feature.items()}


def _to_json(feature: Any) -> list[Any]:
    kind = feature.WhichOneof("kind")
    if kind is None:
        return []
    values = getattr(feature, kind).value
    if kind == "bytes_list":
        return [{"b64": base64.b64encode(value).decode("ascii")} for value in values]
    return list(values)
