"""How much memory a part of the run takes."""

from __future__ import annotations

import contextlib
import threading

import psutil

INTERVAL_SECONDS = 0.25
_MEGABYTE = 1 << 20


class PeakMemory:
    """Most resident memory of this process and those it started, while the block runs.

    Looked at four times a second: a shorter peak can be missed. Memory that processes share is counted in each.

    Attributes:
      megabytes: the most that was seen.
    """

    def __init__(self) -> None:
        self.megabytes = 0.0
        self._process = psutil.Process()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> PeakMemory:
        self._look()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()
        self._look()

    def _watch(self) -> None:
        while not self._done.wait(INTERVAL_SECONDS):
            self._look()

    def _look(self) -> None:
        resident = 0
        for process in [self._process, *self._process.children(recursive=True)]:
            # A process may end between being listed and being asked.
            with contextlib.suppress(psutil.Error):
                resident += process.memory_info().rss
        self.megabytes = max(self.megabytes, round(resident / _MEGABYTE, 1))
