"""Names that a declaration reserves, and what a misspelt one may mean."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches
from itertools import combinations, pairwise
from typing import Literal, TypeGuard, get_args

LOCAL_TIME = "local_time_ms"
BEHAVIOUR_PREFIX = "behaviour."
DateOrder = Literal["iso", "dmy", "mdy"]
"""How dates are written, as in `Timestamp.unit`."""
Written = Literal["plain", "point", "comma", "iso", "dmy", "mdy"]
"""How numbers are written; see `components.dataset.written`. Dates are the days since 1970."""
WRITTEN: tuple[Written, ...] = get_args(Written)
ROLES: tuple[str, ...] = ("domain", "user", "item")


def is_date(written: str) -> TypeGuard[DateOrder]:
    """Whether a writing is that of dates."""
    return written in get_args(DateOrder)


def key_readings(text: str, parts: int = 2) -> Iterator[tuple[str, ...]]:
    """Every way to read `KEY` or `COLUMN:KEY` (or, of three parts, `COLUMN:KEY:PREFIX`), as names may hold colons.

    >>> list(key_readings("a:b:c"))
    [('a:b:c',), ('a', 'b:c'), ('a:b', 'c')]
    """
    pieces = text.split(":")
    for count in range(1, parts + 1):
        for ends in combinations(range(1, len(pieces)), count - 1):
            bounds = (0, *ends, len(pieces))
            yield tuple(":".join(pieces[a:b]) for a, b in pairwise(bounds))


def meant(name: object, known: Iterable[object], cutoff: float = 0.6) -> str:
    """The known names that are close to one that is none of them, as 'x or y'; nothing where none is.

    One that looks on a screen as what was typed (a space behind it, a letter of another script) is shown with its
    characters' numbers.

    >>> meant("user", ["users", "user\\u200b"])
    "'user\\\\u200b' or users"
    """
    text = str(name)
    names = list(dict.fromkeys(str(candidate) for candidate in known))
    close = [match for match in get_close_matches(text, names, n=4, cutoff=cutoff) if match != text][:3]
    return " or ".join(ascii(match) if _look(match) == _look(text) else match for match in close)


def _look(name: str) -> str:
    """The letters that a name seems to have: without what is not seen, those of other scripts as Latin ones."""
    seen = []
    for letter in unicodedata.normalize("NFKC", name):
        if unicodedata.category(letter)[0] in "CZ":
            continue
        title, _, last = unicodedata.name(letter, "").rpartition(" ")
        if not letter.isascii() and len(last) == 1:
            letter = last.lower() if "SMALL" in title else last
        seen.append(letter)
    return "".join(seen)


def suggest(name: object, known: Iterable[object]) -> str:
    """' Did you mean x?' when some known name is close, ' Known: …' when they are few, else nothing.

    >>> suggest("lr", ["learning_rate", "epochs"])
    ' Did you mean learning_rate?'
    """
    names = sorted({str(candidate) for candidate in known})
    if close := meant(name, names) or " or ".join(_short_for(str(name).lower(), names)):
        return f" Did you mean {close}?"
    return f" Known: {', '.join(names)}." if 0 < len(names) <= 12 else ""


def _short_for(name: str, names: Sequence[str]) -> list[str]:
    """Names of which this is the initials, a word or the beginning of one: `lr`, `rate`, `drop`."""
    words = {known: known.lower().replace("-", "_").split("_") for known in names}
    if len(name) < 2:
        return []
    initials = [known for known, parts in words.items() if "".join(part[:1] for part in parts) == name]
    begun = [known for known, parts in words.items() if any(part.startswith(name) for part in parts)]
    return (initials or (begun if len(name) > 2 else []))[:3]
