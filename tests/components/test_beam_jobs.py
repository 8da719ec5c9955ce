"""Small jobs of this machine are done in this process, all others by Beam."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import DirectOptions, FlinkRunnerOptions, PipelineOptions

from components import beam_jobs
from components.stack import LOCAL_RUNNER


class Note(beam.DoFn):
    def __init__(self, seen: list[int]) -> None:
        self._seen = seen

    def process(self, element: int) -> Iterator[None]:
        self._seen.append(element)
        yield None


def no_pipeline() -> beam.Pipeline:
    raise AssertionError("Beam was asked")


@pytest.mark.parametrize(
    "options", [(), (f"--runner={LOCAL_RUNNER}", "--direct_num_workers=7"), ("--runner=DirectRunner",)]
)
def test_small_files_of_this_machine_need_no_beam(tmp_path: Path, options: tuple[str, ...]) -> None:
    (tmp_path / "file").write_bytes(b"x" * 100)
    seen: list[int] = []
    beam_jobs.runner_for([str(tmp_path / "file")], no_pipeline, options)([3, 1, 2], Note(seen))
    assert seen == [3, 1, 2]


def test_an_engine_and_large_files_have_beam(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_bytes(b"x" * 100)
    paths = [str(tmp_path / "file")]
    with pytest.raises(AssertionError, match="Beam was asked"):
        beam_jobs.runner_for(paths, no_pipeline, ["--runner=FlinkRunner"])([1], Note([]))
    monkeypatch.setattr(beam_jobs, "SMALL_BYTES", 100)
    with pytest.raises(AssertionError, match="Beam was asked"):
        beam_jobs.runner_for(paths, no_pipeline, [])([1], Note([]))


class Submitted(beam.Pipeline):
    """A pipeline that is not run; its options are what the engine would get."""

    seen: dict[str, object]

    def run(self, *_: object, **__: object) -> object:
        Submitted.seen = self.options.get_all_options()
        return SimpleNamespace(wait_until_finish=lambda: None)


@pytest.mark.parametrize(("elements", "workers"), [(2, 2), (5, 5), (9, 5)])
def test_a_job_asks_for_no_more_workers_than_it_has_elements(elements: int, workers: int) -> None:
    args = ["--runner=PortableRunner", "--parallelism=5", "--direct_num_workers=5"]
    beam_jobs.beam_runner(lambda: Submitted(argv=args))(range(elements), beam.DoFn())
    assert Submitted.seen["parallelism"] == Submitted.seen["direct_num_workers"] == workers


def test_what_the_engine_decides_stays_its_decision() -> None:
    options = PipelineOptions([])
    beam_jobs.fit(options, 3)
    assert options.view_as(FlinkRunnerOptions).parallelism == -1
    assert options.view_as(DirectOptions).direct_num_workers == 1
