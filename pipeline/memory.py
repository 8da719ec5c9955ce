"""How much memory a part of the run takes."""

from __future__ import annotations

import contextlib
import os
import threading
from pathlib import Path

import psutil

from components.peak_memory import forget_peak, peak_memory

INTERVAL_SECONDS = 0.25
_MEGABYTE = 1 << 20
_PAGE = os.sysconf("SC_PAGE_SIZE")
_PROCESSES = Path("/proc")


class PeakMemory:
    """Most resident memory of this process and those it started, while the block runs.

    Of this process alone it is the kernel's own high-water mark, which misses nothing. While processes that it started
    are there, all are looked at four times a second: a shorter peak can be missed. Memory that processes share is
    counted in each. Nobody else's process is looked at: to list a busy machine's costs more than some components do.

    Attributes:
      megabytes: the most that was seen; 0 on a system without `/proc`.
    """

    def __init__(self) -> None:
        self.megabytes = 0.0
        self._marked = False
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> PeakMemory:
        self._marked = forget_peak()
        self._look()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()
        self._look()
        if self._marked:
            self._saw(peak_memory())

    def _watch(self) -> None:
        while not self._done.wait(INTERVAL_SECONDS):
            self._look()

    def _look(self) -> None:
        started = _descendants()
        if started or not self._marked:
            self._saw(sum(_resident(process) for process in ("self", *started)))

    def _saw(self, resident: int) -> None:
        self.megabytes = max(self.megabytes, round(resident / _MEGABYTE, 1))


def machine_memory() -> int:
    """Bytes that this process may use: the machine's, or its control group's where that is less."""
    total = psutil.virtual_memory().total
    with contextlib.suppress(OSError, ValueError):
        total = min(total, int(Path("/sys/fs/cgroup/memory.max").read_text()))
    return total


def _resident(process: str) -> int:
    # A process may end between being listed and being asked.
    with contextlib.suppress(OSError):
        return int((_PROCESSES / process / "statm").read_text().split()[1]) * _PAGE
    return 0


def _descendants() -> list[str]:
    """The processes that this one started, and theirs."""
    try:
        # Asks, and takes no ended process away from whoever waits for it. One call, where lists are one a thread.
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return []
    found = _children("self")
    for process in found:
        found += _children(process)
    return found


def _children(process: str) -> list[str]:
    found: list[str] = []
    with contextlib.suppress(OSError):
        for thread in os.scandir(_PROCESSES / process / "task"):
            with contextlib.suppress(OSError):
                found += Path(thread.path, "children").read_text().split()
    return found
