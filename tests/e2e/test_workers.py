"""A run that trains with a second process gives what it gives alone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import HOUSE, SMALL, dfei, metrics, run_dfei
from tests.models.test_replicas import free_ports

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


def _start(index: int, ports: list[int], *arguments: str | Path) -> subprocess.Popen[str]:
    cluster = {"worker": [f"127.0.0.1:{port}" for port in ports]}
    told = json.dumps({"cluster": cluster, "task": {"type": "worker", "index": index}})
    return subprocess.Popen(
        [sys.executable, "-m", "pipeline", *map(str, arguments)],
        cwd=HOUSE,
        env={**os.environ, "TF_CONFIG": told, "COLUMNS": "200"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


# Each worker draws its own dropout: without it two are the same as one up to rounding.
SETTINGS = [*SMALL, "model.dropout=0", "model.id_dropout=0"]


@pytest.fixture(scope="module")
def alone(small_feed: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a run with one process finds."""
    root = tmp_path_factory.mktemp("alone")
    finished = run_dfei(small_feed, root, SETTINGS)
    assert finished.code == 0, finished.text
    return metrics(root)


def _start_both(root: Path, data: Path) -> list[subprocess.Popen[str]]:
    """The chief, and worker 1."""
    ports = free_ports(2)
    sets = [part for setting in [*SETTINGS, "training.strategy=multi_worker"] for part in ("--set", setting)]
    second = _start(1, ports, "worker", "--root", root)
    chief = _start(0, ports, "run", "--dataset", "simulated", "--data", data, "--root", root, *sets)
    return [chief, second]


def _ended(processes: list[subprocess.Popen[str]]) -> tuple[list[int], str]:
    outputs = [process.communicate(timeout=1500)[0] for process in processes]
    return [process.returncode for process in processes], "\n".join(outputs)


def test_a_worker_that_dies_and_returns(small_feed: Path, alone: dict[str, Any], tmp_path: Path) -> None:
    root = tmp_path / "root"
    processes = _start_both(root, small_feed)
    end = time.monotonic() + 900
    while not list(root.glob("work/trainer-*/checkpoints/*.index")):
        assert time.monotonic() < end and all(process.poll() is None for process in processes)
        time.sleep(0.1)
    os.killpg(processes[1].pid, signal.SIGKILL)
    (code, killed), text = _ended(processes)
    assert killed == -signal.SIGKILL
    assert code == 4, text
    assert "training goes on from its last checkpoint" in text
    assert list(root.glob("work/trainer-*/checkpoints/*.index"))

    codes, text = _ended(_start_both(root, small_feed))
    assert codes == [0, 0], text
    assert metrics(root)["average_auc"] == pytest.approx(alone["average_auc"], abs=1e-3)
    assert not list((root / "work").iterdir())


def test_two_workers_push_the_model_that_one_pushes(
    small_feed: Path, alone: dict[str, Any], tmp_path: Path
) -> None:
    root = tmp_path / "root"
    codes, text = _ended(_start_both(root, small_feed))
    assert codes == [0, 0], text

    together = metrics(root)
    assert together["rows"] == alone["rows"]
    assert together["average_auc"] == pytest.approx(alone["average_auc"], abs=1e-3)
    assert together["log_loss"] == pytest.approx(alone["log_loss"], abs=1e-3)
    assert (Path(together["pushed_to"]) / "saved_model.pb").is_file()
    [facts] = (root / "artifacts").rglob("training.json")
    assert json.loads(facts.read_text())["replicas"] == 2
    assert not list((root / "work").iterdir())


def test_a_run_without_its_list_of_workers_does_not_start(tmp_path: Path) -> None:
    root = tmp_path / "root"
    done = dfei("run", "--dataset", "simulated", "--root", root, "--set", "training.strategy=multi_worker")
    assert done.code == 2
    assert "TF_CONFIG is not set" in done.text
    assert not root.joinpath("artifacts").exists()
