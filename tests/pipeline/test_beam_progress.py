"""Rows that TFX's Beam components read are reported while they run."""

from __future__ import annotations

import apache_beam as beam
import pyarrow as pa
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.testing.util import assert_that, equal_to
from tfx.orchestration.portable import beam_executor_operator
from tfx.proto.orchestration import executable_spec_pb2
from tfx_bsl.coders import batch_util

from components.progress import Progress, listening
from pipeline.beam_progress import (
    CountingPipeline,
    ReportingBeamOperator,
    batches_of_fixed_size,
    in_this_process,
)
from pipeline.beam_runner import beam_args


def batches(*sizes: int) -> list[pa.RecordBatch]:
    return [pa.record_batch([pa.array(range(size))], ["a"]) for size in sizes]


@pytest.mark.parametrize(
    ("labels", "step", "rows"),
    [
        (("TFXIORead[train]", "TFXIORead[eval]"), "counting values", 9),
        (("TFXIOReadAndDecode[TransformIndex0]",), "transforming rows", 5),
    ],
)
def test_rows_of_reads_are_counted_over_all_splits(labels: tuple[str, ...], step: str, rows: int) -> None:
    heard: list[Progress] = []
    with listening(heard.append), CountingPipeline([]) as pipeline:
        for label, sizes in zip(labels, ((2, 3), (4,)), strict=False):
            read = pipeline | label >> beam.Create(batches(*sizes))
            found = read | f"rows of {label}" >> beam.Map(lambda batch: batch.num_rows)
            assert_that(found, equal_to(list(sizes)), label=f"all of {label}")
    assert {event.step for event in heard} == {step}
    # Bundles come in any order; the last report is the whole.
    assert max(event.done for event in heard) == rows
    assert len(heard) == sum(len(sizes) for sizes in ((2, 3), (4,))[: len(labels)])


def test_other_transforms_are_left_alone() -> None:
    heard: list[Progress] = []
    with listening(heard.append), CountingPipeline([]) as pipeline:
        pipeline | "Write rows" >> beam.Create(batches(2))
        labels = set(pipeline.applied_labels)
    assert heard == []
    assert not [label for label in labels if label.startswith("Count")]


def test_two_jobs_do_not_share_their_counts() -> None:
    heard: list[Progress] = []
    for _ in range(2):
        with listening(heard.append), CountingPipeline([]) as pipeline:
            pipeline | "TFXIORead[train]" >> beam.Create(batches(3))
    assert [event.done for event in heard] == [3, 3]


def test_batches_have_one_size_whatever_the_clock_says() -> None:
    batches_of_fixed_size()
    with beam.Pipeline(options=PipelineOptions(list(beam_args("direct", ["workers=1"])))) as pipeline:
        records = pipeline | beam.Create([b"row"]) | beam.FlatMap(lambda row: [row] * 20_000)
        batched = records | batch_util.BatchRecords(None, None)
        assert_that(batched | beam.Map(len), equal_to([8192, 8192, 3616]))


def operator(*beam_args: str) -> ReportingBeamOperator:
    """As a compiled pipeline has it: its options are placeholders until it runs."""
    spec = executable_spec_pb2.BeamExecutableSpec()
    spec.python_executor_spec.class_path = "tfx.components.statistics_gen.executor.Executor"
    for arg in beam_args:
        spec.beam_pipeline_args_placeholders.add().value.string_value = arg
    return ReportingBeamOperator(spec)


@pytest.mark.parametrize(
    ("beam_args", "counts"),
    [
        ((), True),
        (("--direct_running_mode=in_memory",), True),
        (("--direct_running_mode=multi_processing", "--direct_num_workers=2"), False),
        (("--runner=PortableRunner", "--job_endpoint=localhost:1"), False),
        (("--runner=DataflowRunner",), False),
    ],
)
def test_only_jobs_of_this_process_get_the_counting_pipeline(
    beam_args: tuple[str, ...], counts: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[object] = []
    monkeypatch.setattr(
        beam_executor_operator.BeamExecutorOperator,
        "run_executor",
        lambda self, info, make_beam_pipeline_fn=None: given.append(make_beam_pipeline_fn),
    )
    operator(*beam_args).run_executor(None)
    assert [make is not None for make in given] == [counts]


def test_an_option_that_only_a_run_resolves_is_not_taken_for_this_process() -> None:
    spec = executable_spec_pb2.BeamExecutableSpec()
    spec.beam_pipeline_args_placeholders.add().operator.concat_op.SetInParent()
    assert not in_this_process(spec.beam_pipeline_args_placeholders)


def test_processes_of_their_own_are_not_counted() -> None:
    assert in_this_process([])
    assert in_this_process(["--runner=DirectRunner", "--direct_running_mode=in_memory"])
    assert in_this_process(beam_args("direct", ["workers=1"]))
    assert not in_this_process(["--direct_running_mode=multi_processing", "--direct_num_workers=4"])
    assert not in_this_process(beam_args("direct", ["workers=4"]))
    assert not in_this_process(["--runner=PortableRunner", "--job_endpoint=localhost:1"])
