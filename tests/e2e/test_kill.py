"""Killed at any moment and started again, a run finishes, and the serving directory never holds a broken version."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.e2e.conftest import HOUSE, SMALL, metrics, run_dfei, versions_are_whole

KILLS = 6


@pytest.mark.slow
def test_killed_again_and_again_it_finishes(small_feed: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    sets = [part for setting in SMALL for part in ("--set", setting)]
    command = [sys.executable, "-m", "pipeline", "run", "--dataset", "simulated", "--data", str(small_feed)]
    command += ["--root", str(root), *sets]
    generator = random.Random(5)
    for _ in range(KILLS):
        process = subprocess.Popen(
            command, cwd=HOUSE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        time.sleep(generator.uniform(15, 90))
        process.send_signal(signal.SIGKILL)
        process.wait()
        versions_are_whole(root)
    finished = run_dfei(small_feed, root)
    assert finished.code == 0, finished.text
    versions_are_whole(root)
    pushed = Path(metrics(root)["pushed_to"])
    assert (pushed / "saved_model.pb").is_file()


@pytest.mark.slow
def test_interrupted_it_says_how_to_go_on(small_feed: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pipeline", "run", "--dataset", "simulated", "--data", str(small_feed)]
    command += ["--root", str(tmp_path / "root")]
    process = subprocess.Popen(command, cwd=HOUSE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    # In the middle, however fast the machine is.
    next(line for line in process.stdout if "ExampleGen" in line)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 130, err
    assert "goes on from here" in err
    assert "Traceback" not in err
