"""Runs `dfei` on a pseudo-terminal, as at a screen, and reads what it shows."""

from __future__ import annotations

import dataclasses
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

HOUSE = Path(__file__).resolve().parents[3]


@dataclasses.dataclass(frozen=True)
class Shown:
    """What a command showed on its terminal, control sequences included, and its exit code."""

    code: int
    text: str


def at_a_terminal(
    *arguments: str,
    interrupt_at: str | None = None,
    answers: Sequence[tuple[str, str]] = (),
    environment: dict[str, str] | None = None,
    timeout: float = 120,
) -> Shown:
    """Runs `python -m pipeline` with a terminal for all three streams.

    Args:
      arguments: of the command.
      interrupt_at: Ctrl-C is pressed when this text is shown.
      answers: (text, line): the line is typed once the text is shown, in this order.
      environment: added to this process's.
      timeout: seconds.
    """
    own, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "pipeline", *arguments],
        cwd=HOUSE,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "120", **(environment or {})},
        start_new_session=True,
    )
    os.close(theirs)
    shown, pressed, ends = b"", False, time.monotonic() + timeout
    waiting = list(answers)
    while time.monotonic() < ends:
        if select.select([own], [], [], 0.1)[0]:
            try:
                part = os.read(own, 65_536)
            except OSError:  # Linux's way of saying that the other side is closed
                break
            if not part:
                break
            shown += part
        if waiting and waiting[0][0].encode() in shown:
            os.write(own, waiting.pop(0)[1].encode() + b"\n")
        if interrupt_at is not None and not pressed and interrupt_at.encode() in shown:
            pressed = True
            process.send_signal(signal.SIGINT)
    os.close(own)
    try:
        code = process.wait(timeout=max(1.0, ends - time.monotonic()))
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    return Shown(code, shown.decode(errors="replace"))
