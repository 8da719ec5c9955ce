"""What the tests of engines share: a finished run, and pools of SDK harnesses."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import HOUSE, Run, dfei, run_dfei
from tests.models.test_replicas import free_ports

START_SECONDS = 120


@pytest.fixture(scope="package")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The pipeline on a small feed, on the direct runner."""
    folder = tmp_path_factory.mktemp("engines")
    made = dfei("simulate", folder / "data", "--domains", "5", "--rows", "6000", "--seed", "3")
    assert made.code == 0, made.text
    finished = run_dfei(folder / "data", folder / "root")
    assert finished.code == 0, finished.text
    return Run(folder / "data", folder / "root", finished)


def wait_for(port: int, what: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Waits until somebody listens."""
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        assert process.poll() is None, f"{what} ended:\n{log.read_text(errors='replace')[-3000:]}"
        time.sleep(0.3)
    pytest.fail(f"{what} did not start within {START_SECONDS} s:\n{log.read_text(errors='replace')[-3000:]}")


@contextlib.contextmanager
def service(what: str, port: int, command: list[str], folder: Path, **environment: str) -> Iterator[Path]:
    """A server process with a port; yields its log."""
    log = folder / f"{what}.log"
    with log.open("wb") as sink:
        process = subprocess.Popen(
            command, cwd=HOUSE, stdout=sink, stderr=sink, env={**os.environ, **environment}
        )
    try:
        wait_for(port, what, process, log)
        yield log
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(15)
        process.kill()


@contextlib.contextmanager
def worker_pool(folder: Path) -> Iterator[str]:
    """A worker pool: starts an SDK harness whenever the engine asks for one; yields its address."""
    [port] = free_ports(1)
    command = [sys.executable, "-m", "pipeline.worker_pool", f"--port={port}"]
    with service(f"worker-pool-{port}", port, command, folder):
        yield f"localhost:{port}"
