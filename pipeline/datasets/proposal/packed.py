"""Columns whose values hold more than a value: events of a session, what a page showed, features of another format."""

from __future__ import annotations

import polars as pl

from pipeline.datasets.proposal.figures import mean

_NEARLY_ALL = 0.99
_LOOKED_AT = 1_000
_OBJECT = r"(?s)^\s*\{.*\}\s*$"
_OBJECTS = r"(?s)^\s*\[\s*\{.*\}\s*\]\s*$"
_SHOWN = r"^\S+-[01](?:\s+\S+-[01])+$"
_OBJECTS_SAID = "objects: write what they hold as columns of their own"
_LISTS_SAID = (
    "lists of objects, as a session's events are: write a row for each, and what it holds as columns"
)
_CONTROLS = r"[\x01-\x08]"


def packed(column: pl.Series) -> str | None:
    """What texts, or lists of them, hold instead of a value, with the remedy; `None` where they hold values.

    >>> packed(pl.Series(["N1-0 N2-1", "N7-1 N9-0 N4-0"]))
    'what was shown, with -1 behind what was clicked: write a row for each, with a column of 0 and 1'
    """
    if isinstance(column.dtype, pl.Struct):
        return _OBJECTS_SAID
    if isinstance(column.dtype, pl.List) and isinstance(column.dtype.inner, pl.Struct):
        return _LISTS_SAID
    if isinstance(column.dtype, pl.List):
        if _are(column.head(_LOOKED_AT).explode(), _OBJECT):
            return _LISTS_SAID
        return None
    given = column.drop_nulls().head(_LOOKED_AT)
    if _are(given, _OBJECT):
        return _OBJECTS_SAID
    if _are(given, _OBJECTS):
        return _LISTS_SAID
    if mean(given.str.contains(_SHOWN)) > 0.5 and _are(given, r"^\S+-[01](?:\s+\S+-[01])*$"):
        return (
            "what was shown, with -1 behind what was clicked: write a row for each, with a column of 0 and 1"
        )
    if mean(given.str.contains(_CONTROLS)) > 0.5:
        return "several values with control characters between them: write each as a column of its own"
    return None


def _are(texts: pl.Series, pattern: str) -> bool:
    given = texts.drop_nulls()
    return not given.is_empty() and mean(given.str.contains(pattern)) >= _NEARLY_ALL
