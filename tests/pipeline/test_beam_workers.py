"""The direct runner with several worker processes gives what one gives."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import apache_beam as beam
import psutil
import pytest
import tensorflow as tf
from apache_beam.options.pipeline_options import PipelineOptions
from tfx.dsl.components.base import base_beam_executor
from tfx.types import standard_artifacts

from components import beam_jobs
from components.dataset.schema import declared_schema
from components.errors import EngineError
from components.example_gen.executor import REPORT_FILE, Executor
from pipeline import local_workers, views
from pipeline.beam_runner import beam_args
from pipeline.engine_job import on_engine
from pipeline.request import declared
from pipeline.simulate import simulate
from tests.components.transform.helpers import contents, execute
from tests.e2e.conftest import HOUSE

pytestmark = pytest.mark.slow


def _ingested(data: Path, target: Path, workers: int) -> tuple[dict[str, Any], dict[str, list[bytes]]]:
    """The ingest report, and the records of each split."""
    examples = standard_artifacts.Examples()
    examples.uri = str(target / "examples")
    context = base_beam_executor.BaseBeamExecutor.Context(
        beam_pipeline_args=list(beam_args("direct", [f"workers={workers}"])),
        unique_id="1",
        tmp_dir=str(target / "tmp"),
    )
    declaration = views.for_ingestion(declared("simulated", [], None))
    properties = {"declaration": declaration, "data_dir": str(data), "fingerprint": ""}
    Executor(context).Do({}, {"examples": [examples]}, properties)
    records = {}
    for split in ("train", "eval"):
        files = sorted(map(str, (target / "examples" / f"Split-{split}").iterdir()))
        records[split] = list(tf.data.TFRecordDataset(files, compression_type="GZIP").as_numpy_iterator())
    return json.loads((target / "examples" / REPORT_FILE).read_text()), records


def test_two_processes_write_the_same_examples_and_features(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(beam_jobs, "SMALL_BYTES", 0)
    simulate(tmp_path / "data", domains=5, rows=6_000, seed=2)
    alone = _ingested(tmp_path / "data", tmp_path / "alone", 1)
    with on_engine(beam_args("direct", ["workers=2"])):
        together = _ingested(tmp_path / "data", tmp_path / "together", 2)
    assert together[0] == alone[0]
    assert together[1] == alone[1]
    assert len(alone[1]["train"]) == alone[0]["train"]
    left = []
    for workers, folder in ((1, tmp_path / "alone"), (2, tmp_path / "together")):
        examples = standard_artifacts.Examples()
        examples.uri, examples.split_names = str(folder / "examples"), '["train", "eval"]'
        declaration = declared("simulated", [], None)
        execute(folder / "transform", declaration, examples, declared_schema(declaration), workers=workers)
        left.append(contents(folder / "transform"))
    assert [name for name in left[0] if left[0][name] != left[1].get(name)] == []


class Busy(beam.DoFn):
    """Takes processor time."""

    def process(self, _: int) -> list[None]:
        begun = time.process_time()
        while time.process_time() < begun + 0.3:
            pass
        return []


class WhoseChild(beam.DoFn):
    """Leaves the process that the worker was forked from."""

    def __init__(self, folder: Path) -> None:
        self._folder = str(folder)

    def process(self, element: int) -> list[None]:
        Path(self._folder, str(element)).write_text(str(os.getppid()))
        return []


def test_the_workers_of_all_jobs_are_forks_of_one_process(tmp_path: Path) -> None:
    args = beam_args("direct", ["workers=2"])
    run = beam_jobs.beam_runner(lambda: beam.Pipeline(options=PipelineOptions(list(args))))
    with on_engine(args):
        for job in (0, 2):
            run([job, job + 1], WhoseChild(tmp_path))
    [parent] = {path.read_text() for path in tmp_path.iterdir()}
    assert "pipeline.harness" in psutil.Process(int(parent)).cmdline()
    assert psutil.Process(int(parent)).ppid() == os.getpid()
    # The forks have ended, and what they did is counted.
    assert not psutil.Process(int(parent)).children()
    before = local_workers.cpu_seconds()
    assert before > 0
    with on_engine(args):
        run([0, 1], Busy())
    assert local_workers.cpu_seconds() > before + 0.5


class Die(beam.DoFn):
    """Is killed, as the system does where memory runs out."""

    def process(self, _: int) -> list[None]:
        os.kill(os.getpid(), signal.SIGKILL)
        return []


def test_a_worker_that_is_killed_ends_the_run(tmp_path: Path) -> None:
    code = (
        "import apache_beam as beam; from components import beam_jobs; from pipeline.beam_runner import beam_args; "
        "from apache_beam.options.pipeline_options import PipelineOptions; from pipeline.engine_job import on_engine; "
        "from tests.pipeline.test_beam_workers import Die; args = beam_args('direct', ['workers=2']); "
        "run = beam_jobs.beam_runner(lambda: beam.Pipeline(options=PipelineOptions(list(args)))); "
        "\nwith on_engine(args): run([1, 2], Die())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=HOUSE, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == EngineError.exit_code, done.stderr[-2000:]
    assert "was killed" in done.stderr and "the same command goes on" in done.stderr
