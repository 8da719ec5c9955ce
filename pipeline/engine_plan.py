"""What Beam jobs a run would give to an engine, without running them: `dfei run --explain`.

The jobs' graphs are made and fused as engines fuse them. Records that are known before the run are measured; of the
others the bound is said.
"""

from __future__ import annotations

import functools
import math
import platform
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from types import SimpleNamespace
from typing import Any

import apache_beam as beam
from apache_beam.coders import registry
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.portability import common_urns
from apache_beam.runners.portability.fn_api_runner import translations
from rich.console import Console
from rich.table import Table

from components.beam_jobs import beam_runner
from components.dataset.blocks import BLOCK_BYTES
from components.dataset.declaration import Declaration
from components.dataset.read_plan import Piece, ReadPlan, cut, plan_reading
from components.evaluator.score_tables import LIMIT
from components.example_files import ExampleFile
from components.example_gen.duplicates import PARTITION_ROWS
from components.example_gen.ingest import likely_rows
from components.example_gen.passes import FindDuplicates, ScanPiece, WritePiece
from components.transform.chunks import partitions_for
from components.transform.transform_plan import make_plan

# A harness that has imported what it needs, measured.
_HARNESS_MB = 700
# Four tables of (group, score, counts) overall and of the row's domain, and what making them takes, measured.
_EVALUATOR_BYTES = 470
_LONG_PATH = "/" + 255 * "x"
# Compressed, of a row of some twenty columns.
_EXAMPLE_BYTES = 80
# A partition of hashes and positions, sorted by way of a copy.
_PARTITION_MB = 3 * 24 * PARTITION_ROWS >> 20


@dataclass(frozen=True)
class Graph:
    """A Beam job as an engine sees it.

    Attributes:
      stages: that workers execute, once what can be is fused.
      shuffles: the steps at which records are sorted by key and exchanged.
    """

    stages: int
    shuffles: tuple[str, ...]


@dataclass(frozen=True)
class Job:
    """One of a run's jobs.

    Attributes:
      component: that starts it.
      does: in a few words.
      graph: its graph.
      parts: on how many workers it can run at once.
      largest: bytes of the largest record that crosses a shuffle.
    """

    component: str
    does: str
    graph: Graph
    parts: int
    largest: int


def graph_of(pipeline: beam.Pipeline) -> Graph:
    """The graph of a pipeline that has not run."""
    group, plain = common_urns.primitives.GROUP_BY_KEY.urn, common_urns.primitives
    _, stages = translations.create_and_optimize_stages(
        pipeline.to_runner_api(),
        phases=translations.standard_optimize_phases(),
        known_runner_urns=frozenset([group, plain.IMPULSE.urn, plain.FLATTEN.urn]),
        use_state_iterables=False,
    )
    executed, shuffles = 0, []
    for stage in stages:
        urns = {transform.spec.urn for transform in stage.transforms}
        if group in urns:
            shuffles += [one.unique_name for one in stage.transforms if one.spec.urn == group]
        elif not urns & {plain.IMPULSE.urn, plain.FLATTEN.urn}:
            executed += 1
    return Graph(executed, tuple(shuffles))


class _Sketch(beam.Pipeline):
    """A pipeline that is drawn instead of run."""

    def __init__(self, drawn: list[Graph]) -> None:
        super().__init__(options=PipelineOptions([]))
        self._drawn = drawn

    def run(self, *_: Any, **__: Any) -> Any:
        self._drawn.append(graph_of(self))
        return SimpleNamespace(wait_until_finish=lambda: None)


def planned(declaration: Declaration, data_dir: str) -> list[Job]:
    """The jobs of a run whose graphs are known before it.

    Args:
      declaration: the data set.
      data_dir: the folder with its files.

    Raises:
      InputError: a file or a column is missing.
    """
    plan = plan_reading(declaration, data_dir)
    pieces = cut(plan)
    partitions = partitions_for(_EXAMPLE_BYTES * likely_rows(plan))
    return [*_ingestion(plan, pieces), *_over_files(declaration, len(pieces), partitions)]


def _ingestion(plan: ReadPlan, pieces: Sequence[Piece]) -> Iterator[Job]:
    partitions = max(1, math.ceil(likely_rows(plan) / PARTITION_ROWS))
    uris = {"train": "train", "eval": "eval"}
    passes: list[tuple[str, Sequence[Any], beam.DoFn]] = [
        ("looks at the log and hashes its rows", pieces, ScanPiece(plan, "", partitions, BLOCK_BYTES)),
        ("finds duplicates", range(partitions), FindDuplicates("", len(pieces), partitions)),
        ("writes examples", pieces, WritePiece(plan, "", partitions, BLOCK_BYTES, 0, uris)),
    ]
    for does, elements, work in passes:
        yield _pass("ExampleGen", does, elements, work)


def _over_files(declaration: Declaration, pieces: int, partitions: int) -> Iterator[Job]:
    """The passes over the files that ExampleGen writes: a piece of the log has rows of one split, or of two."""
    files = [ExampleFile(number, "train", _LONG_PATH) for number in range(2 * pieces)]
    yield _pass("StatisticsGen", "counts values", files, beam.DoFn())
    if make_plan(declaration).refreshed_days:
        yield _pass("Transform", "finds the days", files, beam.DoFn())
    yield _pass("Transform", "reduces rows to counts and sums", files, beam.DoFn())
    yield _pass("Transform", "merges what the files gave", range(partitions), beam.DoFn())
    yield _pass("Transform", "transforms rows", files, beam.DoFn())
    yield _pass("Evaluator", "scores rows", files[:pieces], beam.DoFn())


def _pass(component: str, does: str, elements: Sequence[Any], work: beam.DoFn) -> Job:
    drawn: list[Graph] = []
    beam_runner(functools.partial(_Sketch, drawn))(elements, work)
    coder = registry.get_coder(object)
    largest = max(len(coder.encode(element)) for element in elements)
    return Job(component, does, drawn[0], len(elements), largest)


def show(jobs: Sequence[Job], engine: Sequence[str], declaration: Declaration, console: Console) -> None:
    """Prints the jobs, Beam's options, and what workers need."""
    table = Table(title=f"Beam jobs of a run of {declaration.name}")
    for name in ("component", "does", "stages", "shuffles", "workers at once", "largest record"):
        table.add_column(name, justify="left" if name in ("component", "does") else "right")
    for job in jobs:
        graph = (str(job.graph.stages), str(len(job.graph.shuffles)))
        table.add_row(job.component, job.does, *graph, f"{job.parts:,}", f"{job.largest:,} B")
    console.print(table)
    lines = (
        "StatisticsGen, Transform and Evaluator go over the files of examples that ExampleGen writes: one for each "
        "piece of the log, or two where it has rows of both splits.",
        f"Beam's options: {' '.join(engine)}",
        f"Workers need: Python {platform.python_version()}, apache-beam {version('apache-beam')} and this project in "
        "the same state: its image, or `python -m pipeline.worker_pool` in its environment; the folders of --data and "
        "--root under the same names;",
        f"memory: {_HARNESS_MB} MB for each harness, beside it the lookup tables, {_PARTITION_MB} MB for a partition "
        "of duplicates.",
        f"This machine needs {_EVALUATOR_BYTES} MB for each million evaluated rows (tables of scores), up to "
        f"{LIMIT:,} rows of a domain.",
    )
    for line in lines:
        console.print(line, highlight=False, markup=False)
