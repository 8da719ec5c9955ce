"""The peak memory of a part of a run counts this process and those it starts."""

from __future__ import annotations

import subprocess
import sys

from pipeline.memory import PeakMemory

HUNGRY = "block = b'x' * (200 << 20); import time; time.sleep(1)"


def test_the_memory_of_a_started_process_is_counted() -> None:
    with PeakMemory() as before:
        pass
    with PeakMemory() as memory:
        subprocess.run([sys.executable, "-c", HUNGRY], check=True)
    assert memory.megabytes > before.megabytes + 190
