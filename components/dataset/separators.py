"""Which separator the first lines of a text show."""

from __future__ import annotations

from collections.abc import Sequence

_SEPARATORS = (",", ";", "\t", "|", "::")
# Hive's own: no text has it by chance, and what it parts may have any other.
_CONTROL = "\x01"
# So many lines of as many words each are no sentences.
_FEWEST_LINES, _FEWEST_WORDS = 5, 4


def shown_separator(lines: Sequence[str], usual: str, width: int = 0) -> str | None:
    """A separator that cuts every line, where the usual one cuts none; None where the usual one is right, or none is.

    A space is one where no other cuts every line, and each has as many. Hive's \\x01 is one where no other cuts all
    lines alike: within its values there may be tabs.

    Args:
      lines: the first ones.
      usual: the one that the file's name says; empty where it says none.
      width: how many values a line has, where that is known.

    >>> shown_separator(["user;item;ts", "7;11;0,5"], ","), shown_separator(["user,item"], ",")
    (';', None)
    >>> shown_separator(["user item ts click", *["7 11;12 0,5 1"] * 4], ",")
    ' '
    """
    counts = {
        separator: min((line.count(separator) for line in lines), default=0) for separator in _SEPARATORS
    }
    alike = len(lines) >= _FEWEST_LINES and len({line.count(" ") for line in lines}) == 1
    if alike and not any(counts.values()) and spaces_alone(lines[0]):
        return " "
    others = (usual,) if usual else _SEPARATORS
    if _cuts_alike(lines, _CONTROL, width) and not any(_cuts_alike(lines, other, width) for other in others):
        return _CONTROL
    best = max(counts, key=lambda separator: counts[separator])
    return best if counts.get(usual, 0) == 0 < counts[best] else None


def _cuts_alike(lines: Sequence[str], separator: str, width: int) -> bool:
    counts = {line.count(separator) for line in lines}
    return len(counts) == 1 and counts != {0} and (not width or counts == {width - 1})


def spaces_alone(header: str) -> str:
    """A space where a header has a few and nothing else that cuts it; empty where it has not.

    >>> spaces_alone("user item ts click"), spaces_alone("user,what was shown to whom"), spaces_alone("full name")
    (' ', '', '')
    """
    cut = any(separator in header for separator in _SEPARATORS)
    return "" if cut or header.strip().count(" ") < _FEWEST_WORDS - 1 else " "
