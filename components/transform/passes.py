"""The passes of Transform over files of raw examples, as Beam DoFns: reduce files, merge partitions, transform files.

As in ExampleGen elements are numbers, rows never travel between stages, and what a pass finds lies in files of the
executor's folder. So no runner holds rows or partial results, and sums are added in the order of the files however
many workers there are: one process and many leave the same tables and the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import apache_beam as beam
import numpy as np
import pyarrow as pa
import tensorflow as tf

from components.committed import commit, temporary_of
from components.example_bytes import serialize
from components.example_files import GZIP, ExampleFile, column_of, read_pickle, write_pickle
from components.progress import Progress, report
from components.transform import collect
from components.transform.analyser import prior_of
from components.transform.at_serving import as_served
from components.transform.collect import Merge, Partial
from components.transform.columns import Columns, Raw, read_columns
from components.transform.key_states import split_keys, sums_name
from components.transform.key_table import FileStore
from components.transform.partial_files import read_partials, write_partials
from components.transform.preprocessing import pack
from components.transform.reading import RawGraph
from components.transform.serving_graph import TableVariables, buckets_seen
from components.transform.state import BehaviourState
from components.transform.tables import Tables
from components.transform.transform_plan import TransformPlan
from components.worker_errors import in_worker

DAYS, PARTIALS, MERGED, KEYS = "days", "partials", "merged", "keys"
TABLES = "tables.npz"
SMALL_TABLE = 1 << 20
"""Entries of the table of keys, some 25 MB, with which it is held whole."""


@dataclass(frozen=True)
class Work:
    """What the passes have in common.

    Attributes:
      plan: what is computed.
      dtypes: of the raw columns, by name.
      folder: for intermediate files; all workers share it.
      prior_state: folder of the state that the rows continue; empty for none.
      partitions: in how many the keys are.
    """

    plan: TransformPlan
    dtypes: Mapping[str, tf.DType]
    folder: str
    prior_state: str
    partitions: int

    @property
    def keys(self) -> FileStore:
        """What is known of the averages' keys: their sums, then their table."""
        return FileStore(f"{self.folder}/{KEYS}")

    def partials(self, index: int) -> str:
        """Where the partial results of a file lie."""
        return f"{self.folder}/{PARTIALS}/{index:06d}"


class FindDays(beam.DoFn):
    """Before the others, where the last days are only averaged over: which days a file has rows of."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._graph: RawGraph | None = None

    def process(self, file: ExampleFile) -> list[None]:
        """Writes the days."""
        plan, days = self._work.plan, set[int]()
        with in_worker(self._work.folder):
            if self._graph is None:
                dtypes = {name: self._work.dtypes[name] for name in (plan.time, plan.label)}
                self._graph = RawGraph(plan, dtypes, lambda raw: (raw[plan.time], raw[plan.label]))
            for time, label in self._graph.over(file.path):
                days.update((time.numpy()[~(label.numpy() < 0)] // plan.day_ms).tolist())
            write_pickle(f"{self._work.folder}/{DAYS}/{file.index:06d}", days)
        return []


class ReduceFile(beam.DoFn):
    """First pass: a file of examples to counts and sums, in partitions of their keys.

    Args:
      work: what the passes have in common.
      analysed_until: see `collect.reduce_block`.
    """

    def __init__(self, work: Work, analysed_until: int | None) -> None:
        self._work, self._until = work, analysed_until
        self._graph: RawGraph | None = None
        self._done = 0

    def process(self, file: ExampleFile) -> list[None]:
        """Writes the file's partial results."""
        work = self._work
        with in_worker(work.folder):
            if self._graph is None:
                self._graph = RawGraph(work.plan, work.dtypes, lambda raw: _analysed(work.plan, raw))
            blocks = self._blocks(self._graph, file.path)
            reduced = collect.reduce_rows(work.plan, blocks, self._until, work.partitions)
            write_partials(work.partials(file.index), reduced)
        return []

    def _blocks(self, graph: RawGraph, path: str) -> Iterator[collect.Block]:
        for columns in graph.over(path):
            block = tuple(column.numpy() for column in columns)
            self._done += len(block[-1])
            report(Progress("analysing rows", self._done))
            yield block


def _analysed(plan: TransformPlan, raw: Mapping[str, Raw]) -> tuple[tf.Tensor, ...]:
    """The block of rows that `collect.reduce_rows` takes."""
    return block_of(plan, read_columns(raw, plan))


