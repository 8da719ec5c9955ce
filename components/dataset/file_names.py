"""What in a file's name and folders varies from day to day and part to part, and what folders say of their rows.

Hive and Spark write a table as folders, `dt=2026-03-14/scene=feed/part-00000-….snappy.parquet`: the folders' keys are
columns, which the files themselves leave out. Files and folders that begin with `_` (`_SUCCESS`, `_temporary`) or `.`
are the writers' own.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Literal
from urllib.parse import unquote

Format = Literal["csv", "csv.gz", "json", "json.gz", "parquet"]

SUFFIXES: dict[str, tuple[Format, str]] = {
    ".csv": ("csv", ","),
    ".csv.gz": ("csv.gz", ","),
    ".tsv": ("csv", "\t"),
    ".tsv.gz": ("csv.gz", "\t"),
    ".inter": ("csv", "\t"),
    ".user": ("csv", "\t"),
    ".item": ("csv", "\t"),
    ".jsonl": ("json", ""),
    ".jsonl.gz": ("json.gz", ""),
    ".ndjson": ("json", ""),
    ".ndjson.gz": ("json.gz", ""),
    ".json": ("json", ""),
    ".json.gz": ("json.gz", ""),
    ".parquet": ("parquet", ""),
    # Whatever a text is: a log where it is named, not where its folder is.
    ".txt": ("csv", ","),
    ".txt.gz": ("csv.gz", ","),
    ".dat": ("csv", ","),
    ".dat.gz": ("csv.gz", ","),
    ".data": ("csv", ","),
    ".data.gz": ("csv.gz", ","),
}
_ANY_TEXT = (".txt", ".dat", ".data")
_NO_VALUE = ("", "__HIVE_DEFAULT_PARTITION__", "__DEFAULT_PARTITION__")
_MONTHS = "january|february|march|april|june|july|august|september|october|november|december"
_MONTHS += "|jan|feb|mar|apr|may|jun|jul|aug|sept|sep|oct|nov|dec"
_MONTH = rf"(?<![a-z])(?:{_MONTHS})(?![a-z])"
_HEX = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|(?<![0-9a-z])(?=[a-f]*\d)[0-9a-f]{16,}(?![0-9a-z])"
_NUMBER = rf"(?:\d+|{_MONTH})"
_VARYING = re.compile(rf"{_HEX}|{_NUMBER}(?:[-_.:]?[TWQ]?{_NUMBER})*", re.IGNORECASE)
_PART = re.compile(r"^(part-)\d.*$")
_DATE = re.compile(
    r"^(?:19|20)\d\d([-_./]?)(?:0[1-9]|1[0-2])(?:\1(?:0[1-9]|[12]\d|3[01])(?:[-_./:]?T?\d+)*)?$",
    re.IGNORECASE,
)


def suffix_of(name: str) -> str:
    """The known suffix that a file's name ends with, as it is written; empty where there is none."""
    lower = name.lower()
    known = max((suffix for suffix in SUFFIXES if lower.endswith(suffix)), key=len, default="")
    return name[len(name) - len(known) :] if known else ""


def is_any_text(name: str) -> bool:
    """Whether the suffix tells no more than that it is a text, as that of `README.txt` does."""
    return name.lower().removesuffix(".gz").endswith(_ANY_TEXT)


def hidden(path: Path) -> int:
    """How many parts of a path are hidden or a writer's own: a pattern matches no more of them than it names."""
    return sum(part.startswith((".", "_")) and part != ".." for part in path.parts)


def path_keys(path: Path) -> dict[str, str | None]:
    """The keys of the folders of a path, without the file's own name; `None` is Hive's missing value.

    >>> path_keys(Path("dt=2026-03-14/scene=a%2Fb/part-0.parquet"))
    {'dt': '2026-03-14', 'scene': 'a/b'}
    """
    keys: dict[str, str | None] = {}
    for part in path.parts[:-1]:
        key, equals, value = part.partition("=")
        if equals and key:
            keys[unquote(key)] = None if value in _NO_VALUE else unquote(value)
    return keys


def pieces(name: str) -> list[str]:
    """A relative path as fixed and varying texts in turn; the first and the last are fixed.

    Varying are dates, numbers, names of months, hashes, the values of folders' keys, and what Spark calls a part.

    >>> pieces("dt=2026-03-14/part-00000-c000.snappy.parquet")
    ['dt=', '2026-03-14', '/part-', '00000-c000.snappy', '.parquet']
    """
    *folders, last = PurePosixPath(name).parts
    suffix = suffix_of(last)
    stem = last.removesuffix(suffix)
    part = _PART.match(stem)
    split = [_of_folder(folder) for folder in folders]
    split.append([part[1], stem.removeprefix(part[1]), ""] if part else _of_text(stem))
    found = [""]
    for number, texts in enumerate(split):
        found[-1] += texts[0]
        found += texts[1:]
        found[-1] += "/" if number < len(folders) else suffix
    return found


def _of_folder(folder: str) -> list[str]:
    key, equals, value = folder.partition("=")
    return [f"{key}=", value, ""] if equals and key else _of_text(folder)


def _of_text(text: str) -> list[str]:
    parts, position = [], 0
    for match in _VARYING.finditer(text):
        parts += [text[position : match.start()], match[0]]
        position = match.end()
    return [*parts, text[position:]]


def shape(name: str) -> str:
    """What files of one log have in common: the fixed texts of their names, whatever the format.

    >>> shape("log-2026-03-14.csv") == shape("log-2026-04-01.csv.gz")
    True
    """
    fixed = pieces(name)[::2]
    return "*".join([*fixed[:-1], fixed[-1].removesuffix(suffix_of(name))])


def glob_escape(name: str) -> str:
    """A pattern that matches the name alone."""
    return "".join(f"[{c}]" if c in "*?[" else c for c in name)


def patterns_of(names: Sequence[str]) -> list[str]:
    """Patterns for files of all dates and parts: what varies among the names, and every date, key and part.

    >>> patterns_of(["log-2026-03-09.csv", "log-2026-03-10.csv"])
    ['log-????-??-??.csv']
    """
    groups: dict[tuple[str, ...], list[list[str]]] = {}
    for name in names:
        split = pieces(name)
        groups.setdefault(tuple(split[::2]), []).append(split[1::2])
    return [_pattern(fixed, rows) for fixed, rows in groups.items()]


def _pattern(fixed: tuple[str, ...], rows: Sequence[Sequence[str]]) -> str:
    text = glob_escape(fixed[0])
    first, count = 0, len(fixed) - 1
    while first < count:
        # Folders of a year, a month and a day vary as one.
        last = next(index for index in range(first + 1, count + 1) if index == count or fixed[index] != "/")
        values = {"/".join(row[first:last]) for row in rows}
        text += _matching(values, fixed[first].endswith(("=", "part-"))) + glob_escape(fixed[last])
        first = last
    return text


def _matching(values: set[str], always: bool) -> str:
    if always:
        return "*"
    as_date = {re.sub(r"\d", "?", value) for value in values}
    if len(as_date) == 1 and all(_DATE.match(value) for value in values):
        return as_date.pop()
    if len(values) == 1:
        return glob_escape(values.pop())
    # Of `01Mar2026`, three that touch are one: `**` would stand for folders.
    as_numbers = {re.sub(rf"(?:{_NUMBER})+", "*", value, flags=re.IGNORECASE) for value in values}
    return as_numbers.pop() if len(as_numbers) == 1 else "*"
