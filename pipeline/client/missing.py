"""Requests that leave features out.

The exported models take NaN for a float without a value, the empty string for text, and -1 for an integer. A server
puts these in for optional inputs that a request leaves out, but not every server in every case: TensorFlow Serving's
REST interface wants all inputs, and its batching wants as many rows of each. A complete request is always taken.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pipeline.client import tensors
from pipeline.client.client import Signature
from pipeline.client.tensors import Array


def with_missing(inputs: Mapping[str, Any], signature: Signature) -> dict[str, Array]:
    """The inputs, and what stands for "no value" for those of the signature that are not among them.

    Args:
      inputs: arrays or lists by name, one value per row.
      signature: from `ServingClient.metadata`.

    Returns:
      Arrays of the signature's types; those added have as many rows as the longest one given, and one value in each
      further dimension.

    Raises:
      ValueError: an input is not one of the signature's, or does not fit its type.
    """
    unknown = sorted(inputs.keys() - signature.inputs.keys())
    if unknown:
        raise ValueError(f"not inputs: {', '.join(unknown)}; there are {', '.join(sorted(signature.inputs))}")
    arrays = {name: tensors.as_array(values, signature.inputs[name].dtype) for name, values in inputs.items()}
    rows = max((len(array) for array in arrays.values() if array.ndim), default=1)
    for name, spec in signature.inputs.items():
        if name not in arrays:
            dtype = tensors.DTYPES[spec.dtype]
            value: Any = {"f": np.nan, "O": b"", "i": -1}.get(dtype.kind, 0)
            arrays[name] = np.full((rows, *[1] * (len(spec.shape or (-1,)) - 1)), value, dtype)
    return arrays
