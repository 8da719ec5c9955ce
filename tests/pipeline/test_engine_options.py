"""The cache does not see the engine, and the executor does."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest
from tfx.orchestration.portable.beam_executor_operator import BeamExecutorOperator
from tfx.proto.orchestration import executable_spec_pb2

from pipeline import engine_options
from pipeline.engine_options import with_engine, without_engine


def beam_spec(*options: str) -> executable_spec_pb2.BeamExecutableSpec:
    spec = executable_spec_pb2.BeamExecutableSpec()
    spec.python_executor_spec.class_path = "tfx.components.statistics_gen.executor.Executor"
    for option in options:
        spec.beam_pipeline_args_placeholders.add().value.string_value = option
    return spec


def test_another_engine_is_the_same_to_the_cache_and_another_component_is_not():
    here, there = beam_spec("--runner=DirectRunner"), beam_spec("--runner=FlinkRunner", "--flink_master=a:1")
    assert without_engine(here) == without_engine(there)
    assert here.beam_pipeline_args_placeholders, "the specification itself is left alone"
    other = beam_spec()
    other.python_executor_spec.class_path = "tfx.components.transform.executor.Executor"
    assert without_engine(other) != without_engine(here)


def test_the_executor_runs_on_the_engine_that_was_asked_for():
    spec = beam_spec("--runner=DirectRunner", "--direct_num_workers=2")
    operator = with_engine(BeamExecutorOperator, spec)(without_engine(spec))
    assert [arg.value.string_value for arg in operator.beam_pipeline_args] == [
        "--runner=DirectRunner",
        "--direct_num_workers=2",
    ]


def test_the_job_is_watched_and_tidied_up_after(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    watched: list[list[str]] = []
    monkeypatch.setattr(engine_options, "on_engine", lambda args: nullcontext(watched.append([*args])))
    monkeypatch.setattr(BeamExecutorOperator, "run_executor", lambda self, info: "output")
    left = tmp_path / "Split-train" / "beam-temp-1"
    left.mkdir(parents=True)
    spec = beam_spec("--runner=FlinkRunner")
    info = SimpleNamespace(output_dict={"examples": [SimpleNamespace(uri=str(tmp_path))]})
    assert with_engine(BeamExecutorOperator, spec)(without_engine(spec)).run_executor(info) == "output"
    assert watched == [["--runner=FlinkRunner"]]
    assert not left.exists()


def test_what_has_no_engine_is_left_as_it_is():
    spec = executable_spec_pb2.PythonClassExecutableSpec(class_path="a.B")
    assert without_engine(spec) is spec
