"""Names that a declaration reserves, and what a misspelt one may mean."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

LOCAL_TIME = "local_time_ms"
BEHAVIOUR_PREFIX = "behaviour."
ROLES: tuple[str, ...] = ("domain", "user", "item")


def suggest(name: object, known: Iterable[object]) -> str:
    """' Did you mean x?' when some known name is close, ' Known: …' when they are few, else nothing."""
    names = sorted({str(candidate) for candidate in known})
    close = get_close_matches(str(name), names, n=3, cutoff=0.6)
    if close:
        return f" Did you mean {' or '.join(close)}?"
    return f" Known: {', '.join(names)}." if 0 < len(names) <= 12 else ""
