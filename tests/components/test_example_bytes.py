"""Serialized examples: protobuf reads back what went in, and the bytes do not depend on the process."""

from __future__ import annotations

import struct
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from components.example_bytes import serialize
from components.example_gen.encode import batches

INTEGERS = st.integers(-(2**63), 2**63 - 1) | st.integers(-3, 300)
FLOATS = st.floats(width=32, allow_nan=False)
LISTS = {
    "int": (pa.int64(), INTEGERS),
    "float": (pa.float32(), FLOATS),
    "text": (pa.large_binary(), st.binary(max_size=200)),
}


@st.composite
def tables(draw: st.DrawFn) -> dict[str, tuple[str, list[list[Any] | None]]]:
    """Columns by name: a kind and, for each row, a list of values or `None`."""
    rows = draw(st.integers(1, 6))
    names = draw(st.lists(st.text("abé_1", min_size=1, max_size=9), min_size=1, max_size=5, unique=True))
    table = {}
    for name in names:
        kind = draw(st.sampled_from(sorted(LISTS)))
        values = st.none() | st.lists(LISTS[kind][1], max_size=4)
        table[name] = kind, draw(st.lists(values, min_size=rows, max_size=rows))
    return table


def read(record: bytes) -> dict[str, list[Any]]:
    features = tf.train.Example.FromString(record).features.feature
    return {
        name: list(getattr(value, str(value.WhichOneof("kind"))).value) for name, value in features.items()
    }


@given(tables())
def test_protobuf_reads_what_went_in(table: dict[str, tuple[str, list[list[Any] | None]]]) -> None:
    columns = {name: pa.array(rows, pa.large_list(LISTS[kind][0])) for name, (kind, rows) in table.items()}
    records = serialize(columns).to_pylist()
    for number, record in enumerate(records):
        rows = {name: rows[number] for name, (_, rows) in table.items()}
        assert read(record) == {name: values for name, values in rows.items() if values is not None}


def test_bytes_by_hand() -> None:
    columns = {
        "b": pa.array([[300]], pa.large_list(pa.int64())),
        "a": pa.array([[1.5]], pa.large_list(pa.float32())),
    }
    first = b"\x0a\x0d" + b"\x0a\x01a" + b"\x12\x08" + b"\x12\x06\x0a\x04" + struct.pack("<f", 1.5)
    second = b"\x0a\x0b" + b"\x0a\x01b" + b"\x12\x06" + b"\x1a\x04\x0a\x02" + b"\xac\x02"
    assert serialize(columns).to_pylist() == [b"\x0a" + bytes([len(first + second)]) + first + second]


def test_a_part_of_a_longer_column() -> None:
    column = pa.array([["no"], ["x", "yz"], None, [], ["no"]], pa.large_list(pa.large_binary()))
    records = serialize({"a": column.slice(1, 3)}).to_pylist()
    assert [read(record) for record in records] == [{"a": [b"x", b"yz"]}, {}, {"a": []}]


def test_other_types_are_refused() -> None:
    with pytest.raises(ValueError, match="a: double is neither"):
        serialize({"a": pa.array([[1.0]], pa.large_list(pa.float64()))})


def test_values_behind_a_row_without_any_are_none() -> None:
    """As Polars leaves them where a row's list has been taken away."""
    whole = pa.array([[b"x", b"y"], [b"z"], []], pa.large_list(pa.large_binary()))
    validity = pa.py_buffer(b"\x06")
    behind = pa.Array.from_buffers(whole.type, 3, [validity, whole.buffers()[1]], children=[whole.values])
    assert behind.to_pylist() == [None, [b"z"], []]
    found = [tf.train.Example.FromString(record) for record in serialize({"tags": behind}).to_pylist()]
    assert [list(one.features.feature["tags"].bytes_list.value) for one in found] == [[], [b"z"], []]
    [batch] = batches(pl.DataFrame({"tags": pl.from_arrow(behind.cast(pa.large_list(pa.large_string())))}))
    assert batch.column(0).to_pylist() == [None, [b"z"], []]
    assert batch.column(0).values.to_pylist() == [b"z"]
