"""The resident memory of this process: the kernel's high-water mark, and what was freed and is held."""

from __future__ import annotations

import contextlib
import ctypes
from pathlib import Path

_PROCESS = Path("/proc/self")


def forget_peak() -> bool:
    """Has the kernel's high-water mark begin anew at what is resident now; whether it does."""
    try:
        (_PROCESS / "clear_refs").write_text("5")
    except OSError:
        return False
    return peak_memory() > 0


def peak_memory() -> int:
    """The high-water mark in bytes; 0 where the system has none."""
    with contextlib.suppress(OSError):
        for line in (_PROCESS / "status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) << 10
    return 0


def give_back() -> None:
    """Has the C library give freed memory back to the system, where it can.

    It keeps much of what large arrays took, beside which all that comes after is counted.
    """
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)
