"""What a run shows: progress on a terminal, plain lines when piped, and the libraries' chatter in a log file."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text

from components import progress
from pipeline.events import NodeRun, NodeStarted
from pipeline.screen import PLAIN_INTERVAL_SECONDS, Remaining, Screen, as_is, line, roughly, visible

_TITLES = {
    "DeclaredExampleGen": "ExampleGen",
    "ImportSchemaGen": "Schema",
    "StrictExampleValidator": "ExampleValidator",
    "AtomicPusher": "Pusher",
    "baseline": "Baseline",
}
# They look up what is there.
_SILENT = ("baseline", "InService", "PriorState", "EarlierRun")

# It judges a day before anything of it is learned.
_WHOLE_DAY = ("Progressive",)

# The rows that these steps of other components go through.
_SPLITS_OF = {
    "counting values": ("train", "eval"),
    "analysing rows": ("train",),
    "transforming rows": ("train", "eval"),
    "reading rows": ("train",),
    "scoring rows": ("eval",),
}


def _rows_by_split(example_gen: NodeRun) -> dict[str, int]:
    """How many rows there are, as ExampleGen reported."""
    report = example_gen.uri("examples") / "ingest_report.json"
    if not report.is_file():
        return {}
    found = json.loads(report.read_text())
    return {split: int(found[split]) for split in ("train", "eval")}


def title(node: str) -> str:
    """A component's name as users know it."""
    return _TITLES.get(node, node)


@contextmanager
def libraries_to(log: Path, quiet: bool = False, as_json: bool = False) -> Iterator[Console]:
    """Sends everything this process prints, C++ libraries included, to `log`.

    Args:
      log: the log file; made with its folder.
      quiet: the console shows nothing.
      as_json: standard output is kept for one JSON document.

    Yields:
      A console on what was standard output, or standard error where that is kept for JSON.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    saved = [os.dup(1), os.dup(2)]
    with log.open("ab") as sink:
        os.dup2(sink.fileno(), 1)
        os.dup2(sink.fileno(), 2)
    terminal = os.fdopen(os.dup(saved[1 if as_json else 0]), "w", encoding="utf-8")
    try:
        yield Screen(file=terminal, quiet=quiet, soft_wrap=not terminal.isatty())
    finally:
        _empty(sys.stdout, 1)
        _empty(sys.stderr, 2)
        terminal.close()
        for descriptor, original in enumerate(saved, 1):
            os.dup2(original, descriptor)
            os.close(original)


def _empty(stream: TextIO, descriptor: int) -> None:
    """Flushes; on a full disk the rest is dropped, lest it come out on the terminal."""
    try:
        stream.flush()
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, descriptor)
        os.close(nowhere)
        stream.flush()


@contextmanager
def chatter_hidden(quiet: bool = False) -> Iterator[Console]:
    """Keeps what libraries print on standard error off the screen; standard output is left alone.

    Args:
      quiet: the console shows nothing.

    Yields:
      A console on what was standard error.
    """
    sys.stderr.flush()
    saved = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    terminal = os.fdopen(os.dup(saved), "w", encoding="utf-8")
    try:
        yield Screen(file=terminal, quiet=quiet)
    finally:
        sys.stderr.flush()
        terminal.close()
        os.dup2(saved, 2)
        os.close(saved)


class _Left(ProgressColumn):
    """The time that is left: from what was done so far, else from how long it took last time."""

    def render(self, task: Task) -> Text:
        """ "0:12 left", or nothing where there is no telling."""
        left = task.time_remaining if task.total else None
        expected = task.fields.get("expected")
        if left is None and expected is not None and task.elapsed is not None:
            left = max(0.0, expected - task.elapsed)
        if left is None:
            return Text("")
        return Text(f"about {roughly(left)} left", style="progress.remaining")


class RunDisplay:
    """Shows which component runs, how far it is, when it may end, and how long each took.

    Args:
      console: where to show it; a live bar on a terminal, else a line per component and one every ten seconds.
      last_time: seconds that each component took in an earlier run, by its title.
    """

    def __init__(self, console: Console, last_time: Mapping[str, float] | None = None) -> None:
        self._last_time = dict(last_time or {})
        self._rows: dict[str, int] = {}
        self._console = console
        self._live = console.is_terminal and not console.quiet
        self._bars = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[detail]}", markup=False),
            TimeElapsedColumn(),
            _Left(),
            console=console,
            transient=True,
        )
        self._task = self._bars.add_task("starting", total=None, detail="", expected=None)
        self._last_line = 0.0
        self._remaining = Remaining()
        self._node = ""
        self._place = ""
        self._expected: float | None = None
        self._cached: list[str] = []

    def __enter__(self) -> RunDisplay:
        if self._live:
            self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._bars.stop()
        self._say_cached()

    def node(self, event: NodeStarted | NodeRun) -> None:
        """A component began or ended."""
        if isinstance(event, NodeStarted):
            self._node = event.node
            self._place = f"{event.position}/{event.total} {title(event.node)}"
            expected = self._last_time.get(title(event.node))
            self._bars.reset(self._task, description=self._place, total=None, detail="", expected=expected)
            self._last_line = time.monotonic()
            self._expected = expected
            return
        if event.node in _SILENT:
            return
        if event.node == "DeclaredExampleGen":
            self._rows = _rows_by_split(event)
        if event.cached:
            self._cached.append(title(event.node))
            return
        self._say_cached()
        self._console.print(f"[green]✓[/] {title(event.node):<18} {event.seconds:.1f} s", highlight=False)

    def _say_cached(self) -> None:
        """The components that came from the cache since the last one that ran, in one line."""
        if self._cached:
            self._console.print(f"[dim]=[/] from the cache: {', '.join(self._cached)}", highlight=False)
            self._cached.clear()

    def note(self, text: str) -> None:
        """A component says what should be read, though the run goes on."""
        self._console.print(f"[yellow]![/] {as_is(text)}", highlight=False)

    def progress(self, event: progress.Progress) -> None:
        """A component says how far it is."""
        if event.total is None and self._rows and event.step in _SPLITS_OF:
            splits = tuple(self._rows) if self._node in _WHOLE_DAY else _SPLITS_OF[event.step]
            rows = sum(self._rows[split] for split in splits)
            event = dataclasses.replace(event, total=rows)
        left = self._remaining.seconds(event)
        if not self._live and self._expected is not None and self._expected > PLAIN_INTERVAL_SECONDS:
            # Said of what runs: what comes from the cache reports nothing.
            self._console.print(f"  {self._place}: {roughly(self._expected)} last time", highlight=False)
        self._expected = None
        if self._live:
            # The bar has its own column for the time that is left.
            detail = visible(line(event, None))
            self._bars.update(self._task, completed=event.done, total=event.total, detail=detail)
        elif time.monotonic() - self._last_line > PLAIN_INTERVAL_SECONDS:
            self._last_line = time.monotonic()
            self._console.print(f"  {self._place}: {as_is(line(event, left))}", highlight=False)
