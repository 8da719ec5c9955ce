"""The local runner: what stands under a condition that does not hold is left out."""

# No `from __future__ import annotations`: TFX reads the annotations of a component's function.

import time
from pathlib import Path

import pytest
from tfx.dsl.component.experimental.annotations import OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.orchestration import metadata
from tfx.orchestration.pipeline import Pipeline
from tfx.types.experimental.simple_artifacts import File
from tfx.types.standard_artifacts import ModelBlessing

from pipeline.chain import if_blessed
from pipeline.events import NodeRun, NodeStarted
from pipeline.local import LocalRunner


@component
def Judge(passed: Parameter[int], blessing: OutputArtifact[ModelBlessing]) -> None:  # noqa: N802 - a component
    blessing.set_int_custom_property("blessed", passed)


@component
def Export(model: OutputArtifact[File]) -> None:  # noqa: N802 - a component
    time.sleep(0.2)
    Path(model.uri).mkdir(parents=True, exist_ok=True)


@pytest.mark.parametrize("passed", [0, 1])
def test_a_refused_model_ends_a_run(passed: int, tmp_path: Path) -> None:
    judge = Judge(passed=passed)
    with if_blessed(judge.outputs["blessing"]):
        export = Export()
    pipeline = Pipeline(
        pipeline_name="judged",
        pipeline_root=str(tmp_path / "artifacts"),
        components=[judge, export],
        enable_cache=True,
        metadata_connection_config=metadata.sqlite_metadata_connection_config(
            str(tmp_path / "metadata.sqlite")
        ),
    )
    told: list[NodeStarted | NodeRun] = []
    runner = LocalRunner(told.append)
    runner.run(pipeline)
    assert list(runner.runs) == ["Judge", "Export"][: 1 + passed]
    assert [event.node for event in told if isinstance(event, NodeRun)] == list(runner.runs)
    again = LocalRunner()
    again.run(pipeline)
    for node, run in again.runs.items():
        assert runner.runs[node].seconds_before is None
        # What it cost is what it took when it ran, not what it takes to look it up.
        assert run.cached
        assert run.seconds_before is not None
        assert run.seconds_before >= 0.19 * (node == "Export")
