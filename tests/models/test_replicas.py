"""Several replicas train what one trains: the same moving averages and, up to rounding, the same weights."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from models.replicas import ALONE, Replicas, all_groups, own_copy, own_groups, sums
from models.schedule import Step
from models.settings import TrainingSettings

SIZES = {"layers": [8, 4], "embedding_size": 3, "head_hidden": 4}
STEPS = {
    "batch_size": 32,
    "domains_per_step": 5,
    "learning_rate": 0.01,
    "epochs": 2,
    "validation_min_rows": 20,
}
# An odd number of mini-batches: one replica's part ends with an empty one.
CASES = [
    ("dfei", {"name": "dfei", **SIZES, "embedding_l2": 0.01}, STEPS),
    ("dfei-resume", {"name": "dfei", **SIZES}, {**STEPS, "checkpoint_steps": 5, "steps_per_call": 2}),
    ("star-mixed", {"name": "star", **SIZES}, {**STEPS, "schedule": "mixed", "domains_per_step": 4}),
    ("aitm-mixed", {"name": "aitm", **SIZES}, {**STEPS, "schedule": "mixed", "domains_per_step": 4}),
    ("dfei-mixed", {"name": "dfei", **SIZES}, {**STEPS, "schedule": "mixed", "domains_per_step": 4}),
    (
        "dfei-batch",
        {"name": "dfei", **SIZES},
        {
            **STEPS,
            "loss_weighting": "batch",
            "refit": True,
            "warmup": 0.1,
            "learning_rate_schedule": "linear",
        },
    ),
]
# Float32 sums in another order, grown over the steps by Adam's division by small numbers.
TOLERANCE = 1e-4
STATES = ("domain_extraction/state", "domain_extraction/seen")


def _environment(**changes: str) -> dict[str, str]:
    return {**os.environ, "TF_USE_LEGACY_KERAS": "1", "TF_CPP_MIN_LOG_LEVEL": "2", **changes}


def _start(how: str, folder: Path, cases: list[tuple], **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.models.train_together", how, json.dumps(cases), str(folder)],
        env=_environment(**environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=Path(__file__).parents[2],
    )


def _end(process: subprocess.Popen[str]) -> None:
    output, _ = process.communicate(timeout=600)
    assert process.returncode == 0, output[-4000:]


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def _same(folder: Path, other: Path, name: str, worker: int) -> None:
    with np.load(folder / f"{name}-0.npz") as alone, np.load(other / f"{name}-{worker}.npz") as together:
        assert set(alone) == set(together)
        for key in alone:
            difference = np.abs(alone[key].astype(float) - together[key]).max()
            allowed = 1e-5 if any(state in key for state in STATES) else TOLERANCE
            assert difference <= allowed * max(1.0, np.abs(alone[key]).max()), f"{name}, {key}: {difference}"
        moved = [key for key in alone if any(state in key for state in STATES)]
        assert len(moved) == (2 if "dfei" in name else 0)
        assert all(np.abs(alone[key]).max() > 0 for key in moved)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one device makes of every case."""
    folder = tmp_path_factory.mktemp("alone")
    _end(_start("alone", folder, CASES))
    return folder


@pytest.mark.slow
def test_two_devices_of_one_machine_train_what_one_trains(alone: Path, tmp_path: Path) -> None:
    _end(_start("mirrored", tmp_path, CASES))
    for name, *_ in CASES:
        _same(alone, tmp_path, name, 0)


@pytest.mark.slow
def test_two_worker_processes_train_what_one_trains(alone: Path, tmp_path: Path) -> None:
    workers = [f"127.0.0.1:{port}" for port in free_ports(2)]
    processes = []
    for index in range(2):
        told = {"cluster": {"worker": workers}, "task": {"type": "worker", "index": index}}
        processes.append(_start("multi_worker", tmp_path, CASES, TF_CONFIG=json.dumps(told)))
    for process in processes:
        _end(process)
    for name, *_ in CASES:
        for worker in range(2):
            _same(alone, tmp_path, name, worker)


def test_a_step_is_dealt_out_and_filled_up() -> None:
    rows = np.arange(10).reshape(5, 2)
    step = Step(rows, np.ones((5, 2), np.float32), np.arange(5, dtype=np.int32))
    parts = [_of_two(worker).part(step) for worker in range(2)]
    assert [part.domains.tolist() for part in parts] == [[0, 2, 4], [1, 3, 0]]
    assert [part.weights.sum(1).tolist() for part in parts] == [[2, 2, 2], [2, 2, 0]]
    assert parts[0].rows.tolist() == rows[[0, 2, 4]].tolist()
    dealt = sorted(row for part in parts for row in part.rows[part.weights > 0].tolist())
    assert dealt == list(range(10))


def test_each_process_gets_as_many_rows_as_the_other():
    weights = np.zeros((6, 4), np.float32)
    for group, rows in enumerate([1, 4, 3, 1, 2, 4]):
        weights[group, :rows] = 1
    parts = [_of_two(worker).part(Step(np.zeros((6, 4), int), weights, np.arange(6))) for worker in range(2)]
    assert [part.weights.sum(1).tolist() for part in parts] == [[4, 3, 1], [4, 2, 1]]
    assert [part.domains.tolist() for part in parts] == [[1, 2, 0], [5, 4, 3]]


def _of_two(worker: int) -> Replicas:
    replicas = Replicas(workers=2, worker=worker)
    replicas.count = 2
    return replicas


def test_alone_nothing_is_changed() -> None:
    step = Step(np.zeros((3, 2), int), np.ones((3, 2), np.float32), np.arange(3, dtype=np.int32))
    assert ALONE.part(step) is step
    assert ALONE.is_chief
    assert ALONE.broadcast_from_chief(0.25) == 0.25
    value, variable = tf.constant([1.0, 2.0]), tf.Variable(1.0)
    assert sums([value])[0] is value
    assert all_groups(value)[0] is value
    assert own_groups(value) is value
    assert own_copy(variable) is variable


@pytest.mark.parametrize("schedule", ["cyclic", "interleaved"])
def test_steps_of_one_mini_batch_cannot_be_shared(schedule: str) -> None:
    with pytest.raises(ValueError, match="take schedule fused or mixed"):
        TrainingSettings(strategy="mirrored", schedule=schedule)
