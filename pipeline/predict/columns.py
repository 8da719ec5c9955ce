"""Rows as the tensors that a signature takes.

A value that is missing - no such column, an empty cell, `null`, in a number also what logs write for it (`NA`) - is
sent as the exported models understand it: NaN for a float, the empty string for text, -1 for an integer. Values are
read as training reads them (`components.dataset.values`): what is no number there is none here.
"""

from __future__ import annotations

import datetime
import decimal
import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from components.dataset.input_names import LIST_SEPARATOR, input_name
from components.dataset.values import MISSING_NUMBERS, ZERO_FRACTION
from components.errors import InputError
from pipeline.client import tensors
from pipeline.client.client import Signature, TensorSpec
from pipeline.predict.rows import Chunk

_ZEROS_AT_THE_END = re.compile(r"\.?0+$")
_LARGEST_FLOAT = float(np.finfo(np.float32).max)
_TRUE, _FALSE = {"1", "true", "yes"}, {"0", "false", "no"}


def check_signature(name: str, signature: Signature) -> None:
    """Checks that a signature takes one value per row and input.

    Raises:
      InputError: it takes something else.
    """
    for key, spec in signature.inputs.items():
        if spec.shape is None or len(spec.shape) != 1:
            raise InputError(
                f"signature {name!r} takes {key!r} in the shape {spec.shape}, not one value per row; "
                "ask it with the Python client, curl or grpcurl (docs/serving.md)"
            )


def to_inputs(chunk: Chunk, inputs: Mapping[str, TensorSpec], source: str) -> dict[str, np.ndarray]:
    """The tensors (rows,) of a signature.

    Args:
      chunk: rows; columns that are no inputs are passed over.
      inputs: of the signature.
      source: the file's name, for errors.

    Raises:
      InputError: a value is not of the input's type; with file, line and column.
    """
    return {name: _column(chunk, name, spec.dtype, source) for name, spec in inputs.items()}


def _column(chunk: Chunk, name: str, code: int, source: str) -> np.ndarray:
    dtype = tensors.DTYPES[code]
    read = _READERS["i" if dtype.kind == "u" else dtype.kind]
    values = []
    source_column = column_of(chunk, name)
    for row, place in zip(chunk.rows, chunk.places, strict=True):
        value = row.get(source_column)
        try:
            values.append(read(value))
        except (ValueError, TypeError, OverflowError) as error:
            raise InputError(
                f"{source}, {place}, column {name!r}: expected {tensors.dtype_name(code)}, got {value!r:.60}"
            ) from error
    if dtype.kind == "O":
        return np.fromiter(values, object, len(values))
    try:
        return np.array(values, dtype)
    except OverflowError as error:
        raise InputError(
            f"{source}, {chunk.places[0]} and after, column {name!r}: a value does not fit {tensors.dtype_name(code)}"
        ) from error


def column_of(chunk: Chunk, name: str) -> str:
    """The column that an input is called after: `Price` may stand for `Price ($)`."""
    if any(name in row for row in chunk.rows):
        return name
    columns = dict.fromkeys(column for row in chunk.rows for column in row)
    return next((column for column in columns if input_name(column) == name), name)


def number_of(value: Any) -> Any:
    """A text as a number, any other value as it is; whole ones, `7.0` too, with all their digits.

    Raises:
      ValueError: the text is no number.
    """
    if not isinstance(value, str):
        return value
    value = value.strip()
    if "_" in value or not value.isascii():
        # Python's numbers may have them, those of a log not.
        raise ValueError(value)
    try:
        # Not through a float, which merges ids of more than 15 digits.
        return int(re.sub(ZERO_FRACTION, "", value))
    except ValueError:
        return float(value)


def _is_missing(value: Any) -> bool:
    return value is None or value == "" or (isinstance(value, float) and math.isnan(value))


def _is_no_number(value: Any) -> bool:
    return _is_missing(value) or (isinstance(value, str) and value.strip().lower() in MISSING_NUMBERS)


def _integer(value: Any) -> int:
    if _is_no_number(value):
        return -1
    value = number_of(value)
    number = int(value)
    if number != value:
        raise ValueError(value)
    return number


def _float(value: Any) -> float:
    if _is_no_number(value):
        return math.nan
    number = float(number_of(value))
    if abs(number) > _LARGEST_FLOAT:
        raise ValueError(value)
    return number


def text_of(value: Any) -> str:
    """A single value as the text that training reads it as: `true`, and `7` for the decimal 7.00."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, decimal.Decimal):
        digits = format(value, "f")
        return _ZEROS_AT_THE_END.sub("", digits) if "." in digits else digits
    if isinstance(value, datetime.datetime):
        return value.isoformat(" ", "microseconds")
    return str(value)


def _text(value: Any) -> bytes:
    if _is_missing(value):
        return b""
    if isinstance(value, bytes):
        return value
    if isinstance(value, (list, tuple)):
        return LIST_SEPARATOR.encode().join(_text(item) for item in value)
    if isinstance(value, dict):
        raise TypeError(value)
    return text_of(value).encode()


def _boolean(value: Any) -> bool:
    if _is_missing(value):
        return False
    text = str(value).lower()
    if text not in _TRUE | _FALSE:
        raise ValueError(value)
    return text in _TRUE


_READERS: dict[str, Any] = {"i": _integer, "f": _float, "O": _text, "b": _boolean}