class MergePartition(beam.DoFn):
    """Second pass: the partial results of all files in one partition, in the files' order, cut to what may be kept."""

    def __init__(self, work: Work, files: int) -> None:
        self._work, self._files = work, files
        self._prior: BehaviourState | None = None

    def process(self, partition: int) -> list[None]:
        """Writes the merged results."""
        work, merge = self._work, Merge(self._work.plan)
        with in_worker(work.folder):
            if self._prior is None:
                self._prior = prior_of(work.plan, work.prior_state)
            for index in range(self._files):
                for partial in read_partials(work.partials(index), partition):
                    merge.add(partial)
            merged = [
                collect.prune(partial, work.plan, self._prior, work.partitions) for partial in merge.results()
            ]
            of_keys, others = split_keys(merged)
            work.keys[sums_name(partition)] = of_keys
            write_pickle(f"{work.folder}/{MERGED}/{partition:03d}", others)
        return []


def merged_partials(work: Work) -> list[Partial]:
    """What the second pass left, partition by partition, without the sums of the averages' keys."""
    partials: list[Partial] = []
    for partition in range(work.partitions):
        partials += read_pickle(f"{work.folder}/{MERGED}/{partition:03d}")
    return partials


class TransformFile(beam.DoFn):
    """Last pass: a file of examples to one of transformed examples, its rows in the same order.

    Args:
      work: what the passes have in common; its folder has the tables.
      split_uris: split -> folder of the transformed examples.
    """

    def __init__(self, work: Work, split_uris: Mapping[str, str]) -> None:
        self._work, self._split_uris = work, split_uris
        self._graph: RawGraph | None = None
        self._look_up: _LookUp | None = None
        self._done = 0

    def process(self, file: ExampleFile) -> list[None]:
        """Writes the file."""
        uri = self._split_uris[file.split]
        with in_worker(uri):
            if self._graph is None or self._look_up is None:
                self._look_up = _LookUp(self._work)
                self._graph = self._make_graph(self._look_up)
            self._look_up.see(file.path)
            path = f"{uri}/transformed_examples-{file.index:05d}.gz"
            temporary = temporary_of(path)
            with tf.io.TFRecordWriter(temporary, GZIP) as writer:
                for packed in self._graph.over(file.path):
                    columns = {name: as_lists(values.numpy()) for name, values in packed.items()}
                    for example in serialize(columns).to_pylist():
                        writer.write(example)
                    self._done += len(packed["domain"])
                    report(Progress("transforming rows", self._done))
            commit(temporary, path)
        return []

    def _make_graph(self, known: _LookUp) -> RawGraph:
        plan, latest = self._work.plan, int(known.tables.latest[0])

        def packed(raw: Mapping[str, Raw]) -> dict[str, tf.Tensor]:
            return pack(plan, known.tables, known.variables, read_columns(as_served(raw, plan, latest), plan))

        return RawGraph(plan, self._work.dtypes, packed)


class _LookUp:
    """The tables, of which a large one is held as far as the rows at hand see it: a file has rows of few buckets."""

    def __init__(self, work: Work) -> None:
        self._plan = work.plan
        with tf.io.gfile.GFile(f"{work.folder}/{TABLES}", "rb") as file:
            self.tables = Tables.from_bytes(file.read())
        self._keys = self.tables.key_table(work.keys)
        self._whole = self._keys.entries <= SMALL_TABLE
        self._seen = np.zeros(0, np.int64)
        self.variables = TableVariables(self.tables, self._keys, None if self._whole else self._seen)

    def see(self, path: str) -> None:
        """Makes ready for the rows of a file."""
        if self._whole:
            return
        time = column_of(path, self._plan.time)
        seen = np.arange(self._keys.buckets + 1)
        if time is not None:
            seen = buckets_seen(self._plan, self.tables, time)
        if not np.array_equal(seen, self._seen):
            self.variables.see(self._keys, seen)
            self._seen = seen


def block_of(plan: TransformPlan, columns: Columns) -> tuple[tf.Tensor, ...]:
    """What the analysis takes of the columns of a batch, see `collect.reduce_rows`."""
    return (
        columns.hashes,
        columns.integers,
        columns.texts,
        columns.numbers[:, : len(plan.normalised) + len(plan.quantiles)],
        columns.behaviours,
        columns.label,
        columns.time,
    )


def as_lists(values: np.ndarray) -> pa.Array:
    """Rows (n,) or (n, w) as lists of the width `w`.

    >>> as_lists(np.array([[1, 2], [3, 4]])).to_pylist()
    [[1, 2], [3, 4]]
    """
    width = values.shape[1] if values.ndim > 1 else 1
    offsets = np.arange(len(values) + 1, dtype=np.int64) * width
    return pa.LargeListArray.from_arrays(pa.array(offsets), pa.array(values.reshape(-1)))
