"""Lines to columns, against the csv module line by line; blocks against the whole file."""

from __future__ import annotations

import csv
import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from components.dataset.csv_lines import line_blocks, parse_lines
from components.dataset.files import DataFile, find_files
from components.dataset.sections import Impressions

COLUMNS = ("a", "b", "c")
pieces = st.sampled_from(["x", "1", " ", '"', '""', ",", ",", ",", "é", '"a"', '"a,b"', '"q""r"', "\t"])
lines = st.lists(pieces, max_size=9).map("".join)


def by_csv_module(texts: list[str]) -> tuple[list[tuple[int, tuple[str, ...]]], list[int]]:
    rows, bad = [], []
    for number, text in enumerate(texts):
        if not text:
            continue
        try:
            values = next(csv.reader([text], strict=True))
        except csv.Error:
            bad.append(number)
            continue
        (rows.append((number, tuple(values))) if len(values) == 3 else bad.append(number))  # type: ignore[func-returns-value]
    return rows, bad


@settings(max_examples=300)
@given(st.lists(lines, max_size=8), st.sampled_from(["\n", "\r\n"]), st.booleans())
@example(['"",x,""', '""""",a', 'a,"""b",c', 'a,b"c,d"', '"a"b,c,d', "a,b,"], "\n", True)
def test_same_rows_and_same_refusals_as_the_csv_module(texts: list[str], end: str, ended: bool) -> None:
    block = parse_lines((end.join(texts) + (end if ended else "")).encode(), ",", COLUMNS)
    rows, bad = by_csv_module(texts)
    values = [tuple(value or "" for value in row) for row in block.frame.iter_rows()]
    assert list(zip(block.lines.tolist(), values, strict=True)) == rows
    assert [number for number, _ in block.bad] == bad


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"1,2", "expected 3 values, found 2"),
        (b'"1,2",3', "expected 3 values, found 2"),
        (b'1,2,"3', "a quote is not closed on its line"),
        (b'"1"x,2,3', "cannot be parsed"),
        (b"1,2,\xff", "is not UTF-8 text"),
        (b'1,2,"\xff', "is not UTF-8 text"),
    ],
)
def test_reasons(line: bytes, reason: str) -> None:
    block = parse_lines(b"a,b,c\n\n" + line + b"\nd,e,f", ",", COLUMNS)
    assert block.frame.rows() == [("a", "b", "c"), ("d", "e", "f")]
    assert block.lines.tolist() == [0, 3]
    assert block.count == 4
    [(number, found)] = block.bad
    assert number == 2
    assert found.startswith(reason)


def log(folder: Path, content: bytes) -> DataFile:
    (folder / "log.csv").write_bytes(content)
    [file] = find_files(str(folder), Impressions(files=["log.csv"]))
    return file


@settings(max_examples=200)
@given(
    st.lists(st.text("ab,", max_size=9), max_size=12),
    st.booleans(),
    st.integers(1, 30),
    st.integers(1, 30),
)
def test_any_cut_gives_every_line_once(texts: list[str], ended: bool, size: int, block_bytes: int) -> None:
    body = ("\n".join(texts) + ("\n" if ended else "")).encode()
    with tempfile.TemporaryDirectory() as folder:
        file = log(Path(folder), b"a,b,c\n" + body)
        found = b""
        for start in range(file.data_start, file.size, size):
            for block in line_blocks(file, start, min(start + size, file.size), block_bytes):
                assert block.endswith(b"\n") or body.endswith(block)
                found += block
    assert found == body
