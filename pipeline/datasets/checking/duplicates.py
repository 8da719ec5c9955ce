"""Counts exact duplicates as ExampleGen finds them: by hash, in partitions on disk."""

from __future__ import annotations

import math
import tempfile
from types import TracebackType

import numpy as np
import polars as pl
from tfx.dsl.io import fileio

from components.dataset.impressions import Rows
from components.dataset.read_plan import Piece, ReadPlan
from components.example_gen.duplicates import (
    DROPS,
    HASHES,
    PARTITION_ROWS,
    HashWriter,
    find_duplicates,
    hash_rows,
)
from components.example_gen.ingest import likely_rows


class DuplicateCounter:
    """Sees every block of every piece, in order; then counts.

    Args:
      plan: the files.
      pieces: how many pieces there are.
    """

    def __init__(self, plan: ReadPlan, pieces: int) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="dfei-check-")
        self._pieces = pieces
        self._partitions = max(1, math.ceil(likely_rows(plan) / PARTITION_ROWS))
        for kind in (HASHES, DROPS):
            fileio.makedirs(f"{self._folder.name}/{kind}")
        self._piece: int | None = None
        self._writer: HashWriter | None = None
        self._started = 0

    def __enter__(self) -> DuplicateCounter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()
        self._folder.cleanup()

    def look(self, piece: Piece, block: Rows, first_row: int) -> None:
        """Hashes the accepted rows of a block."""
        self._open(piece.index)
        assert self._writer is not None
        numbers = np.arange(first_row, first_row + len(block.text))
        self._writer.add(hash_rows(block.text.filter(pl.Series(block.accepted))), numbers[block.accepted])

    def count(self) -> int:
        """How many rows repeat an earlier one."""
        self._open(self._pieces)
        self._close()
        return sum(
            find_duplicates(self._folder.name, self._pieces, partition, self._partitions)
            for partition in range(self._partitions)
        )

    def _open(self, index: int) -> None:
        """Closes the piece before; pieces without a block get their empty file too."""
        if index == self._piece:
            return
        self._close()
        for empty in range(self._started, index):
            HashWriter(self._folder.name, empty, self._partitions).close()
        if index < self._pieces:
            self._writer = HashWriter(self._folder.name, index, self._partitions)
        self._piece, self._started = index, index + 1

    def _close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None
