"""What stands between the values of CSV that is written."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.predict.rows import Source
from pipeline.predict.writers import output_separator


@pytest.mark.parametrize(
    ("name", "text", "output", "separator"),
    [
        ("rows.csv", "a,b\n1,2\n", "out.csv", ","),
        ("rows.csv", "a;b\n1;2\n", "out.csv", ";"),
        ("rows.csv", "a\tb\n1\t2\n", None, "\t"),
        ("rows.csv", "a;b\n1;2\n", "out.tsv", "\t"),
        ("rows.tsv", "a\tb\n1\t2\n", None, "\t"),
        ("rows.tsv", "a\tb\n1\t2\n", "out.csv", ","),
        # A writer of CSV quotes for one character alone.
        ("rows.dat", "a::b\n1::2\n", "out.csv", ","),
        ("rows.jsonl", '{"a": 1}\n', "out.csv", ","),
    ],
)
def test_it_is_that_of_the_rows_unless_the_name_says_another(
    name: str, text: str, output: str | None, separator: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(text)
    source = Source(tmp_path / name, separator="::" if "::" in text else None)
    assert len(next(iter(source.chunks(10))).rows) == 1
    assert output_separator(None if output is None else Path(output), source) == separator
