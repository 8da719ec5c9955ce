"""Rows as serialized `tf.Example`s, the same bytes for the same rows: features in the order of their names.

Protobuf writes the features of an example, a map, in an order that differs from process to process. Here the wire
format is put together column by column with NumPy and Arrow, which also is faster than a message a row.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from models.arrays import Array

# Fields of length-delimited messages: their number, and 2 for "a length and so many bytes follow".
_FIRST, _SECOND, _THIRD = b"\x0a", b"\x12", b"\x1a"
_VARINT_BITS = 7
_MOST_VARINT_BYTES = 10

Ragged = tuple[Array, Array]
"""Bytes end to end, uint8; and where each piece begins, and the last one ends, int64 (n + 1,)."""


def serialize(columns: Mapping[str, pa.Array]) -> pa.Array:
    """Serialized `tf.Example`s of rows.

    Args:
      columns: lists of integer, float32 or binary values by name, all of the same length; in a row that is null the
        feature is absent. At least one has values.

    Returns:
      `large_binary`, one value a row.

    Raises:
      ValueError: a column holds values of another type.
    """
    parts: list[Any] = []
    for name in sorted(columns):
        if not pa.types.is_null(columns[name].type.value_type):
            parts += _entry(name, columns[name])
    features = pc.binary_join_element_wise(*parts, pa.scalar(b"", pa.large_binary()))
    lengths = pc.binary_length(features).to_numpy(zero_copy_only=False)
    present = np.ones(len(lengths), bool)
    return pc.binary_join_element_wise(
        _headers(lengths, present, lambda length: _FIRST + _varint(length)),
        features,
        pa.scalar(b"", pa.large_binary()),
    )


def _entry(name: str, column: pa.Array) -> list[pa.Array]:
    """What stands before the values of a column in each row, and the values; both empty where the row is null."""
    present = column.is_valid().to_numpy(zero_copy_only=False)
    flat, offsets = list_values(column)
    kind = flat.type
    if pa.types.is_float32(kind):
        tag, packed, values = _SECOND, True, _floats(flat)
    elif pa.types.is_integer(kind):
        tag, packed, values = _THIRD, True, _varints(flat.to_numpy(zero_copy_only=False))
    elif pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        tag, packed, values = _FIRST, False, _texts(flat)
    else:
        raise ValueError(f"{name}: {kind} is neither an integer, nor float32, nor binary")
    data, ends = values
    rows = ends[offsets]
    lengths = np.diff(rows)
    key = _FIRST + _varint(len(name.encode())) + name.encode()

    def header(length: int) -> bytes:
        # Packed numbers have a tag and a length of their own, where there are any.
        inner = _FIRST + _varint(length) if packed and length else b""
        listed = tag + _varint(len(inner) + length) + inner
        feature = _SECOND + _varint(len(listed) + length) + listed
        return _FIRST + _varint(len(key) + len(feature) + length) + key + feature

    return [_headers(lengths, present, header), _binary(data, rows)]


def list_values(column: pa.Array) -> tuple[pa.Array, Array]:
    """The values of a column of lists end to end, and where each row's begin, and the last ones end, int64 (n + 1,).

    Arrow lets a row that is null have values behind it, which are none of the column's.

    >>> column = pa.ListArray.from_buffers(
    ...     pa.list_(pa.int64()), 2, [pa.py_buffer(b"\\x02"), pa.py_buffer(np.array([0, 2, 3], np.int32))],
    ...     children=[pa.array([7, 8, 9])],
    ... )
    >>> [part.tolist() for part in list_values(column)]
    [[9], [0, 0, 1]]
    """
    offsets = column.offsets.to_numpy().astype(np.int64)
    flat = column.values.slice(offsets[0], offsets[-1] - offsets[0])
    offsets = offsets - offsets[0]
    if column.null_count:
        lengths, present = np.diff(offsets), column.is_valid().to_numpy(zero_copy_only=False)
        if lengths[~present].any():
            flat = flat.filter(pa.array(np.repeat(present, lengths)))
            offsets = np.append(0, np.cumsum(np.where(present, lengths, 0)))
    return flat, offsets


def _headers(lengths: Array, present: Array, header: Any) -> pa.Array:
    """`header(length)` of each row, empty where it is not present; there are few different lengths."""
    distinct, member = np.unique(np.where(present, lengths, -1), return_inverse=True)
    known = [header(length) if length >= 0 else b"" for length in distinct.tolist()]
    return pa.array(known, pa.large_binary()).take(pa.array(member.reshape(-1)))


def _binary(data: Array, offsets: Array) -> pa.Array:
    buffers = [None, pa.py_buffer(np.ascontiguousarray(offsets)), pa.py_buffer(np.ascontiguousarray(data))]
    return pa.LargeBinaryArray.from_buffers(pa.large_binary(), len(offsets) - 1, buffers)


def _floats(values: pa.Array) -> Ragged:
    found = np.ascontiguousarray(values.to_numpy(zero_copy_only=False), "<f4")
    return found.view(np.uint8), np.arange(len(found) + 1, dtype=np.int64) * 4


def _varints(values: Array) -> Ragged:
    """Base 128 with the lowest bits first; a negative number takes ten bytes."""
    rest = values.astype(np.int64).view(np.uint64)
    groups, used = np.zeros((len(rest), _MOST_VARINT_BYTES), np.uint8), np.ones(len(rest), np.int64)
    width = 1
    for place in range(_MOST_VARINT_BYTES):
        groups[:, place] = (rest & np.uint64(0x7F)).astype(np.uint8)
        rest = rest >> np.uint64(_VARINT_BITS)
        more = rest > 0
        if not more.any():
            break
        groups[more, place] |= 0x80
        used += more
        width = place + 2
    kept = np.arange(width)[None] < used[:, None]
    return groups[:, :width][kept], np.concatenate([np.zeros(1, np.int64), np.cumsum(used)])


def _texts(values: pa.Array) -> Ragged:
    """Each text with its tag and length."""
    lengths = pc.binary_length(values).to_numpy(zero_copy_only=False).astype(np.int64)
    header = _headers(lengths, np.ones(len(lengths), bool), lambda length: _FIRST + _varint(length))
    joined = pc.binary_join_element_wise(
        header, values.cast(pa.large_binary()), pa.scalar(b"", pa.large_binary())
    )
    offsets = np.frombuffer(joined.buffers()[1], np.int64, len(joined) + 1, joined.offset * 8)
    data = np.frombuffer(joined.buffers()[2] or b"", np.uint8)
    return data[offsets[0] : offsets[-1]], offsets - offsets[0]


def _varint(number: int) -> bytes:
    groups = bytearray()
    while number > 0x7F:
        groups.append(number & 0x7F | 0x80)
        number >>= _VARINT_BITS
    groups.append(number)
    return bytes(groups)
