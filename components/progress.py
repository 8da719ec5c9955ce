"""How components tell whoever watches a run how far they are.

A component reports; a listener (the terminal, a log) shows. Without a listener, reports go to the log.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_LOG = logging.getLogger("dfei.progress")


@dataclasses.dataclass(frozen=True)
class Progress:
    """One report.

    Attributes:
      step: what is being done, in a few words ("training", "reading rows").
      done: units done so far.
      total: units in all; `None` where that is not known.
      unit: what is counted ("rows", "epochs").
      note: a figure worth showing beside it (a loss, an AUC).
    """

    step: str
    done: int
    total: int | None = None
    unit: str = "rows"
    note: str = ""


def _log(progress: Progress) -> None:
    total = "" if progress.total is None else f" of {progress.total:,}"
    _LOG.info("%s: %s%s %s %s", progress.step, f"{progress.done:,}", total, progress.unit, progress.note)


_listener: Callable[[Progress], None] = _log
_reader: Callable[[str], None] | None = None


def report(progress: Progress) -> None:
    """Hands a report to the listener."""
    _listener(progress)


def note(text: str) -> None:
    """Hands on what whoever started the run should read, though it goes on; it is in the log in any case."""
    _LOG.warning(text)
    if _reader is not None:
        _reader(text)


@contextmanager
def listening(
    listener: Callable[[Progress], None], reader: Callable[[str], None] | None = None
) -> Iterator[None]:
    """Sends the reports of this process to `listener` inside the block, and its notes to `reader`."""
    global _listener, _reader
    previous = _listener, _reader
    _listener, _reader = listener, reader or _reader
    try:
        yield
    finally:
        _listener, _reader = previous
