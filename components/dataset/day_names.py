"""Dates in the names of files: `{data_day}` in a declared pattern, and folders such as `dt=2026-03-14`.

`{data_day}` stands for a date as `2026-03-14`, `2026_03_14` or `20260314`. A date in its place, `{2026-03-14}`, is that
date alone, in any of these writings.
"""

from __future__ import annotations

import re
from datetime import date

DAY_TOKEN = "{data_day}"
_TOKEN = re.compile(r"\{(data_day|\d{4}-\d{2}-\d{2})\}")
_BETWEEN = ("-", "_", "")
_DATE = r"(?P<day>\d{4}[-_]\d{2}[-_]\d{2}|\d{8})"
_HIVE = re.compile(
    r"(?:^|/)(?:(?:dt|ds|day|date)=(\d{4})-?(\d{2})-?(\d{2})|[^/=]+=(\d{4})-(\d{2})-(\d{2}))(?:/|$)",
    re.IGNORECASE,
)


def has_day(pattern: str) -> bool:
    """Whether a date is declared in it."""
    return _TOKEN.search(pattern) is not None


def globs(pattern: str) -> list[str]:
    """The globs that find the files of a pattern with a date, in each writing of it; of one without, itself.

    >>> globs("log-{2026-03-14}.csv")
    ['log-2026-03-14.csv', 'log-2026_03_14.csv', 'log-20260314.csv']
    >>> globs("{data_day}/*.csv")[0]
    '????-??-??/*.csv'
    """

    def written(between: str) -> str:
        return _TOKEN.sub(
            lambda found: ("????-??-??" if found[1] == "data_day" else found[1]).replace("-", between),
            pattern,
        )

    return [written(between) for between in _BETWEEN] if has_day(pattern) else [pattern]


def of_day(pattern: str, day: str) -> str:
    """The pattern that finds the files of one day.

    >>> of_day("items-{data_day}.csv", "2026-03-14")
    'items-{2026-03-14}.csv'
    """
    return pattern.replace(DAY_TOKEN, f"{{{day}}}")


def day_in(name: str, pattern: str) -> str | None:
    """The day that a file's name says, ISO; None where it says none.

    Args:
      name: relative to the data folder, or to its `data` folder.
      pattern: the declared one that found the file.
    """
    hive = _HIVE.search(name)
    if hive is not None:
        return _iso("-".join(filter(None, hive.groups())))
    if not has_day(pattern):
        return None
    before, _, after = _TOKEN.sub(DAY_TOKEN, pattern).partition(DAY_TOKEN)
    rest = _expression(after.replace(DAY_TOKEN, "*"))
    found = re.search(rf"{_expression(before)}{_DATE}{rest}(?:/.*)?$", name)
    digits = re.sub(r"\D", "", found["day"]) if found is not None else ""
    return _iso(f"{digits[:4]}-{digits[4:6]}-{digits[6:]}")


def _expression(glob: str) -> str:
    parts = {"**/": "(?:.*/)?", "*": "[^/]*", "?": "[^/]"}
    return "".join(parts.get(part, re.escape(part)) for part in re.split(r"(\*\*/|\*|\?)", glob))


def _iso(text: str) -> str | None:
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        return None
