"""What a column is called in requests, whose names are letters, digits and underscores, and how its lists are sent."""

from __future__ import annotations

import re
import unicodedata

# Separates the values of a list whatever separator is declared: for callers who cannot know it. Behind the last value,
# too, so that a list of one is no text to be split.
LIST_SEPARATOR = "\x1f"
SEVERAL_VALUES = r'several values are one text, with U+001F behind each; in JSON "one\u001ftwo\u001f"'
"""How they are sent, for people."""
_VALID = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


def input_name(column: str) -> str:
    """The column's own name where it can be one, else the nearest name that can.

    >>> input_name("user_id"), input_name("Price ($)"), input_name("2nd"), input_name("naïve")
    ('user_id', 'Price', 'column_2nd', 'naive')
    """
    if _VALID.fullmatch(column):
        return column
    plain = unicodedata.normalize("NFKD", column).encode("ascii", "ignore").decode()
    name = re.sub(r"[^A-Za-z0-9]+", "_", plain).strip("_")
    return name if _VALID.fullmatch(name) else f"column_{name}".rstrip("_")
