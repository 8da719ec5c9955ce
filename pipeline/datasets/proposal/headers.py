"""Whether a text's first line names its columns, and names from elsewhere where it does not."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from components.dataset.blocks import read_blocks
from components.dataset.files import DataFile
from components.errors import InputError
from pipeline.datasets.proposal.words import DOMAINS, ITEMS, LABELS, TIMES, USERS, has

HEADER = "header"
_KNOWN = frozenset[str]().union(USERS, ITEMS, TIMES, *DOMAINS, *LABELS)
_FEWEST_KNOWN = 2
_HEAD_BYTES = 256 << 10
_LOOKED_AT = 200
_NUMBER = re.compile(r"^[-+]?(?:\d+(?:[.,]\d*)?|[.,]\d+)(?:[eE][-+]?\d+)?$")
_DATE = re.compile(r"^\d{4}[-/.]?\d{2}[-/.]?\d{2}([T ].*)?$")
_PAIRS = re.compile(r"^[-+\d.]+(?:\s+\d+(?::\d+)?:[-+\d.eE]+)+\s*$")
_NAMESPACES = re.compile(r"^[-+\d.]+\s[^|]*\|\S+\s")
_SPARSE = (
    (_PAIRS, "a label with pairs of index and value, as libsvm and libffm have them"),
    (_NAMESPACES, "features in groups behind |, as Vowpal Wabbit and Yahoo's news logs have them"),
)
_TYPED = re.compile(r"^.+:(token|token_seq|float|float_seq)$")


def column_names(text: str) -> list[str]:
    """Names as they were typed, `a,b,c`, or those of a file, one a line or separated by commas or tabs.

    Raises:
      InputError: there are none, or a name is given twice.
    """
    path = Path(text)
    if "," not in text and path.is_file():
        try:
            listed = path.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"--columns {text}: cannot be read: {error}") from None
    else:
        listed = text
    names = [name.strip() for name in re.split(r"[,\t\r\n]+", listed) if name.strip()]
    if not names:
        raise InputError(f"--columns {text}: names no column; expected a,b,c or a file with them")
    twice = sorted(name for name, times in Counter(names).items() if times > 1)
    if twice:
        raise InputError(f"--columns {text}: names {', '.join(twice)} more than once")
    return names


def require_header(file: DataFile, lookup: Path | None = None) -> None:
    """Refuses a file whose first line looks like a row of data.

    Args:
      file: the file.
      lookup: the table of the command line that it is of; None for the log.
    Raises:
      InputError: says why, and how to give the names.
    """
    if not file.has_header:
        return
    line = file.separator.join(file.own_columns)
    sparse = next((what for form, what in _SPARSE if form.match(line)), None)
    if sparse is not None:
        raise InputError(
            f"{file.path}:1: a row is {sparse}: write a table, with a column for each of what the features are of "
            "(user, item, place, ...), and a line with their names"
        )
    why = _looks_like_data(file)
    if why:
        of = "" if lookup is None else f"{lookup}="
        raise InputError(
            f"{file.path}:1: the first line looks like data, not like names of columns ({why}): give the names with "
            f"--columns {of}a,b,c or --columns {of}FILE; if these are the names, --columns {of}{HEADER}"
        )


def _looks_like_data(file: DataFile) -> str:
    names = file.own_columns
    # Tables that lost their names are numbered from 0 or 1.
    if [name for name in names if name] in (
        [str(n) for n in range(start, start + len(names))] for start in (0, 1)
    ):
        return ""
    values = [name for name in names if _NUMBER.match(name) or _DATE.match(name)]
    if values and (2 * len(values) > len(names) or sum(has(name, _KNOWN) for name in names) < _FEWEST_KNOWN):
        shown = ", ".join(values[:3])
        return f"{shown} {'is a value' if len(values) == 1 else 'are values'}"
    empty = sum(not name for name in names)
    if empty > 1 and 2 * empty > len(names):
        return f"{empty} of {len(names)} are empty"
    if len(set(names)) < len(names):
        return ""
    names = names[:_LOOKED_AT]
    repeated = _own_values(file, names)
    # A single one may be chance: a column `app` of `app` and `web`.
    if len(repeated) > 1 and 2 * len(repeated) >= len(names):
        return f"{', '.join(repeated[:3])} {'is a value' if len(repeated) == 1 else 'are values'} of the columns, too"
    return ""


def _own_values(file: DataFile, names: Sequence[str]) -> list[str]:
    """Names that occur among their own column's values; a header that is repeated within the file is none of these."""
    end = min(file.size, file.data_start + _HEAD_BYTES)
    block = next(iter(read_blocks(file, file.data_start, end, _HEAD_BYTES)), None)
    if block is None:
        return []
    frame = block.frame.select(names)
    headers = pl.all_horizontal(pl.col(name).str.strip_chars() == name for name in names if name)
    rows = frame.filter(~headers.fill_null(False))
    return [name for name in names if name and (rows[name].str.strip_chars() == name).sum() > 1]


def believed_types(names: tuple[str, ...]) -> dict[str, str]:
    """The types that a header of RecBole's states, `user_id:token`, by column; none unless all names have one.

    >>> believed_types(("user_id:token", "age:float"))
    {'user_id:token': 'token', 'age:float': 'float'}
    """
    found = {name: match[1] for name in names if (match := _TYPED.match(name))}
    return found if len(found) == len(names) else {}
