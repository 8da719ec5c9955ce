"""JSON answers of the REST interface."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from models.arrays import Array
from pipeline.serving.errors import invalid
from pipeline.serving.saved_model import ServedSignature
from pipeline.serving.versions import VersionState


def dumps(document: Any) -> bytes:
    """JSON with NaN, Infinity and -Infinity as tokens, as TensorFlow Serving writes them."""
    return json.dumps(document, separators=(", ", ": ")).encode()


def error(message: str) -> bytes:
    """The answer to a request that failed."""
    return dumps({"error": message})


def predictions(signature: ServedSignature, outputs: Mapping[str, Array], rows: bool) -> bytes:
    """The answer to a predict request.

    Args:
      signature: that was asked.
      outputs: what it gave.
      rows: in row format, one element per row; else in column format.

    Raises:
      RequestError: INVALID_ARGUMENT, in row format, where outputs have no rows or not the same number.
    """
    columns = {port.name: _values(port.name, outputs[port.name]) for port in signature.outputs}
    if not rows:
        return dumps({"outputs": next(iter(columns.values())) if len(columns) == 1 else columns})
    sizes = {name: len(array) if array.ndim else -1 for name, array in outputs.items()}
    if -1 in sizes.values() or len(set(sizes.values())) > 1:
        raise invalid(
            f"the outputs of signature {signature.name!r} do not have the same number of rows: "
            f"{', '.join(f'{name} {list(outputs[name].shape)}' for name in sizes)}; ask in column format"
        )
    if len(columns) == 1:
        return dumps({"predictions": next(iter(columns.values()))})
    return dumps(
        {"predictions": [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]}
    )


def _values(name: str, array: Array) -> Any:
    if array.dtype == np.float32 or array.dtype == np.float16:
        # The shortest decimal that gives the same float32 back, not the digits of its float64 neighbour.
        return array.astype("U32").astype(np.float64).tolist()
    if array.dtype.kind != "O":
        return array.tolist()
    binary = name.endswith("_bytes")
    texts = np.empty(array.size, object)
    texts[:] = [_text(item, binary) for item in array.ravel()]
    return texts.reshape(array.shape).tolist()


def _text(item: bytes, binary: bool) -> Any:
    if not binary:
        try:
            return item.decode("utf-8")
        except UnicodeDecodeError:
            binary = True
    return {"b64": base64.b64encode(item).decode("ascii")}


def states(versions: Mapping[int, VersionState]) -> bytes:
    """The answer to a status request."""
    return dumps(
        {
            "model_version_status": [
                {
                    "version": str(version),
                    "state": state.state,
                    "status": {"error_code": state.code.name, "error_message": state.message},
                }
                for version, state in versions.items()
            ]
        }
    )


def classifications(rows: Sequence[Sequence[tuple[str, float]]]) -> bytes:
    """The answer to a classify request: `[label, score]` pairs per example."""
    return dumps({"results": [[[label, _float32(score)] for label, score in row] for row in rows]})


def regressions(values: Sequence[float]) -> bytes:
    """The answer to a regress request: one number per example."""
    return dumps({"results": [_float32(value) for value in values]})


def _float32(value: float) -> float:
    return float(str(np.float32(value)))
