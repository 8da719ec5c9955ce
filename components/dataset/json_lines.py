"""Lines of JSON to columns: one object is one row, and every line's fate is known by its number.

Numbers are read digit by digit as they are written, so that no id loses any; a column of `true` and `false` is one of
truth values, of lists one of lists; an object within an object is its text.
"""

from __future__ import annotations

import json
from codecs import BOM_UTF8
from collections.abc import Iterable
from typing import Any

import numpy as np
import polars as pl

from components.dataset.encodings import NO_TEXT
from components.dataset.text_block import TextBlock

# Numbers as they are written.
_DECODER = json.JSONDecoder(parse_float=str, parse_int=str, parse_constant=str)


def names_of(lines: Iterable[bytes]) -> list[str]:
    """The keys of these lines, in the order in which they come first; lines that are no objects have none.

    >>> names_of([b'{"a": 1}', b'', b'{"b": 2, "a": 3}', b'7'])
    ['a', 'b']
    """
    names: dict[str, None] = {}
    for line in lines:
        row = _row(line)
        if isinstance(row, dict):
            names.update(dict.fromkeys(row))
    return list(names)


def parse_json_lines(block: bytes, columns: tuple[str, ...]) -> TextBlock:
    """Objects to columns; a key that an object leaves out is missing, other keys than the columns are left out.

    Args:
      block: whole lines; the last may lack its line break.
      columns: the keys to read.
    """
    lines = block.removesuffix(b"\n").split(b"\n")
    rows: list[dict[str, Any]] = []
    numbers: list[int] = []
    bad: list[tuple[int, str]] = []
    for number, line in enumerate(lines):
        if not line.strip():
            continue
        row = _row(line)
        if isinstance(row, dict):
            rows.append(row)
            numbers.append(number)
        else:
            bad.append((number, row if row is not None else "expected an object with the columns of one row"))
    frame = pl.DataFrame([_column(name, [row.get(name) for row in rows]) for name in columns])
    return TextBlock(frame, np.array(numbers, np.int64), bad, len(lines))


def _row(line: bytes) -> dict[str, Any] | str | None:
    """The object, what is wrong with the line, or `None` for another value."""
    try:
        value = _DECODER.decode(line.removeprefix(BOM_UTF8).decode())
    except UnicodeDecodeError:
        return NO_TEXT
    except json.JSONDecodeError as error:
        return f"is not JSON: {error.msg} (one object in each line)"
    except RecursionError:
        return "is nested too deeply"
    return value if isinstance(value, dict) else None


def _column(name: str, values: list[Any]) -> pl.Series:
    given = [value for value in values if value is not None]
    if given and all(isinstance(value, bool) for value in given):
        return pl.Series(name, values, pl.Boolean)
    if any(isinstance(value, list) for value in given):
        lists = [value if value is None or isinstance(value, list) else [value] for value in values]
        texts = [value and [_text(item) for item in value] for value in lists]
        return pl.Series(name, texts, pl.List(pl.String))
    return pl.Series(name, [_text(value) for value in values], pl.String)


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return text_of_json(value)


def text_of_json(value: Any) -> str:
    """The text of a truth value, an object or a list; numbers in it stand as texts, digit by digit as written."""
    return json.dumps(value, ensure_ascii=False)
