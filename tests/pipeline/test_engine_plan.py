"""`dfei run --explain`: the jobs' graphs, without a job."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path

import apache_beam as beam
import pytest
from rich.console import Console

from components.dataset.loader import load_declaration
from components.errors import InputError
from pipeline.beam_runner import beam_args
from pipeline.engine_plan import graph_of, planned, show
from pipeline.request import RunRequest
from pipeline.run import explain
from pipeline.simulate.feed import simulate


def test_a_graph_is_fused_as_engines_do() -> None:
    pipeline = beam.Pipeline()
    rows = pipeline | beam.Create([("a", 1)], reshuffle=False)
    plain = rows | "plus" >> beam.MapTuple(lambda key, value: (key, value + 1))
    assert graph_of(pipeline).stages == 1
    _ = plain | beam.GroupByKey() | "after" >> beam.Map(print)
    graph = graph_of(pipeline)
    assert (graph.stages, graph.shuffles) == (2, ("GroupByKey",))


def test_the_jobs_of_a_run(tmp_path: Path) -> None:
    simulate(tmp_path, domains=3, rows=3000)
    declaration = load_declaration("simulated", [])
    jobs = planned(declaration, str(tmp_path))
    components = [job.component for job in jobs]
    assert components == [*["ExampleGen"] * 3, "StatisticsGen", *["Transform"] * 3, "Evaluator"]
    # More stages are what engines start harnesses for, more shuffles what they sort.
    assert {(job.graph.stages, len(job.graph.shuffles)) for job in jobs} == {(2, 1)}
    for job in jobs:
        assert job.parts >= 1
        assert 0 < job.largest < 10_000

    printed = io.StringIO()
    args = beam_args("flink", ["job_endpoint=a:1", "environment_config=b:2"], connect=False)
    show(jobs, args, declaration, Console(file=printed, width=200))
    text = printed.getvalue()
    for words in ("stages", "--job_endpoint=a:1", "pipeline.worker_pool", "memory:"):
        assert words in text


def test_a_dry_run_needs_no_engine_but_right_options(tmp_path: Path) -> None:
    simulate(tmp_path / "data", domains=3, rows=3000)
    request = RunRequest(
        "simulated",
        tmp_path / "data",
        tmp_path / "root",
        beam_runner="spark",
        beam_options=("job_endpoint=127.0.0.1:1", "environment_config=localhost:50000"),
    )
    printed = io.StringIO()
    explain(request, Console(file=printed, width=200))
    assert "--job_endpoint=127.0.0.1:1" in printed.getvalue()
    assert not (tmp_path / "root" / "artifacts").exists()
    with pytest.raises(InputError, match="environment_config"):
        explain(dataclasses.replace(request, beam_options=request.beam_options[:1]), Console(file=printed))


def test_nothing_is_planned_of_data_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        planned(load_declaration("simulated", []), str(tmp_path))
