"""The work on one piece of the log, as Beam DoFns: look at it, find duplicates, write its examples.

Elements are numbers of pieces and partitions; rows never travel between stages, so that no runner has to hold them.
What a pass finds lies in files of the executor's folder, written whole by whoever did the piece: a piece that is done
twice, because a worker was lost, leaves the same files.
"""

from __future__ import annotations

from collections import Counter

import apache_beam as beam
import numpy as np
import polars as pl

from components.dataset.impressions import read_piece
from components.dataset.joins import LookupTable, join
from components.dataset.read_plan import Piece, ReadPlan
from components.example_files import ExampleWriter
from components.example_gen.duplicates import HashWriter, drops_of_piece, find_duplicates, hash_rows
from components.example_gen.encode import batches, example_frame
from components.example_gen.scales import Scale, documents, scales_of, together
from components.example_gen.scan import PieceScan, days
from components.example_gen.storage import piece_path, read_frame, write_json
from components.progress import Progress, report
from components.worker_errors import in_worker

SCANS = "scans"
WRITTEN = "written"
LOOKUPS = "lookups"


class PieceFn(beam.DoFn):
    """What the passes over pieces share: the plan and the lookups, loaded once for each worker."""

    def __init__(self, plan: ReadPlan, folder: str, partitions: int, block_bytes: int) -> None:
        self._plan = plan
        self._folder = folder
        self._partitions = partitions
        self._block_bytes = block_bytes
        self._tables: tuple[LookupTable, ...] | None = None
        self._done = 0

    def tables(self) -> tuple[LookupTable, ...]:
        """The lookups, as the driver checked and stored them."""
        if self._tables is None:
            paths = [piece_path(self._folder, LOOKUPS, i) for i in range(len(self._plan.lookups))]
            self._tables = tuple(LookupTable(read_frame(path), 0, 0, ()) for path in paths)
        return self._tables

    def progress(self, step: str, rows: int) -> None:
        """Reports rows done by this worker."""
        self._done += rows
        report(Progress(step, self._done))


class ScanPiece(PieceFn):
    """First pass: what is in the piece, which rows are rejected, and the hashes of the others."""

    def process(self, piece: Piece) -> list[None]:
        """Writes the piece's hashes and its scan: counts, rejects, days, domains."""
        with in_worker(self._folder):
            writer = HashWriter(self._folder, piece.index, self._partitions)
            scan = PieceScan()
            tables = self.tables() if self._plan.domain_is_joined else ()
            row = 0
            for block in read_piece(self._plan, piece, tables, self._block_bytes):
                numbers = np.arange(row, row + len(block.text))
                writer.add(hash_rows(block.text.filter(pl.Series(block.accepted))), numbers[block.accepted])
                scan.add(block, self._plan, tables)
                row += len(block.text)
                self.progress("reading rows", len(block.text))
            writer.close()
            write_json(piece_path(self._folder, SCANS, piece.index), scan.document())
        return []


class FindDuplicates(beam.DoFn):
    """Between the passes: the rows of a partition that repeat an earlier one."""

    def __init__(self, folder: str, pieces: int, partitions: int) -> None:
        self._folder = folder
        self._pieces = pieces
        self._partitions = partitions

    def process(self, partition: int) -> list[None]:
        """Writes the positions of the rows to drop."""
        with in_worker(self._folder):
            find_duplicates(self._folder, self._pieces, partition, self._partitions)
        return []


class WritePiece(PieceFn):
    """Second pass: joins, derives, splits by day, and writes one TFRecord file for each split the piece has rows of.

    Args:
      first_eval_day: what counts as a day, numbered from 1970-01-01, from which rows are `eval`.
      split_uris: split -> folder.
    """

    def __init__(
        self,
        plan: ReadPlan,
        folder: str,
        partitions: int,
        block_bytes: int,
        first_eval_day: int,
        split_uris: dict[str, str],
    ) -> None:
        super().__init__(plan, folder, partitions, block_bytes)
        self._first_eval_day = first_eval_day
        self._split_uris = split_uris

    def process(self, piece: Piece) -> list[None]:
        """Writes the piece's examples and its counts."""
        with in_worker(next(iter(self._split_uris.values()))):
            drops = drops_of_piece(self._folder, piece.index, range(self._partitions))
            counts: Counter[str] = Counter(duplicates=len(drops))
            unmatched = [0] * len(self._plan.lookups)
            scales: list[dict[str, Scale]] = []
            writers: dict[str, ExampleWriter] = {}
            row = 0
            for block in read_piece(self._plan, piece, self.tables(), self._block_bytes):
                numbers = np.arange(row, row + len(block.text))
                row += len(block.text)
                keep = block.accepted & ~np.isin(numbers, drops, assume_unique=True)
                rows, missed = join(block.typed.filter(pl.Series(keep)), self._plan, self.tables())
                unmatched = [a + b for a, b in zip(unmatched, missed, strict=True)]
                scales.append(scales_of(rows, self._plan.declaration))
                frame = example_frame(rows, self._plan.declaration)
                is_eval = days(frame, self._plan.declaration.split.day_ms) >= self._first_eval_day
                for split, part in (("train", frame.filter(~is_eval)), ("eval", frame.filter(is_eval))):
                    self._write(part, split, piece, writers)
                    counts[split] += len(part)
                self.progress("writing examples", len(block.text))
            for writer in writers.values():
                writer.close()
            document = {
                "unmatched": unmatched,
                "scales": documents(together(scales)),
                **{k: counts[k] for k in ("train", "eval", "duplicates")},
            }
            write_json(piece_path(self._folder, WRITTEN, piece.index), document)
        return []

    def _write(self, part: pl.DataFrame, split: str, piece: Piece, writers: dict[str, ExampleWriter]) -> None:
        if part.is_empty():
            return
        if split not in writers:
            writers[split] = ExampleWriter(f"{self._split_uris[split]}/data_tfrecord-{piece.index:05d}.gz")
        for batch in batches(part):
            writers[split].write(batch)
