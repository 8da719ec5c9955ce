"""Which separator the first lines of a text show."""

from __future__ import annotations

from collections.abc import Sequence

_SEPARATORS = (",", ";", "\t", "|", "::")


def shown_separator(lines: Sequence[str], usual: str) -> str | None:
    """A separator that cuts every line, where the usual one cuts none; None where the usual one is right, or none is.

    >>> shown_separator(["user;item;ts", "7;11;0,5"], ","), shown_separator(["user,item"], ",")
    (';', None)
    """
    counts = {
        separator: min((line.count(separator) for line in lines), default=0) for separator in _SEPARATORS
    }
    best = max(counts, key=lambda separator: counts[separator])
    return best if counts.get(usual, 0) == 0 < counts[best] else None
