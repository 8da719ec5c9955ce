"""Rows that TFX's Beam components read are reported while they run."""

from __future__ import annotations

import apache_beam as beam
import pyarrow as pa
import pytest
from apache_beam.testing.util import assert_that, equal_to

from components.progress import Progress, listening
from pipeline.beam_progress import CountingPipeline, in_this_process


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


def test_processes_of_their_own_are_not_counted() -> None:
    assert in_this_process([])
    assert in_this_process(["--runner=DirectRunner", "--direct_running_mode=in_memory"])
    assert not in_this_process(["--direct_running_mode=multi_processing", "--direct_num_workers=4"])
    assert not in_this_process(["--runner=PortableRunner", "--job_endpoint=localhost:1"])
