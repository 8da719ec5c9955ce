"""Worker processes: their threads, their end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from components.errors import InputError
from pipeline.compare.workers import WorkerPool
from tests.e2e.conftest import HOUSE

PARENT = """
import os, time
from pipeline.compare.workers import WorkerPool

if __name__ == "__main__":
    with WorkerPool(1, 1, print) as pool:
        print(pool._pool.submit(os.getpid).result(), flush=True)
        pool._pool.submit(time.sleep, 600)
        time.sleep(600)
"""


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_worker_ends_with_its_parent_even_while_it_works(tmp_path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    environment = {**os.environ, "PYTHONPATH": str(HOUSE)}
    with subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, text=True, env=environment
    ) as parent:
        assert parent.stdout is not None
        worker = int(parent.stdout.readline())
        assert _alive(worker)
        parent.send_signal(signal.SIGKILL)
    end = time.monotonic() + 60
    while _alive(worker) and time.monotonic() < end:
        time.sleep(0.1)
    assert not _alive(worker)


def test_a_worker_has_its_share_of_threads() -> None:
    with WorkerPool(1, 3, print) as pool:
        for name in ("TF_NUM_INTRAOP_THREADS", "OMP_NUM_THREADS"):
            assert pool._pool.submit(os.getenv, name).result() == "3"


def test_a_worker_that_is_killed_is_a_message() -> None:
    with WorkerPool(1, 1, print) as pool:
        pool._pool.submit(os._exit, 1).exception()
        with pytest.raises(InputError, match=r"Trainer\.star\.1 .*fewer --jobs"):
            pool.execute("Trainer.star.1", b"", b"", False)
