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
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias, TypeGuard

import numpy as np
import polars as pl

from components.dataset.input_names import LIST_SEPARATOR, input_name
from components.dataset.json_lines import text_of_json
from components.dataset.names import WRITTEN, Written, is_date
from components.dataset.sections import ColumnType
from components.dataset.values import Typed, to_type
from components.errors import InputError
from models.arrays import Array
from pipeline.client import tensors
from pipeline.client.client import Signature, TensorSpec
from pipeline.predict.rows import AsWritten, Chunk, RowError

_ZEROS_AT_THE_END = re.compile(r"\.?0+$")
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


def to_inputs(
    chunk: Chunk, inputs: Mapping[str, TensorSpec], source: str, written: Mapping[str, Written] | None = None
) -> dict[str, Array]:
    """The tensors (rows,) of a signature.

    Args:
      chunk: rows; columns that are no inputs are passed over.
      inputs: of the signature.
      source: the file's name, for errors.
      written: how the texts of floats are written, by input; plainly where it is not said.

    Raises:
      RowError: a value is not of the input's type; with file, line and column.
    """
    writings = written or {}
    return {
        name: _column(chunk, name, spec.dtype, source, writings.get(name, "plain"))
        for name, spec in inputs.items()
    }


def _column(chunk: Chunk, name: str, code: int, source: str, written: Written) -> Array:
    dtype = tensors.DTYPES[code]
    source_column = column_of(chunk, name)
    given = [row.get(source_column) for row in chunk.rows]
    reader = _READERS["i" if dtype.kind == "u" else dtype.kind]
    if dtype.kind == "f" and written != "plain":
        reader = _numbers("float", math.nan, written)
    values, wrong = reader(given)
    if dtype.kind in "iu" and wrong is None:
        limits = np.iinfo(dtype)
        wrong = next((i for i, value in enumerate(values) if not limits.min <= value <= limits.max), None)
    if wrong is not None:
        value = given[wrong]
        hint = unread_hint(name, value, is_float=dtype.kind == "f")
        reason = f"expected {tensors.dtype_name(code)}, got {value!r:.60}{hint}"
        raise RowError(source, f"{chunk.places[wrong]}, column {name!r}", reason, wrong)
    return np.fromiter(values, object, len(values)) if dtype.kind == "O" else np.array(values, dtype)


def column_of(chunk: Chunk, name: str) -> str:
    """The column that an input is called after: `Price` may stand for `Price ($)`."""
    if any(name in row for row in chunk.rows):
        return name
    columns = dict.fromkeys(column for row in chunk.rows for column in row)
    return next((column for column in columns if input_name(column) == name), name)


def written_by_input(
    asked: Sequence[str], inputs: Mapping[str, TensorSpec], noted: Mapping[str, str]
) -> dict[str, Written]:
    """How the texts of each float are written.

    Args:
      asked: `comma` for all of them, `COLUMN=comma` for one, which goes before.
      inputs: of the signature.
      noted: by input, of the model; what is asked goes before.

    Raises:
      InputError: one is no writing, or of a column that is no float among the inputs.
    """
    floats = [name for name, spec in inputs.items() if tensors.DTYPES[spec.dtype].kind == "f"]
    found = {name: noted[name] for name in floats if name in noted}
    for text in sorted(asked, key=lambda text: "=" in text):
        column, _, way = text.rpartition("=")
        if way not in WRITTEN:
            raise InputError(f"--written {text}: expected {', '.join(WRITTEN)}, or COLUMN= and one of them")
        if column and input_name(column) not in floats:
            known = f"the floats are {', '.join(floats)}" if floats else "the model takes none"
            raise InputError(f"--written {text}: {column} is no float among the model's inputs; {known}")
        found |= dict.fromkeys([input_name(column)] if column else floats, way)
    return {name: way for name, way in found.items() if _is_writing(way)}


def _is_writing(text: str) -> TypeGuard[Written]:
    return text in WRITTEN


def unread_hint(name: str, value: Any, *, is_float: bool) -> str:
    """What to do about a value that is not of its input's type: say in which writing it is a number, or empty it."""
    fitting = []
    if is_float and isinstance(value, str):
        fitting = [way for way in WRITTEN if not numbers([value], "float", way).bad.any()]
    if not fitting:
        return "; mend it, or leave it empty: an empty value is a missing one"
    return f"; {' or '.join(f'--written {name}={way}' for way in fitting)} reads it"


def numbers(values: Sequence[Any], kind: ColumnType, written: Written = "plain") -> Typed:
    """Values as numbers, by the reading that training has: each is written as a log would have it, then read.

    Args:
      values: texts, numbers of JSON or Parquet; None for none.
      kind: int or float.
      written: how the texts are written.
    """
    text = pl.Series([_as_in_a_log(value) for value in values], dtype=pl.String)
    typed = to_type(text, kind, written=written)
    if written == "plain" or is_date(written):
        return typed
    # A number of JSON or Parquet has no writing of its own.
    plain = to_type(text, kind)
    is_text = pl.Series([isinstance(value, str) for value in values], dtype=pl.Boolean)
    return Typed(typed.values.zip_with(is_text, plain.values), typed.bad.zip_with(is_text, plain.bad))


def _as_in_a_log(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, (bool, np.bool_)):
        return str(int(value))
    if isinstance(value, (list, tuple, dict, bytes)):
        return "no number"
    return text_of(value)


def _is_missing(value: Any) -> bool:
    return value is None or value == "" or (isinstance(value, float) and math.isnan(value))


def _numbers(kind: ColumnType, missing: float, written: Written = "plain") -> Reader:
    def read(values: Sequence[Any]) -> tuple[list[Any], int | None]:
        typed = numbers(values, kind, written)
        return typed.values.fill_null(missing).to_list(), typed.bad.arg_max() if typed.bad.any() else None

    return read


def text_of(value: Any) -> str:
    """A single value as the text that training reads it as: `true`, and `7` for the decimal 7.00."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, AsWritten):
        return value.text
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
        return b"".join(_text(item) + LIST_SEPARATOR.encode() for item in value)
    if isinstance(value, dict):
        return text_of_json(_with_texts(value)).encode()
    return text_of(value).encode()


def _with_texts(value: Any) -> Any:
    """An object of JSON with its numbers as texts, as training has it."""
    if isinstance(value, dict):
        return {name: _with_texts(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_with_texts(item) for item in value]
    return value if value is None or isinstance(value, (bool, str)) else text_of(value)


def _boolean(value: Any) -> bool:
    if _is_missing(value):
        return False
    text = str(value).lower()
    if text not in _TRUE | _FALSE:
        raise ValueError(value)
    return text in _TRUE


def _one_by_one(convert: Callable[[Any], Any]) -> Reader:
    def read(values: Sequence[Any]) -> tuple[list[Any], int | None]:
        found = []
        for i, value in enumerate(values):
            try:
                found.append(convert(value))
            except (ValueError, TypeError):
                return found, i
        return found, None

    return read


# From values to what is sent, and the first that is of another type.
Reader: TypeAlias = Callable[[Sequence[Any]], tuple[list[Any], int | None]]
_READERS: dict[str, Reader] = {
    "i": _numbers("int", -1),
    "f": _numbers("float", math.nan),
    "O": _one_by_one(_text),
    "b": _one_by_one(_boolean),
}
