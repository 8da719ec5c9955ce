"""The peak memory of a part of a run counts this process and those it starts, and no other part's."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pipeline import memory
from pipeline.memory import PeakMemory

HUNGRY = "block = b'x' * (200 << 20); import time; time.sleep(1)"
HUNGRY_CHILD = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {HUNGRY!r}], check=True)"


def nothing() -> float:
    with PeakMemory() as before:
        pass
    return before.megabytes


@pytest.mark.parametrize("program", [HUNGRY, HUNGRY_CHILD], ids=["child", "child's child"])
def test_the_memory_of_a_started_process_is_counted(program: str) -> None:
    before = nothing()
    with PeakMemory() as peak:
        subprocess.run([sys.executable, "-c", program], check=True)
    assert peak.megabytes > before + 190


def test_a_short_peak_of_this_process_is_counted_and_not_the_next_blocks() -> None:
    before = nothing()
    with PeakMemory() as peak:
        block = b"x" * (200 << 20)
        del block
    assert before + 190 < peak.megabytes
    assert nothing() < before + 100


def test_where_the_kernel_keeps_no_mark_it_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "forget_peak", lambda: False)
    before = nothing()
    with PeakMemory() as peak:
        block = b"x" * (200 << 20)
    del block
    assert before > 0
    assert peak.megabytes > before + 190


def test_an_ended_process_is_left_to_whoever_waits_for_it() -> None:
    process = subprocess.Popen([sys.executable, "-c", "raise SystemExit(3)"])
    with PeakMemory():
        assert process.wait() == 3
