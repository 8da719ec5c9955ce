"""From whatever was raised to one message and an exit code."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator

from components.errors import GateError, InputError

_FULL_DISK_TEXTS = ("No space left on device", "database or disk is full", "Disk quota exceeded")


def chain(error: BaseException) -> Iterator[BaseException]:
    """The error and what it came from, outermost first."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = current.__cause__ or current.__context__


def explain(error: BaseException) -> tuple[str, int] | None:
    """What a person should read of an error, and the exit code.

    Args:
      error: what a command raised.

    Returns:
      Message and exit code, or `None` for an error that is nobody's input: a defect, which keeps its traceback.
    """
    for link in chain(error):
        if isinstance(link, (InputError, GateError)):
            return str(link), link.exit_code
        if isinstance(link, OSError) and link.errno in (errno.ENOSPC, errno.EDQUOT):
            return (
                f"the disk is full: {link.filename or 'no room to write'}. Free some space and run again",
                2,
            )
        if isinstance(link, PermissionError):
            return f"{link.filename}: no permission ({link.strerror}). Make it accessible and run again", 2
        if isinstance(link, sqlite3.Error) or any(text in str(link) for text in _FULL_DISK_TEXTS):
            text = next((text for text in _FULL_DISK_TEXTS if text in str(link)), None)
            if text is not None:
                return f"the disk is full ({text}). Free some space and run again", 2
    return None
