"""Where a command works, whichever it is."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from pipeline.place import place
from pipeline.request import RunRequest, declared


@pytest.fixture
def collector() -> Iterator[int]:
    """How many new objects the collector waits for; all of it is put back."""
    before = gc.get_threshold()
    gc.set_threshold(700)
    yield 700
    gc.set_threshold(*before)
    gc.unfreeze()


def test_whoever_holds_a_root_has_the_collector_look_seldom(tmp_path: Path, collector: int) -> None:
    # A day that walked through TensorFlow's modules and graphs again and again cost a twelfth more, at load a fifth.
    request = RunRequest("simulated", None, tmp_path)
    with place(request, declared("simulated", [], None), Console(quiet=True), connect=False):
        assert gc.get_threshold()[0] > 10 * collector
        assert gc.get_freeze_count() > 0
