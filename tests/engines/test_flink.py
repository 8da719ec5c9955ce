"""The Beam components on Flink: `make test-flink`."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pipeline.beam_runner import beam_args
from tests.e2e.conftest import Run
from tests.engines import flink
from tests.engines.comparison import compare
from tests.engines.conftest import worker_pool

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(3000),
    pytest.mark.skipif("DFEI_TEST_FLINK" not in os.environ, reason="starts a Flink cluster: make test-flink"),
]


def test_the_cluster_has_several_task_managers(tmp_path: Path) -> None:
    with flink.cluster(tmp_path) as address:
        assert len(flink.task_managers(address)) == flink.TASK_MANAGERS >= 2


@pytest.fixture(scope="module")
def jar() -> Path:
    """Beam's job server; asked for before the run that takes minutes."""
    return flink.job_server_jar()


def test_components_give_the_same_on_flink(jar: Path, finished_run: Run, tmp_path: Path) -> None:
    with (
        flink.cluster(tmp_path) as master,
        flink.job_server(tmp_path, jar, master) as endpoint,
        worker_pool(tmp_path) as pool,
    ):
        options = [f"job_endpoint={endpoint}", f"environment_config={pool}", "parallelism=2"]
        compare(finished_run.root, beam_args("flink", options), tmp_path / "engine")
