"""CSV that a spreadsheet opens: what it would compute is text there, and numbers and ids stay what they are."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.predict.rows import Chunk
from pipeline.predict.writers import Writer, not_computed
from tests.e2e.conftest import dfei

COMPUTED = [
    "=1+1",
    "=cmd|' /C calc'!A0",
    '=HYPERLINK("http://x")',
    "+1+1",
    "+cmd|' /C calc'!A0",
    "-2+3+cmd|' /C calc'!A0",
    "-A1*2",
    "@SUM(1+1)*cmd|' /C calc'!A0",
    "\t=1+1",
    "\r=1+1",
    "\uff1d1+1",
    "\uff20SUM(1)",
    "-1\n=1+1",
    "@jane\n",
]
KEPT = [
    "-3",
    "+49",
    "-1.5e-7",
    "+4.9E+10",
    "-1,5",
    "-dQw4w9WgXcQ",
    "@jane",
    "-a_1",
    "a=b",
    "x@y.z",
    "1-1",
    "",
]
KEPT += ["'=1", "-inf", "-"]
IDS = st.from_regex(r"[-@+]?[A-Za-z0-9_-]{1,20}", fullmatch=True)


@pytest.mark.parametrize("cell", COMPUTED)
def test_a_formula_becomes_text(cell: str) -> None:
    assert not_computed(cell) == "'" + cell


@pytest.mark.parametrize("cell", [*KEPT, -3, 2.5, None, True])
def test_numbers_and_ids_stay(cell: object) -> None:
    assert not_computed(cell) == cell


@given(st.one_of(st.integers(), st.floats(allow_nan=False), IDS))
def test_every_number_and_every_id_round_trips(value: object) -> None:
    assert not_computed(str(value)) == str(value)


@given(st.text(max_size=20))
def test_nothing_that_begins_as_a_formula_is_left(text: str) -> None:
    written = not_computed(text)
    assert written in (text, "'" + text)
    assert not written.startswith(("=", "\t", "\r"))


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_in_the_file_header_and_outputs_too(tmp_path: Path, separator: str) -> None:
    path = tmp_path / "out.csv"
    rows = [{"=x": cell, "id": -7} for cell in COMPUTED]
    with Writer(path, "csv", separator=lambda: separator) as writer:
        writer.write(Chunk(rows, ["row"] * len(rows)), {"p": np.linspace(-1, 1, len(rows), dtype=np.float32)})
    with path.open(newline="") as stream:
        header, *cells = csv.reader(stream, delimiter=separator)
    assert header == ["'=x", "id", "p"]
    assert [row[0] for row in cells] == ["'" + cell for cell in COMPUTED]
    assert all(row[1] == "-7" for row in cells)
    assert float(cells[0][2]) == -1.0


def test_the_command_and_its_flag(pushed: Path, tmp_path: Path) -> None:
    source, out = tmp_path / "rows.csv", tmp_path / "out.csv"
    source.write_text("user_id,note\n-1,=1+1\n2,@jane\n")
    for flags, written in (((), "'=1+1"), (("--exact-text",), "=1+1")):
        done = dfei("predict", source, "--model-dir", pushed, "-o", out, *flags)
        assert done.code == 0, done.text
        with out.open(newline="") as stream:
            rows = list(csv.DictReader(stream))
        assert [row["note"] for row in rows] == [written, "@jane"]
        assert [row["user_id"] for row in rows] == ["-1", "2"]
