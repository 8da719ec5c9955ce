"""`tf.Example`s in, labels and scores or one value out: the Classify and Regress methods."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from models.arrays import Array
from pipeline.client import tensors
from pipeline.serving.errors import invalid
from pipeline.serving.saved_model import ServedSignature

Classes = list[list[tuple[str, float]]]


def with_context(context: bytes, examples: Sequence[bytes]) -> list[bytes]:
    """Serialized examples, each with the context that all share.

    Raises:
      RequestError: INVALID_ARGUMENT, the context is too large to be repeated so often.
    """
    if len(context) * len(examples) > tensors.MAX_TEXT_BYTES:
        raise invalid(
            f"a context of {len(context)} bytes for {len(examples)} examples takes more than "
            f"{tensors.MAX_TEXT_BYTES} bytes: send it in parts"
        )
    # Concatenated serialized messages are the merged message.
    return [context + example for example in examples]


def example_inputs(
    signature: ServedSignature,
    examples: Sequence[bytes],
    fits: Callable[[Mapping[str, Sequence[int]]], object] = lambda shapes: None,
) -> dict[str, Array]:
    """The inputs of a signature that takes serialized `tf.Example`s.

    TensorFlow Serving asks for an input named `inputs`; here any single string input will do.

    Args:
      signature: that is asked.
      examples: serialized.
      fits: refuses shapes that ask for too much.

    Raises:
      RequestError: INVALID_ARGUMENT, it takes something else, or there is no example.
    """
    if len(signature.inputs) != 1 or signature.inputs[0].dtype != tensors.STRING:
        takes = ", ".join(f"{port.name} ({port})" for port in signature.inputs)
        raise invalid(f"signature {signature.name!r} does not take tf.Examples but {takes}")
    if not examples:
        raise invalid("Input is empty.")
    fits({signature.inputs[0].name: (len(examples),)})
    return {signature.inputs[0].name: np.fromiter(examples, object, len(examples))}


def classes(signature: ServedSignature, outputs: Mapping[str, Array], rows: int) -> Classes:
    """Labels and scores from a signature's outputs: `classes` and `scores` [n, k], or one float output as scores.

    Raises:
      RequestError: INVALID_ARGUMENT, the outputs are something else.
    """
    labels = outputs.get("classes")
    scores = outputs.get("scores")
    if labels is None and scores is None:
        scores = _only_float(signature, outputs, "classify")
    tables = [
        array.reshape(rows, -1) if array.ndim == 1 and len(array) == rows else array
        for array in (labels, scores)
        if array is not None
    ]
    if any(table.ndim != 2 or len(table) != rows for table in tables) or len({t.shape for t in tables}) > 1:
        raise invalid(f"signature {signature.name!r} does not classify: it gives {_ports(signature)}")
    names = (
        [[""] * tables[-1].shape[1]] * rows
        if labels is None
        else [[label.decode("utf-8", "replace") for label in row] for row in tables[0].tolist()]
    )
    values: Any = (np.zeros(tables[0].shape) if scores is None else tables[-1]).tolist()
    return [list(zip(row, value, strict=True)) for row, value in zip(names, values, strict=True)]


def regressions(signature: ServedSignature, outputs: Mapping[str, Array], rows: int) -> list[float]:
    """Values from a signature's `outputs`, or its only float output, [n] or [n, 1].

    Raises:
      RequestError: INVALID_ARGUMENT, the outputs are something else.
    """
    array = outputs.get("outputs")
    if array is None:
        array = _only_float(signature, outputs, "regress")
    if array.shape not in ((rows,), (rows, 1)) or array.dtype.kind != "f":
        raise invalid(f"signature {signature.name!r} does not regress: it gives {_ports(signature)}")
    return array.ravel().tolist()


def _ports(signature: ServedSignature) -> str:
    return ", ".join(f"{port.name} ({port})" for port in signature.outputs)


def _only_float(signature: ServedSignature, outputs: Mapping[str, Array], verb: str) -> Array:
    ports = signature.outputs
    if len(ports) != 1 or outputs[ports[0].name].dtype.kind != "f":
        raise invalid(f"signature {signature.name!r} does not {verb}: it gives {_ports(signature)}")
    return outputs[ports[0].name]
