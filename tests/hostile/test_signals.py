"""SIGTERM and SIGINT while a server waits for a version, or loads one: it ends at once, and with exit code 0."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.e2e.conftest import HOUSE
from tests.pipeline.serving.models import NAME, copy_version

# A model whose load takes as long as one of many GB: a step of C++ in which Python hears no signal.
SLOW = """
import ctypes, sys
from pipeline.serving import saved_model
class Slow(saved_model.LoadedModel):
    def __init__(self, *arguments):
        print("loading", flush=True)
        ctypes.CDLL(None).sleep(60)
saved_model.LoadedModel = Slow
from pipeline.serving import serve
from pipeline.cli import main
sys.argv = ["dfei", "serve", *sys.argv[1:], "--rest-port", "0", "--grpc-port", "0"]
main()
"""


def ends(process: subprocess.Popen[str], number: int) -> str:
    process.send_signal(number)
    try:
        out, _ = process.communicate(timeout=20)
    finally:
        process.kill()
    assert process.returncode == 0, out
    assert "stopped before a model was loaded" in out
    assert "Traceback" not in out
    return out


def start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=HOUSE
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_while_it_waits_for_a_first_version(tmp_path: Path, number: int) -> None:
    (tmp_path / NAME).mkdir()
    words = ("serve", str(tmp_path / NAME), "--wait-seconds", "600", "--rest-port", "0", "--grpc-port", "0")
    process = start("-m", "pipeline", *words)
    # TensorFlow is being imported: by then the handlers are there.
    deadline = time.monotonic() + 60
    while "tensorflow" not in Path(f"/proc/{process.pid}/maps").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    ends(process, number)


def test_while_it_loads(pushed: Path, tmp_path: Path) -> None:
    copy_version(pushed / "1", tmp_path / NAME, 1)
    process = start("-c", SLOW, str(tmp_path / NAME))
    assert process.stdout is not None
    assert any(line.strip() == "loading" for line in process.stdout)
    ends(process, signal.SIGTERM)
