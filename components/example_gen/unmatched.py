"""Lookups in which rows do not find their line: why columns are missing that a schema expects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

FEW = 0.05
"""Share of the rows without a line of which nothing is said."""


def unmatched_words(name: str, missed: int, rows: int) -> str:
    """What to look at where rows have no line in a lookup.

    >>> unmatched_words("users.csv", 3253, 3253)
    'none of the 3,253 rows has a line in users.csv: are keys written otherwise there (leading zeros, spaces)?'
    """
    many = f"{missed:,} of {rows:,} rows have no" if missed < rows else f"none of the {rows:,} rows has a"
    return f"{many} line in {name}: are keys written otherwise there (leading zeros, spaces)?"


def unmatched_in(report: Mapping[str, Any]) -> Iterator[str]:
    """The same, for each lookup of an ingest report in which more than a few rows have no line."""
    rows = int(report.get("train") or 0) + int(report.get("eval") or 0)
    for name, missed in (report.get("unmatched") or {}).items():
        if missed > FEW * rows:
            yield unmatched_words(name, missed, rows)
