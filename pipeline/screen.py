"""What commands show while they work: a bar on a terminal, plain lines elsewhere, one JSON document with `--json`."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from components import progress

PLAIN_INTERVAL_SECONDS = 10.0


# What a terminal obeys: ESC and the rest of C0 (line breaks and tabs are layout), DEL, C1, and what turns the direction
# of writing.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def visible(text: str) -> str:
    """A text with its control characters shown, not obeyed.

    >>> visible("a\x1b[2Jb\x9b")
    'a\\\\x1b[2Jb\\\\x9b'
    """
    return _CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def as_is(value: object) -> str:
    """Data, names and paths for a text with markup: they are shown as they are, brackets and control characters too."""
    return escape(visible(str(value)))


class Screen(Console):
    """The console of every command: `:fire:` is six letters, and control characters of data are shown.

    Words of our own may carry markup; data goes into them through `as_is`, or is printed with `markup=False`.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(emoji=False, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        """Turns a text into what is printed; rich calls it for everything that is a plain `str`."""
        return super().render_str(visible(text), **{**options, "emoji": False})


def command_console(quiet: bool = False, as_json: bool = False) -> Console:
    """Where a command shows progress and words: standard output, or standard error where that is kept for JSON.

    Colours and bars are for terminals, and not there where `NO_COLOR` is set.
    """
    return Screen(stderr=as_json, quiet=quiet)


def print_json(document: Any) -> None:
    """The command's result as the one JSON document on standard output."""
    sys.stdout.write(json.dumps(document, indent=1, allow_nan=False, default=str) + "\n")
    sys.stdout.flush()


class Remaining:
    """Estimates when a step ends, from how far it came since it began."""

    def __init__(self) -> None:
        self._step = ""
        self._began = 0.0
        self._first = 0

    def seconds(self, event: progress.Progress) -> float | None:
        """Seconds left; None where the end is not known, or too little was done to tell."""
        now = time.monotonic()
        if event.step != self._step or event.done < self._first:
            self._step, self._began, self._first = event.step, now, event.done
        done, passed = event.done - self._first, now - self._began
        if event.total is None or done <= 0 or passed < 1.0:
            return None
        return max(0.0, (event.total - event.done) * passed / done)


def roughly(seconds: float) -> str:
    """ "40 s", "3 min", "2 h": an estimate is not exact to the second."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 90 * 60 else f"{seconds / 3600:.0f} h"


def _counted(event: progress.Progress) -> str:
    """ "24,518 of 131,651 rows"; empty before anything is counted."""
    if event.done == 0 and event.total is None:
        return ""
    total = "" if event.total is None else f" of {event.total:,}"
    return f"{event.done:,}{total} {event.unit}"


def line(event: progress.Progress, left: float | None) -> str:
    """ "training: 24,518 of 131,651 rows, about 12 s left, loss 0.6031"; the step alone before anything is counted."""
    counted = _counted(event)
    parts = [f"{event.step}: {counted}" if counted else event.step]
    if left is not None:
        parts.append(f"about {roughly(left)} left")
    if event.note:
        parts.append(event.note)
    return ", ".join(parts)


class Steps:
    """The progress of a command, as a context; call it with what is done.

    Args:
      console: a live bar on a terminal, else a line every ten seconds; nothing where it is quiet.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = console.is_terminal and not console.quiet
        self._bars = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[detail]}", markup=False),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not self._live,
        )
        self._task = self._bars.add_task("starting", total=None, detail="")
        self._remaining = Remaining()
        self._last_line = time.monotonic()

    def __enter__(self) -> Steps:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Takes the bar off the screen inside the block, to ask something."""
        self._bars.stop()
        try:
            yield
        finally:
            self._bars.start()

    def __call__(self, event: progress.Progress) -> None:
        """Something is done."""
        left = self._remaining.seconds(event)
        if self._live:
            self._bars.update(
                self._task,
                description=event.step,
                completed=event.done,
                total=event.total,
                detail=_counted(event),
            )
        elif time.monotonic() - self._last_line > PLAIN_INTERVAL_SECONDS:
            self._last_line = time.monotonic()
            self._console.print(line(event, left), highlight=False, markup=False)
