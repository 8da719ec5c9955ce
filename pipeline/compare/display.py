"""What a comparison shows while it runs: every component at work, how far each is, what came from the cache."""

from __future__ import annotations

import threading
import time

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from components import progress
from pipeline.compare.create import CHAMPION
from pipeline.events import NodeRun, NodeStarted
from pipeline.screen import as_is, line, visible
from pipeline.terminal import title

_PLAIN_INTERVAL_SECONDS = 30.0
_NAMED = 3


def node_title(node: str) -> str:
    """A component's id as people say it: "Trainer star, seed 2"."""
    component, *names = node.split(".")
    words = title(component)
    if names:
        words += f" {names[0]}"
    return f"{words}, seed {names[1]}" if len(names) > 1 else words


class CompareDisplay:
    """Live bars on a terminal, else a line per component and now and then one per component at work.

    Args:
      console: where to show it.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = console.is_terminal and not console.quiet
        self._bars = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=20),
            TextColumn("{task.fields[detail]}", markup=False),
            TimeElapsedColumn(),
            console=console,
            transient=True,
        )
        self._tasks: dict[str, TaskID] = {}
        self._whole: TaskID | None = None
        self._lines: dict[str, float] = {}
        self._done = 0
        self._cached: list[str] = []
        self._lock = threading.Lock()

    def __enter__(self) -> CompareDisplay:
        if self._live:
            self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._bars.stop()
        if self._cached:
            named = ", ".join(self._cached[:_NAMED]) + (" ..." if len(self._cached) > _NAMED else "")
            self._console.print(
                f"[dim]=[/] {len(self._cached)} of {self._done} from the cache: {as_is(named)}",
                highlight=False,
            )

    def node(self, event: NodeStarted | NodeRun) -> None:
        """A component began or ended."""
        with self._lock:
            if isinstance(event, NodeStarted):
                self._begin(event)
            else:
                self._end(event)

    def progress(self, node: str, event: progress.Progress) -> None:
        """A component says how far it is."""
        detail = line(event, None)
        with self._lock:
            if self._live and node in self._tasks:
                self._bars.update(
                    self._tasks[node], completed=event.done, total=event.total, detail=visible(detail)
                )
            elif not self._live and time.monotonic() - self._lines.get(node, 0.0) > _PLAIN_INTERVAL_SECONDS:
                self._lines[node] = time.monotonic()
                self._console.print(f"  {node_title(node)}: {as_is(detail)}", highlight=False)

    def _begin(self, event: NodeStarted) -> None:
        self._lines[event.node] = time.monotonic()
        if not self._live:
            return
        if self._whole is None:
            self._whole = self._bars.add_task("components", total=event.total, detail="")
        self._tasks[event.node] = self._bars.add_task(node_title(event.node), total=None, detail="")

    def _end(self, event: NodeRun) -> None:
        self._done += 1
        if self._live and event.node in self._tasks:
            self._bars.remove_task(self._tasks.pop(event.node))
        if self._whole is not None:
            self._bars.update(self._whole, completed=self._done, detail=f"{self._done} done")
        if event.node == CHAMPION:
            return
        if event.cached:
            self._cached.append(node_title(event.node))
            return
        self._console.print(
            f"[green]✓[/] {as_is(node_title(event.node)):<44} {event.seconds:.1f} s", highlight=False
        )
