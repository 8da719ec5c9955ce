"""What a second process saves the Trainer: one epoch by so many processes, each with a core of its own, in turns.

    dfei run --dataset simulated --data feed --root out/feed
    python -m benchmarks.epochs out/feed --workers 1 2 --times 2

The rows are those that Transform left in the root of a finished run. Of every epoch: wall seconds, CPU seconds of all
processes, steps a second, each without the first call, in which TensorFlow traces and compiles the step.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

_MODULE = "benchmarks.epochs"


class _Clock:
    """Wall and processor seconds from the first call's end to the last one's; `models.training.train` tells it."""

    def __init__(self) -> None:
        self._first: tuple[int, float, float] | None = None
        self.found: dict[str, float] = {}

    def on_step(self, rows_done: int, rows_total: int, loss: float) -> None:
        """Some steps are done."""
        now = rows_done, time.perf_counter(), time.process_time()
        if self._first is None:
            self._first = now
        rows, wall, cpu = (last - first for last, first in zip(now, self._first, strict=True))
        self.found = {"rows": rows, "wall": wall, "cpu": cpu, "loss": loss}

    def on_epoch(self, record: Any) -> None:
        """The epoch is done."""


def train_epoch(root: Path, dataset: str, sets: list[str], folder: Path) -> dict[str, float]:
    """One epoch on a run's transformed rows, by this process and those that `TF_CONFIG` names beside it."""
    from models.replicas import ALONE, multi_worker

    replicas = multi_worker() if "TF_CONFIG" in os.environ else ALONE
    from components.trainer.inputs import read_rows
    from components.transform.row_layout import read_layout
    from models.registry import build_model
    from models.training import train
    from pipeline.request import declared

    declaration = declared(dataset, ["training.epochs=1", "training.refit=false", *sets], None)
    transform = root / "artifacts" / "Transform"
    layout = read_layout(_newest(transform / "transform_graph"), declaration)
    files = str(_newest(transform / "transformed_examples") / "Split-train" / "*.gz")
    rows = read_rows([files], layout, folder / "rows", replicas=replicas)
    with replicas.scope():
        model = build_model(layout, declaration.model, seed=declaration.seed)
    clock = _Clock()
    train(model, rows, None, declaration.training, progress=clock, replicas=replicas)
    return clock.found


def _newest(folder: Path) -> Path:
    return max(folder.iterdir(), key=lambda path: int(path.name))


def measure(arguments: argparse.Namespace, workers: int) -> list[dict[str, float]]:
    """The epoch by so many fresh processes on this machine; what each of them found."""
    command = [sys.executable, "-m", _MODULE, str(arguments.root), "--dataset", arguments.dataset]
    command += [part for setting in arguments.set for part in ("--set", setting)]
    taken = [socket.create_server(("127.0.0.1", 0)) for _ in range(workers)]
    addresses = [f"127.0.0.1:{port.getsockname()[1]}" for port in taken]
    for port in taken:
        port.close()
    cores = sorted(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as folder:
        processes = []
        for index in range(workers):
            task = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
            told = {"TF_CONFIG": json.dumps(task)} if workers > 1 else {}
            core = str(cores[index % len(cores)])
            processes.append(
                subprocess.Popen(
                    [*command, "--task", folder, "--core", core],
                    stdout=subprocess.PIPE,
                    text=True,
                    env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2", **told},
                )
            )
        outputs = [process.communicate()[0] for process in processes]
    if any(process.returncode for process in processes):
        raise RuntimeError(f"a training process ended with {[process.returncode for process in processes]}")
    return [json.loads(output.splitlines()[-1]) for output in outputs]


def main() -> None:
    """Runs in turns and prints a line for each."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("root", type=Path, help="Root of a finished run.")
    parser.add_argument("--dataset", default="simulated")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--workers", type=int, nargs="+", default=(1, 2))
    parser.add_argument("--times", type=int, default=2)
    parser.add_argument("--task", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--core", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.task is not None:
        os.sched_setaffinity(0, {arguments.core})
        epoch = train_epoch(arguments.root, arguments.dataset, arguments.set, arguments.task)
        print(json.dumps(epoch), flush=True)
        os._exit(0)
    for workers in [*arguments.workers] * arguments.times:
        found = measure(arguments, workers)
        wall = max(process["wall"] for process in found)
        cpu = sum(process["cpu"] for process in found)
        rows = found[0]["rows"]
        print(
            f"workers={workers}  rows={rows:.0f}  wall={wall:.1f}  cpu={cpu:.1f}  rows_per_second={rows / wall:.0f}  "
            f"loss={found[0]['loss']:.5f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
