"""A clock that the test moves."""

from __future__ import annotations

from types import ModuleType

import pytest


class Clock:
    """Seconds as the test says."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        """The time."""
        return self.now


def moved_by_hand(monkeypatch: pytest.MonkeyPatch, *modules: ModuleType) -> Clock:
    """A clock that is `time` for these modules only.

    `time.monotonic` itself is everybody's: an event loop on another thread that asks it once while it is not the
    real one may sleep for hours.
    """
    clock = Clock()
    for module in modules:
        monkeypatch.setattr(module, "time", clock)
    return clock
