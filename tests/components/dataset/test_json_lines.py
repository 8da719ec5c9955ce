"""Lines of JSON are a log: numbers keep every digit, lists stay lists, each line's fate is known by its number."""

from __future__ import annotations

import doctest
import gzip
import json
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.dataset import json_lines
from components.dataset.blocks import read_all, read_blocks
from components.dataset.files import find_files
from components.dataset.json_lines import parse_json_lines
from components.dataset.sections import Impressions
from components.errors import InputError


def test_the_examples_of_the_docs() -> None:
    assert doctest.testmod(json_lines).failed == 0


def test_types() -> None:
    block = parse_json_lines(
        b'\xef\xbb\xbf{"id": 18446744073709551615, "p": 0.10, "ok": true, "l": ["a|b", 7], "o": {"x": 1}}\n'
        b"\n"
        b'{"id": "7", "ok": false, "l": "c", "p": NaN, "more": 1}\r\n'
        b'[1]\n{"id": }\n{"id": "\xff"}',
        ("id", "p", "ok", "l", "o"),
    )
    assert block.frame.to_dict(as_series=False) == {
        "id": ["18446744073709551615", "7"],
        "p": ["0.10", "NaN"],
        "ok": [True, False],
        "l": [["a|b", "7"], ["c"]],
        "o": ['{"x": "1"}', None],
    }
    assert block.lines.tolist() == [0, 2]
    assert [number for number, _ in block.bad] == [3, 4, 5]
    assert block.bad[0][1] == "expected an object with the columns of one row"
    assert block.bad[1][1].startswith("is not JSON: Expecting value")
    assert block.bad[2][1] == "is not UTF-8 text"
    assert block.count == 6


@pytest.mark.parametrize("name", ["log.jsonl", "log.ndjson.gz", "log.json"])
def test_files(tmp_path: Path, name: str) -> None:
    rows = [{"user": n, "click": n % 2, **({"late": 1} if n == 30 else {})} for n in range(40)]
    text = "".join(json.dumps(row) + "\n" for row in rows).encode()
    (tmp_path / name).write_bytes(gzip.compress(text) if name.endswith("gz") else text)
    [file] = find_files(str(tmp_path), Impressions(files=[name]))
    assert (file.columns, file.first_line) == (("user", "click", "late"), 1)
    found = pl.concat([block.frame for block in read_all(file)])
    assert found["user"].to_list() == [str(n) for n in range(40)]
    assert found["late"].drop_nulls().to_list() == ["1"]


@given(st.integers(1, 200), st.integers(1, 200))
def test_cut_anywhere_each_line_is_read_once(size: int, block_bytes: int) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log.jsonl"
        path.write_text("".join(json.dumps({"n": n, "text": "x" * (n % 7)}) + "\n" for n in range(12)))
        [file] = find_files(folder, Impressions(files=["log.jsonl"]))
        found = []
        for start in range(0, file.size, size):
            for block in read_blocks(file, start, min(start + size, file.size), block_bytes):
                found += block.frame["n"].to_list()
        assert found == [str(n) for n in range(12)]


@pytest.mark.parametrize("text", ["", "[\n{\n", "7\n8\n"])
def test_what_is_no_json_lines(tmp_path: Path, text: str) -> None:
    (tmp_path / "log.json").write_text(text)
    with pytest.raises(
        InputError, match=r"log.json:1: expected JSON lines: an object with the columns of one row"
    ):
        find_files(str(tmp_path), Impressions(files=["log.json"]))
