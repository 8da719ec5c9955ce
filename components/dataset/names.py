"""Names that a declaration reserves, and what a misspelt one may mean."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from itertools import combinations, pairwise

LOCAL_TIME = "local_time_ms"
BEHAVIOUR_PREFIX = "behaviour."
ROLES: tuple[str, ...] = ("domain", "user", "item")


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


def suggest(name: object, known: Iterable[object]) -> str:
    """' Did you mean x?' when some known name is close, ' Known: …' when they are few, else nothing."""
    names = sorted({str(candidate) for candidate in known})
    close = get_close_matches(str(name), names, n=3, cutoff=0.6)
    if close:
        return f" Did you mean {' or '.join(close)}?"
    return f" Known: {', '.join(names)}." if 0 < len(names) <= 12 else ""
