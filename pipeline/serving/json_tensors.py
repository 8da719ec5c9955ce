"""JSON requests to tensors, and tensors to JSON answers, as TensorFlow Serving's REST interface defines them.

https://www.tensorflow.org/tfx/serving/api_rest: row format (`instances` to `predictions`), column format (`inputs`
to `outputs`), binary strings as `{"b64": ...}`, and the tokens NaN, Infinity and -Infinity among the numbers.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
import reprlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from models.arrays import Array
from pipeline.client import tensors
from pipeline.serving.errors import RequestError, invalid
from pipeline.serving.saved_model import Port, ServedSignature


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"the number {text:.20} is too large for a 64-bit float")
    return value


_DECODER = json.JSONDecoder()
# Slower, as it calls back for each number, and asked only where one looks as if it might be too large.
_STRICT_DECODER = json.JSONDecoder(parse_float=_finite)
_MAY_OVERFLOW = re.compile(r"[eE]\+?0*[0-9]{3}|[0-9]{300}")
_DEEPEST = 16
_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 80


def parse_body(body: bytes) -> dict[str, Any]:
    """The JSON object of a request.

    Raises:
      RequestError: INVALID_ARGUMENT, it is none.
    """
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise invalid(f"JSON Parse error: the body is not UTF-8 at offset: {error.start}") from error
    start = len(text) - len(text.lstrip(" \t\r\n"))
    if start == len(text):
        raise invalid("JSON Parse error: The document is empty")
    try:
        document, _ = _DECODER.raw_decode(text, start)
        if _MAY_OVERFLOW.search(text):
            _STRICT_DECODER.raw_decode(text, start)
    except json.JSONDecodeError as error:
        raise invalid(f"JSON Parse error: {error.msg} at offset: {error.pos}") from error
    except (RecursionError, ValueError) as error:
        raise invalid(f"JSON Parse error: {error}") from error
    if not isinstance(document, dict):
        raise invalid(f"JSON Value: {_show(document)} Is not object")
    return document


def signature_name(document: Mapping[str, Any]) -> str:
    """`signature_name` of a request; empty where there is none.

    Raises:
      RequestError: INVALID_ARGUMENT, it is not text.
    """
    name = document.get("signature_name", "")
    if not isinstance(name, str):
        raise invalid(
            f"JSON Value: {_show(document)} not formatted correctly. 'signature_name' key must be a string value."
        )
    return name


def is_row_format(document: Mapping[str, Any]) -> bool:
    """Whether a predict request has `instances`, rather than `inputs`.

    Raises:
      RequestError: INVALID_ARGUMENT, it has both or neither, or `instances` is not a list with elements.
    """
    rows, columns = "instances" in document, "inputs" in document
    if rows and columns:
        raise invalid(
            f"JSON Value: {_show(document)} Not formatted correctly expecting only one of 'inputs' or "
            "'instances' keys to exist"
        )
    if not rows and not columns:
        raise invalid("Missing 'inputs' or 'instances' key")
    if rows and not isinstance(document["instances"], list):
        raise invalid(f"JSON Value: {_show(document)} Expecting 'instances' to be an list/array")
    if rows and not document["instances"]:
        raise invalid(f"JSON Value: {_show(document)} No values in 'instances' array")
    return rows


def predict_inputs(
    document: Mapping[str, Any],
    signature: ServedSignature,
    fits: Callable[[Mapping[str, Sequence[int]]], object] = lambda shapes: None,
) -> dict[str, Array]:
    """The tensors of a predict request, in either format.

    Args:
      document: the request.
      signature: that is asked.
      fits: refuses shapes that ask for too much.

    Raises:
      RequestError: INVALID_ARGUMENT, naming the input.
    """
    if is_row_format(document):
        rows = document["instances"]
        fits({port.name: (len(rows),) for port in signature.inputs})
        columns = _columns_of_rows(rows, signature)
    else:
        columns = _columns(document["inputs"], signature)
    fits({port.name: _shape(columns[port.name]) for port in signature.inputs if port.name in columns})
    return {
        port.name: to_tensor(columns[port.name], port, signature.defaults.get(port.name))
        for port in signature.inputs
        if port.name in columns
    }


def _columns(inputs: Any, signature: ServedSignature) -> Mapping[str, Any]:
    if not isinstance(inputs, dict) or _is_base64(inputs):
        if len(signature.inputs) > 1:
            raise invalid(
                "inputs is a plain value/list, but expecting an object as multiple input tensors required: "
                + _names(signature)
            )
        return {signature.inputs[0].name: inputs}
    for port in signature.inputs:
        if port.name not in inputs and port.name not in signature.defaults:
            raise invalid(f"Missing named input: {port.name} in 'inputs' object.")
    if unknown := sorted(inputs.keys() - {port.name for port in signature.inputs}):
        raise invalid(f"Not an input: {', '.join(unknown)}. There are: {_names(signature)}")
    return {
        name: value for name, value in inputs.items() if value is not None or name not in signature.defaults
    }


def _columns_of_rows(rows: list[Any], signature: ServedSignature) -> Mapping[str, list[Any]]:
    if not _is_object(rows[0]):
        if len(signature.inputs) > 1:
            raise invalid(
                "instances is a plain list, but expecting list of objects as multiple input tensors required: "
                + _names(signature)
            )
        for number, row in enumerate(rows):
            if _is_object(row):
                raise invalid(f"Expecting value/list but got object at item {number} of input list")
        return {signature.inputs[0].name: rows}
    names = {port.name for port in signature.inputs}
    optional = {
        name: _element(value) for name, value in signature.defaults.items() if value.shape[:1] == (1,)
    }
    for number, row in enumerate(rows):
        if not _is_object(row):
            raise invalid(f"Expecting object but got list at item {number} of input list")
        lacking, foreign = sorted(names - row.keys() - optional.keys()), sorted(row.keys() - names)
        if lacking or foreign:
            what = (
                f"lacks {', '.join(lacking)}" if lacking else f"has {', '.join(foreign)}, which is no input"
            )
            raise invalid(
                f"Failed to process element: {number} of 'instances' list. JSON object: {_show(row)} {what}; the "
                f"inputs of signature {signature.name!r} are {_names(signature)}"
            )
    given = set().union(*rows)
    return {
        name: [optional.get(name) if row.get(name) is None else row[name] for row in rows]
        for name in names
        if name in given
    }


def _element(default: Array) -> Any:
    """The value of an input that one row leaves out, in JSON."""
    if default.dtype != object:
        return default[0].tolist()
    encoded = np.empty(default[0:1].size, object)
    encoded[:] = [{"b64": base64.b64encode(item).decode("ascii")} for item in default.ravel().tolist()]
    return encoded.reshape(default.shape)[0].tolist() if default.ndim > 1 else encoded[0]


def _names(signature: ServedSignature) -> str:
    return ",".join(sorted(port.name for port in signature.inputs))


def _is_object(value: Any) -> bool:
    return isinstance(value, dict) and not _is_base64(value)


def _is_base64(value: Any) -> bool:
    return isinstance(value, dict) and len(value) == 1 and isinstance(value.get("b64"), str)


def to_tensor(value: Any, port: Port, default: Array | None = None) -> Array:
    """A nested JSON list as an array of an input's type.

    Args:
      value: the list.
      port: the input.
      default: of the input, whose first value stands for `null`; `None`: the input has none, and takes no `null`.

    Raises:
      RequestError: INVALID_ARGUMENT, naming the input: an element has another type, or the list is ragged.
    """
    try:
        shape = _shape(value)
        flat = _flatten(value, shape)
        if default is not None and None in flat:
            missing = default.ravel()[0] if default.dtype == object else default.ravel()[0].item()
            flat = [missing if item is None else item for item in flat]
        if None in flat:
            raise invalid(
                "a row has null, which stands for a missing value, and every row needs a value of this one"
            )
        return _convert(flat, port.dtype).reshape(shape)
    except RequestError as error:
        raise invalid(f"input {port.name!r}: {error.message}") from error


def _shape(value: Any) -> list[int]:
    """The shape of a nested list, going by the first element of each level."""
    shape: list[int] = []
    while isinstance(value, list) and len(shape) < _DEEPEST:
        shape.append(len(value))
        value = value[0] if value else None
    return shape


def _flatten(value: Any, shape: Sequence[int]) -> list[Any]:
    if not shape:
        return [value]
    level: list[Any] = value
    for depth, size in enumerate(shape[1:], 1):
        if any(not isinstance(part, list) or len(part) != size for part in level):
            odd = next(part for part in level if not isinstance(part, list) or len(part) != size)
            raise invalid(
                f"JSON Value: {_show(odd)} at level {depth}: expected a list of {size}, as the first one is"
            )
        level = [item for part in level for item in part]
    return level


def _convert(flat: list[Any], code: int) -> Array:
    types = set(map(type, flat))
    dtype = tensors.DTYPES.get(code)
    if dtype is None:
        raise invalid(f"{tensors.dtype_name(code)} cannot be written in JSON")
    if code == tensors.STRING:
        if types - {str, bytes}:
            flat = [item if isinstance(item, (str, bytes)) else _from_base64(item) for item in flat]
        try:
            return np.fromiter((i.encode() if isinstance(i, str) else i for i in flat), object, len(flat))
        except UnicodeEncodeError as error:
            raise invalid("a JSON string has half of a surrogate pair, which is no UTF-8") from error
    # True and false are 1 and 0, as where a log has them in a column of numbers.
    kinds: dict[str, set[type]] = {"f": {int, float, bool}, "b": {bool}}
    wanted = kinds.get(dtype.kind, {int, bool})
    if not types <= wanted:
        odd = next(item for item in flat if type(item) not in wanted)
        raise invalid(
            f"JSON Value: {_show(odd)} Type: {_type_name(odd)} is not of expected type: {tensors.dtype_name(code)}"
        )
    if (
        dtype.kind in "iu"
        and flat
        and not np.iinfo(dtype).min <= min(flat) <= max(flat) <= np.iinfo(dtype).max
    ):
        raise invalid(f"a JSON value does not fit {tensors.dtype_name(code)}")
    try:
        with np.errstate(over="ignore"):
            array = np.array(flat, dtype)
    except OverflowError as error:
        raise invalid(f"a JSON value does not fit {tensors.dtype_name(code)}") from error
    if (
        dtype.kind == "f"
        and np.isinf(array).any()
        and np.isfinite(np.array(flat, np.float64)[np.isinf(array)]).any()
    ):
        raise invalid(f"a JSON value does not fit {tensors.dtype_name(code)}")
    return array


def _from_base64(item: Any) -> bytes:
    if not _is_base64(item):
        hint = f"; write {json.dumps(json.dumps(item))}" if isinstance(item, (bool, int)) else ""
        raise invalid(
            f"JSON Value: {_show(item)} Type: {_type_name(item)} is not of expected type: string{hint}"
        )
    try:
        return base64.b64decode(item["b64"], validate=True)
    except (binascii.Error, ValueError) as error:
        raise invalid(f"JSON Value: {_show(item)} Unable to base64 decode") from error


def _type_name(value: Any) -> str:
    if value is None:
        return "Null"
    names = {bool: "Boolean", int: "Number", float: "Number", str: "String", list: "Array", dict: "Object"}
    return names[type(value)]


def _show(value: Any) -> str:
    # Shortened on the way: the value may be as large as the request.
    return _SHORT.repr(value)
