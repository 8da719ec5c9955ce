"""NumPy arrays to and from the tensor message, in TensorFlow's encoding.

The functions take any message with the fields of `tensorflow.TensorProto`: the client's own and TensorFlow's.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

STRING = 7
DTYPES: dict[int, np.dtype[Any]] = {
    1: np.dtype("<f4"),
    2: np.dtype("<f8"),
    3: np.dtype("<i4"),
    4: np.dtype("u1"),
    5: np.dtype("<i2"),
    6: np.dtype("i1"),
    STRING: np.dtype(object),
    9: np.dtype("<i8"),
    10: np.dtype(bool),
    17: np.dtype("<u2"),
    19: np.dtype("<f2"),
    22: np.dtype("<u4"),
    23: np.dtype("<u8"),
}
_CODES = {dtype: code for code, dtype in DTYPES.items()}
_VALUE_FIELDS = {
    1: "float_val",
    2: "double_val",
    3: "int_val",
    4: "int_val",
    5: "int_val",
    6: "int_val",
    STRING: "string_val",
    9: "int64_val",
    10: "bool_val",
    17: "int_val",
    19: "half_val",
    22: "uint32_val",
    23: "uint64_val",
}
MAX_ELEMENTS = 1 << 24
MAX_RANK = 8
# Of one tensor's strings, once a last value that stands for many is repeated.
MAX_TEXT_BYTES = 64 << 20


def dtype_name(code: int) -> str:
    """A data type as people write it: `int64`, `float32`, `string`."""
    if code == STRING:
        return "string"
    return DTYPES[code].name if code in DTYPES else f"data type {code}"


def type_code(array: Array) -> int:
    """The data type's number in the protocol.

    Raises:
      ValueError: the protocol has no such type.
    """
    if array.dtype.kind in "SUO":
        return STRING
    code = _CODES.get(array.dtype.newbyteorder("<") if array.dtype.byteorder == ">" else array.dtype)
    if code is None:
        raise ValueError(f"a tensor of {array.dtype} cannot be sent; there are {', '.join(_type_names())}")
    return code


def _type_names() -> list[str]:
    return [dtype_name(code) for code in DTYPES]


def as_array(values: Any, code: int | None = None) -> Array:
    """Values as an array that can be sent.

    Args:
      values: an array, a list or a scalar; text is sent as UTF-8.
      code: the data type to convert to; by default that of the values, with Python's floats as float32.

    Raises:
      ValueError: the values do not fit the type, or are ragged.
    """
    array = np.asarray(values)
    if array.dtype.kind in "SU" and not isinstance(values, np.ndarray):
        # NumPy's own strings lose zero bytes at their end, which serialized messages may have.
        array = np.asarray(values, object)
    if code is not None and code != STRING:
        kind = DTYPES[code].kind
        if array.dtype.kind not in ("iub" if kind in "iu" else "iubf"):
            raise ValueError(f"expected {dtype_name(code)}, got {array.dtype}")
        converted = array.astype(DTYPES[code], copy=False)
        if kind in "iu" and not np.array_equal(converted, array):
            raise ValueError(f"a value does not fit {dtype_name(code)}")
        return converted
    if code == STRING and array.dtype.kind not in "SUO":
        raise ValueError(f"expected strings, got {array.dtype}")
    if array.dtype == np.float64 and not isinstance(values, (np.ndarray, np.generic)):
        return array.astype(np.float32)
    return array


def fill(message: Any, array: Array, code: int | None = None) -> None:
    """Writes an array into an empty tensor message.

    Args:
      message: the message.
      array: of a type that `type_code` knows.
      code: the data type's number, where the caller knows it.
    """
    message.dtype = type_code(array) if code is None else code
    for size in array.shape:
        message.tensor_shape.dim.add().size = size
    if message.dtype == STRING:
        flat = array.ravel().tolist()
        message.string_val.extend([item.encode() if isinstance(item, str) else item for item in flat])
    else:
        message.tensor_content = np.ascontiguousarray(array, DTYPES[message.dtype]).tobytes()


def shape_of(message: Any) -> list[int]:
    """The shape that a tensor message declares, whatever it holds.

    Raises:
      ValueError: it has none, or it is no shape.
    """
    if message.tensor_shape.unknown_rank:
        raise ValueError("the tensor has no shape")
    if len(message.tensor_shape.dim) > MAX_RANK:
        raise ValueError(
            f"the tensor has {len(message.tensor_shape.dim)} dimensions, and may have {MAX_RANK}"
        )
    shape = [dim.size for dim in message.tensor_shape.dim]
    if any(size < 0 for size in shape):
        raise ValueError(f"the shape {shape} has a negative size")
    return shape


def to_array(message: Any) -> Array:
    """The array in a tensor message; strings are an object array of bytes. Numbers may be read-only views.

    Raises:
      ValueError: the type is not known, or the values do not fill the shape.
    """
    dtype = DTYPES.get(message.dtype)
    if dtype is None:
        raise ValueError(
            f"{dtype_name(message.dtype)} is not supported; there are {', '.join(_type_names())}"
        )
    shape = shape_of(message)
    count = math.prod(shape)
    if message.tensor_content and message.dtype != STRING:
        if len(message.tensor_content) != count * dtype.itemsize:
            raise ValueError(f"{len(message.tensor_content)} bytes do not fill {dtype} of shape {shape}")
        return np.frombuffer(message.tensor_content, dtype).reshape(shape)
    return _from_list(message, dtype, count).reshape(shape)


def _from_list(message: Any, dtype: np.dtype[Any], count: int) -> Array:
    values = getattr(message, _VALUE_FIELDS[message.dtype])
    if len(values) > count or (count and not values) or count > MAX_ELEMENTS:
        raise ValueError(f"{len(values)} values do not fill a tensor of {count}")
    if message.dtype == 19:
        flat = np.array(values, np.uint16).view(np.float16)
    elif message.dtype == STRING:
        repeated = (count - len(values)) * len(values[-1]) if values else 0
        if repeated > MAX_TEXT_BYTES:
            raise ValueError(
                f"a string that is repeated takes {repeated} bytes, and may take {MAX_TEXT_BYTES}"
            )
        flat = np.fromiter(values, object, len(values))
    else:
        flat = np.array(values, dtype)
    if len(flat) < count:
        # The encoding may leave out repetitions of the last value.
        flat = np.concatenate([flat, np.full(count - len(flat), flat[-1], flat.dtype)])
    return flat
