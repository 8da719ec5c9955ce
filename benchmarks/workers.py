"""What worker processes of the direct runner save: the data components with each number of them, in turns.

    python -m benchmarks.workers --rows 1000000 --workers 1 2 --times 2

Of every run, CPU seconds of all its processes and wall seconds by component, and how much else the machine had to do
(the load's mean over the run, less this run's own share). Other load lengthens the wall seconds, and those of several
processes less than those of one, for they get more of the cores: only a quiet machine says what to choose.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import threading
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import psutil

from benchmarks.scaling import measure
from pipeline.simulate import simulate

COMPONENTS = ("DeclaredExampleGen", "StatisticsGen", "Transform", "Evaluator")
_SAMPLE_SECONDS = 2.0


class _OtherLoad:
    """How many cores' worth of processes other than this one's children want to run, on average over the block."""

    def __enter__(self) -> _OtherLoad:
        self._samples: list[int] = []
        self._over = threading.Event()
        self._watch = threading.Thread(target=self._sample, daemon=True)
        self._watch.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._watch.join()

    def _sample(self) -> None:
        while not self._over.wait(_SAMPLE_SECONDS):
            own = {process.pid for process in psutil.Process().children(recursive=True)} | {os.getpid()}
            found = 0
            for process in psutil.process_iter(["status"]):
                running = process.info["status"] == psutil.STATUS_RUNNING
                found += running and process.pid not in own
            self._samples.append(found)

    @property
    def mean(self) -> float:
        return sum(self._samples) / max(1, len(self._samples))


def main() -> None:
    """Runs in turns and prints a line for each."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--domains", type=int, default=21)
    parser.add_argument("--workers", type=int, nargs="+", default=(1, 2))
    parser.add_argument("--times", type=int, default=2)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        simulate(data, domains=arguments.domains, rows=arguments.rows, seed=1)
        for turn, workers in enumerate([*arguments.workers] * arguments.times):
            with (
                ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process,
                _OtherLoad() as load,
            ):
                found = process.submit(measure, data, Path(folder) / f"run-{turn}", workers).result()
            print(_line(workers, found, load.mean), flush=True)


def _line(workers: int, found: dict[str, dict[str, float]], load: float) -> str:
    parts = [f"workers={workers}", f"other_load={load:.1f}"]
    for quantity in ("cpu", "wall"):
        sums: dict[str, Any] = {name: found[name][quantity] for name in COMPONENTS if name in found}
        sums["all"] = sum(sums.values())
        parts += [f"{quantity}_{name}={value:.1f}" for name, value in sums.items()]
    return "  ".join(parts)


if __name__ == "__main__":
    main()
