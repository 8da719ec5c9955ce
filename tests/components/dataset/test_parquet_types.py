"""Parquet's own types: every digit and every difference is kept, what cannot be a value is refused by name."""

from __future__ import annotations

import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.dataset.blocks import read_all
from components.dataset.files import find_files
from components.dataset.parquet_types import require_usable
from components.dataset.sections import Impressions
from components.dataset.times import to_local_ms
from components.errors import InputError


def test_row_groups_of_one_row_are_read_together(tmp_path: Path) -> None:
    """Each has a dictionary of its own; the values are the same, in as few blocks as rows need."""
    words = [f"w{n % 7}" for n in range(300)]
    column = pa.array(words).dictionary_encode()
    pq.write_table(pa.table({"x": column, "n": list(range(300))}), tmp_path / "log.parquet", row_group_size=1)
    [file] = find_files(str(tmp_path), Impressions(files=["log.parquet"]))
    [block] = read_all(file)
    assert block.frame["x"].to_list() == words
    assert block.frame["n"].to_list() == list(range(300))
    assert (block.count, block.lines.tolist()) == (300, list(range(300)))


def test_lists_of_dictionaries_in_small_row_groups(tmp_path: Path) -> None:
    kind = pa.list_(pa.dictionary(pa.int32(), pa.string()))
    column = pa.array([["a", "b"], ["b"], [], ["c"]], kind)
    pq.write_table(pa.table({"x": column}), tmp_path / "log.parquet", row_group_size=1)
    [file] = find_files(str(tmp_path), Impressions(files=["log.parquet"]))
    found = [value for block in read_all(file) for value in block.frame["x"].to_list()]
    assert found == [["a", "b"], ["b"], [], ["c"]]


def written(folder: Path, column: pa.Array) -> Any:
    pq.write_table(pa.table({"x": column}), folder / "log.parquet")
    [file] = find_files(str(folder), Impressions(files=["log.parquet"]))
    return file


def read(folder: Path, column: pa.Array) -> list[Any]:
    [block] = read_all(written(folder, column))
    return block.frame["x"].to_list()


@pytest.mark.parametrize(
    ("kind", "values", "expected"),
    [
        (
            pa.decimal128(38, 0),
            ["1000000000000000001", "-9007199254740993", "70", None],
            ["1000000000000000001", "-9007199254740993", "70", None],
        ),
        (pa.decimal128(10, 2), ["100.00", "-0.50", "0.00", "7.25"], ["100", "-0.5", "0", "7.25"]),
        (pa.decimal256(50, 0), ["1" * 45, "70", None], ["1" * 45, "70", None]),
        (pa.decimal256(50, 10), ["9007199254740993.0000000000", None], ["9007199254740993", None]),
    ],
)
def test_decimals_keep_every_digit(tmp_path: Path, kind: Any, values: list[Any], expected: list[Any]) -> None:
    column = pa.array([value and Decimal(value) for value in values], kind)
    assert read(tmp_path, column) == expected


def test_lists_of_decimals_and_arrays(tmp_path: Path) -> None:
    decimals = pa.array([[Decimal("5.20"), None], [], None], pa.list_(pa.decimal128(10, 2)))
    assert read(tmp_path, decimals) == [["5.2", None], [], None]
    assert read(tmp_path, pa.array([[1, 2], [3, 4]], pa.list_(pa.int64(), 2))) == [[1, 2], [3, 4]]


_HASHES = """\
import sys
import polars as pl
from components.dataset.blocks import read_all
from components.dataset.files import find_files
from components.dataset.sections import Impressions
from components.example_gen.duplicates import hash_rows
seen = pl.Series(sys.argv[2].split()).cast(pl.Categorical)
[file] = find_files(sys.argv[1], Impressions(files=["log.parquet"]))
print([hash_rows(block.frame).tolist() for block in read_all(file)])
"""


def test_what_a_worker_read_before_does_not_change_a_hash(tmp_path: Path) -> None:
    """Values in a dictionary have numbers that differ by process."""
    written(tmp_path, pa.array([["a", "b"], ["b"]], pa.list_(pa.dictionary(pa.int32(), pa.string()))))
    hashes = {
        subprocess.run(
            [sys.executable, "-c", _HASHES, str(tmp_path), order],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for order in ("a b", "b a")
    }
    assert len(hashes) == 1


def test_bytes_stay_bytes(tmp_path: Path) -> None:
    assert read(tmp_path, pa.array([b"\xff\xfe", b"a", None])) == [b"\xff\xfe", b"a", None]


@pytest.mark.parametrize("offset", ["+05:30", "-03:30", "+05:45", "+08:00"])
def test_instants_may_have_any_offset(tmp_path: Path, offset: str) -> None:
    [block] = read_all(written(tmp_path, pa.array([1_700_000_000, None], pa.timestamp("s", offset))))
    moments = to_local_ms(block.frame["x"], "iso", "Asia/Kolkata")
    assert moments.values.to_list() == [(1_700_000_000 + 19_800) * 1000, None]


def test_a_type_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    file = written(tmp_path, pa.array([1], pa.timestamp("us", "Nowhere/Land")))
    with pytest.raises(
        InputError, match=r"log\.parquet: column x: its type timestamp\[us, tz=Nowhere/Land\]"
    ):
        list(read_all(file))


@pytest.mark.parametrize(
    ("column", "may_be_list", "message"),
    [
        (pa.array([[1]]), False, r"type is list<\w+: int64>, but one value is declared"),
        (pa.array([[1]], pa.list_(pa.int64(), 1)), False, "one value is declared"),
        (pa.array([{"a": 1}]), True, "type is struct<a: int64>, but a row needs one value"),
        (pa.array([[{"a": 1}]]), True, "a row needs one value, or a list of them"),
        (pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int64())), False, "a row needs one value"),
        (pa.array([1], pa.duration("ms")), False, r"type is duration\[ms\], but a duration is a number only"),
        (pa.array([[1]], pa.list_(pa.duration("ms"))), True, "a duration is a number only"),
    ],
)
def test_what_cannot_be_a_value_is_refused(
    tmp_path: Path, column: pa.Array, may_be_list: bool, message: str
) -> None:
    with pytest.raises(InputError, match=rf"log\.parquet: column x: its .*{message}"):
        require_usable(written(tmp_path, column), {"x": may_be_list})


def test_values_and_lists_of_values_are_usable(tmp_path: Path) -> None:
    for kind in (
        pa.int8(),
        pa.float32(),
        pa.string(),
        pa.binary(),
        pa.bool_(),
        pa.timestamp("ns"),
        pa.null(),
    ):
        require_usable(written(tmp_path, pa.nulls(1, kind)), {"x": False})
    require_usable(written(tmp_path, pa.array([[1, 2]])), {"x": True})
