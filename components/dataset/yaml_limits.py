"""What a YAML text may ask of its reader, looked at before it is read.

The reader that keeps lines and comments is written in Python: a few hundred bytes of aliases that name aliases,
thousands of brackets or ten megabytes of a comment keep it busy for hours, or end it. libyaml reads events a hundred
times as fast and builds nothing, so it looks first.
"""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from components.errors import InputError

MOST_BYTES = 512 << 10
_MOST_DEPTH = 32
_MOST_NODES = 50_000
_MOST_DIGITS = 19
_WHOLE_NUMBER = re.compile(r"[-+]?(?:0[xob])?[0-9a-fA-F_]*")
# What readers of YAML raise beside their own errors, at values that are none: a date of month 13, a table as a key.
NO_YAML = (ValueError, TypeError, AttributeError, LookupError, AssertionError, RecursionError, OverflowError)
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_text(path: Path) -> str:
    """The text of a declaration, if it is of a size that one has.

    Raises:
      InputError: it is too large, cannot be read, or is no text.
    """
    try:
        with path.open("rb") as stream:
            data = stream.read(MOST_BYTES + 1)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    if len(data) > MOST_BYTES:
        raise InputError(f"{path}: has more than {MOST_BYTES:,} bytes: is it a declaration?")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not valid YAML: {error}") from None


def require_modest(text: str, place: str) -> None:
    """Refuses YAML that would take its reader long, or grow without end.

    Text that is no YAML passes: its reader says what is wrong with it.

    Args:
      text: the YAML.
      place: where it is from, as messages name it.
    Raises:
      InputError: it is nested too deeply, has too many values once aliases stand for what they name, an alias within
        what it names, or a whole number that no setting has.
    """
    if len(text) > MOST_BYTES:
        raise InputError(f"{place}: has more than {MOST_BYTES:,} characters")
    depth, nodes = 0, 0
    sizes: dict[str, int | None] = {}
    opened: list[tuple[str | None, int]] = []
    try:
        for event in yaml.parse(text, _LOADER):
            line = event.start_mark.line + 1 if event.start_mark is not None else 1
            if isinstance(event, yaml.AliasEvent):
                size = sizes.get(str(event.anchor), 0)
                if size is None:
                    raise InputError(f"{place}:{line}: *{event.anchor} is within what it names")
                nodes += size
            elif isinstance(event, yaml.ScalarEvent):
                nodes += 1
                _require_short_number(event, place, line)
                if event.anchor is not None:
                    sizes[event.anchor] = 1
            elif isinstance(event, yaml.CollectionStartEvent):
                nodes, depth = nodes + 1, depth + 1
                opened.append((event.anchor, nodes))
                if event.anchor is not None:
                    sizes[event.anchor] = None
            elif isinstance(event, yaml.CollectionEndEvent):
                depth -= 1
                anchor, before = opened.pop()
                if anchor is not None:
                    sizes[anchor] = nodes - before + 1
            if depth > _MOST_DEPTH:
                raise InputError(f"{place}:{line}: nested more than {_MOST_DEPTH} deep")
            if nodes > _MOST_NODES:
                raise InputError(
                    f"{place}:{line}: has more than {_MOST_NODES:,} values, aliases counted as what they name"
                )
    except yaml.YAMLError:
        return


def _require_short_number(event: yaml.ScalarEvent, place: str, line: int) -> None:
    text = event.value
    if not event.style and len(text) > _MOST_DIGITS and _WHOLE_NUMBER.fullmatch(text):
        raise InputError(
            f"{place}:{line}: a whole number of {len(text)} digits, and none has more than {_MOST_DIGITS}: put a text "
            "in quotes"
        )
