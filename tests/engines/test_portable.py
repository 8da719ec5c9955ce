"""The portable path of Flink and Spark, without them: a job service, and SDK harnesses in a worker pool.

Beam's own job service in Python takes the pipeline over the portable job API, as Flink's job server does, and asks
the worker pool for harness processes of their own, which get everything by pickle and over the data channel. It has
Flink's bad sides (`tests/engines/adversary.py`).
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from components.transform.row_layout import read_summary
from pipeline.beam_runner import beam_args
from tests.e2e.conftest import Run, dfei
from tests.engines.comparison import compare
from tests.engines.conftest import service, worker_pool
from tests.models.test_replicas import free_ports

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


@pytest.fixture
def portable(tmp_path: Path) -> Iterator[list[str]]:
    """Options of an engine behind a job service."""
    [port] = free_ports(1)
    command = [
        sys.executable,
        "-m",
        "tests.engines.adversary",
        f"--port={port}",
        f"--staging_dir={tmp_path / 'staged'}",
    ]
    with worker_pool(tmp_path) as pool, service("job-service", port, command, tmp_path):
        yield [f"job_endpoint=localhost:{port}", f"environment_config={pool}"]


def test_components_give_the_same_through_a_job_service(
    finished_run: Run, portable: list[str], tmp_path: Path
) -> None:
    options = beam_args("flink", portable)
    assert "--runner=PortableRunner" in options
    assert "--environment_type=EXTERNAL" in options
    compare(finished_run.root, options, tmp_path / "engine")
    pools = list(tmp_path.glob("worker-pool-*.log"))
    assert any("1 running" in log.read_text() for log in pools)


def test_no_record_grows_with_a_million_rows(portable: list[str], tmp_path: Path) -> None:
    made = dfei("simulate", tmp_path / "data", "--domains", "300", "--rows", "1000000", "--seed", "3")
    assert made.code == 0, made.text
    settings = ["training.epochs=1", "training.refit=false", "moving_average.max_keys=1000000"]
    words = [word for setting in settings for word in ("--set", setting)]
    options = [word for option in portable for word in ("--beam-option", option)]
    root = tmp_path / "root"
    done = dfei(
        *("run", "--dataset", "simulated", "--data", tmp_path / "data", "--root", root),
        *("--beam-runner", "flink", *options, *words),
    )
    # The model may be refused: only its data are looked at.
    assert done.code in (0, 1), done.text
    [graph] = (root / "artifacts" / "Transform" / "transform_graph").iterdir()
    keys = sum(entry["values"] for entry in read_summary(graph)["average_keys"])
    log = (tmp_path / "job-service.log").read_text(errors="replace")
    largest = max(map(int, re.findall(r"largest record: (\d+) bytes", log)))
    print(f"{keys:,} keys; the largest record has {largest:,} bytes")
    assert keys > 200_000
    assert largest < 4 << 20


def test_several_processes_of_the_direct_runner_give_the_same(finished_run: Run, tmp_path: Path) -> None:
    compare(finished_run.root, beam_args("direct", ["workers=2"]), tmp_path / "engine")
