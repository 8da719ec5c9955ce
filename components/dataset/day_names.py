"""Dates in the names of files: `{data_day}` in a declared pattern, and folders such as `dt=2026-03-14`."""

from __future__ import annotations

import re
from datetime import date

DAY_TOKEN = "{data_day}"
_ANY_DAY = "????-??-??"
_HIVE = re.compile(r"(?:^|/)(?:dt|ds|day|date)=(\d{4})-?(\d{2})-?(\d{2})(?:/|$)", re.IGNORECASE)


def any_day(pattern: str) -> str:
    """The glob that finds the files of all days."""
    return pattern.replace(DAY_TOKEN, _ANY_DAY)


def of_day(pattern: str, day: str) -> str:
    """The glob that finds the files of one day.

    >>> of_day("items-{data_day}.csv", "2026-03-14")
    'items-2026-03-14.csv'
    """
    return pattern.replace(DAY_TOKEN, day)


def day_in(name: str, pattern: str) -> str | None:
    """The day that a file's name says, ISO; None where it says none.

    Args:
      name: relative to the data folder, or to its `data` folder.
      pattern: the declared one that found the file.
    """
    found = _HIVE.search(name)
    if found is not None:
        return _iso("-".join(found.groups()))
    if DAY_TOKEN not in pattern:
        return None
    before, _, after = pattern.partition(DAY_TOKEN)
    rest = _expression(after.replace(DAY_TOKEN, "*"))
    expression = rf"{_expression(before)}(?P<day>\d{{4}}-\d{{2}}-\d{{2}}){rest}$"
    found = re.search(expression, name)
    return _iso(found["day"]) if found is not None else None


def _expression(glob: str) -> str:
    parts = {"**/": "(?:.*/)?", "*": "[^/]*", "?": "[^/]"}
    return "".join(parts.get(part, re.escape(part)) for part in re.split(r"(\*\*/|\*|\?)", glob))


def _iso(text: str) -> str | None:
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        return None
