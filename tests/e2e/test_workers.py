"""A run that trains with a second process gives what it gives alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

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
    )


def test_two_workers_push_the_model_that_one_pushes(small_feed: Path, tmp_path: Path) -> None:
    # Each worker draws its own dropout: without it the two are the same up to rounding.
    settings = [*SMALL, "model.dropout=0", "model.id_dropout=0"]
    finished = run_dfei(small_feed, tmp_path / "alone", settings)
    assert finished.code == 0, finished.text

    root, ports = tmp_path / "root", free_ports(2)
    sets = [part for setting in [*settings, "training.strategy=multi_worker"] for part in ("--set", setting)]
    second = _start(1, ports, "worker", "--root", root)
    chief = _start(0, ports, "run", "--dataset", "simulated", "--data", small_feed, "--root", root, *sets)
    outputs = [process.communicate(timeout=1500)[0] for process in (chief, second)]
    assert [chief.returncode, second.returncode] == [0, 0], "\n".join(outputs)

    alone, together = metrics(tmp_path / "alone"), metrics(root)
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
