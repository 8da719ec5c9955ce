"""The direct runner with several worker processes gives what one gives."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
from tfx.dsl.components.base import base_beam_executor
from tfx.types import standard_artifacts

from components import beam_jobs
from components.dataset.schema import declared_schema
from components.example_gen.executor import REPORT_FILE, Executor
from pipeline import views
from pipeline.beam_runner import beam_args
from pipeline.request import declared
from pipeline.simulate import simulate
from tests.components.transform.helpers import contents, execute

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
