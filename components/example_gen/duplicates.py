"""Finds rows that are equal in every column, without ever holding the rows, or all their hashes, at once.

Each piece of the log writes, for each row, a 128-bit hash of its values and its position, sorted into partitions by
the hash. Equal rows meet in the same partition; a partition's worker reads its slice of every piece's file, sorts,
and writes the positions of all but the first row of each hash. What is in memory at a time is one run of hashes
(24 bytes a row) or one partition of about PARTITION_ROWS of them, whatever the size of the log. A GroupByKey of
the rows would hold them all in the local runner.

Rows are equal if their values are, as the csv module reads them: `a,"b"` equals `a,b`. Two different rows share
128 bits with a probability of about n^2 / 2^129: below 1e-20 for a billion rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt
import polars as pl
from tfx.dsl.io import fileio

from components.example_gen.storage import piece_path

HASHES = "hashes"
DROPS = "drops"
PARTITION_ROWS = 4_000_000
_RUN_ROWS = 1_000_000
_ROW_BITS = np.uint64(40)
_SEEDS = (0x51ED270B, 0x2545F491)

Positions = npt.NDArray[np.uint64]


def hash_rows(frame: pl.DataFrame) -> npt.NDArray[np.uint64]:
    """Two 64-bit hashes of all values of each row: (rows, 2). Columns count by name, in any order."""
    columns = sorted(frame.get_columns(), key=lambda column: column.name)
    # One call for all columns: a log may have a hundred thousand of them.
    ordered = pl.DataFrame([_hashable(column) for column in columns])
    names = pl.Series(["\0".join(ordered.columns)])
    return np.column_stack(
        [ordered.hash_rows(seed).to_numpy() ^ names.hash(seed).to_numpy() for seed in _SEEDS]
    )


def _hashable(column: pl.Series) -> pl.Series:
    """The values in a form in which equal ones, and only those, have equal hashes; in most types that is their text."""
    if column.dtype.is_nested() or (column.dtype == pl.String and not column.null_count()):
        return column
    if column.dtype == pl.Binary:
        return column.fill_null(b"")
    if column.dtype in (pl.Time, pl.Duration):
        # The text of a time has no fractions of a second, and a duration has no text.
        column = column.to_physical()
    text = column if column.dtype == pl.String else column.cast(pl.String)
    return text.fill_null("") if text.null_count() else text


def positions(piece: int, rows: npt.NDArray[np.int64]) -> Positions:
    """Positions of rows of a piece, in the order of (file, line)."""
    return (np.uint64(piece) << _ROW_BITS) | rows.astype(np.uint64)


class HashWriter:
    """Writes a piece's hashes in runs: each is a header of partition bounds, then (hash, hash, position) rows."""

    def __init__(self, folder: str, piece: int, partitions: int, run_rows: int = _RUN_ROWS) -> None:
        self._piece = piece
        self._partitions = partitions
        self._run_rows = run_rows
        self._held: list[npt.NDArray[np.uint64]] = []
        self._count = 0
        self._stream = fileio.open(piece_path(folder, HASHES, piece), "wb")
        # A piece may have no rows: its file is there nevertheless.
        self._stream.write(b"")

    def add(self, hashes: npt.NDArray[np.uint64], rows: npt.NDArray[np.int64]) -> None:
        """Adds rows, by their numbers within the piece."""
        self._held.append(np.column_stack([hashes, positions(self._piece, rows)]))
        self._count += len(rows)
        if self._count >= self._run_rows:
            self._flush()

    def close(self) -> None:
        """Writes what is left."""
        self._flush()
        self._stream.close()

    def _flush(self) -> None:
        if self._count == 0:
            return
        run = np.concatenate(self._held)
        partition = _partition(run[:, 0], self._partitions)
        order = np.argsort(partition, kind="stable")
        bounds = np.searchsorted(partition[order], np.arange(self._partitions + 1)).astype(np.int64)
        self._stream.write(bounds.tobytes())
        self._stream.write(np.ascontiguousarray(run[order]).tobytes())
        self._held, self._count = [], 0


def _partition(hashes: npt.NDArray[np.uint64], partitions: int) -> npt.NDArray[np.int64]:
    return ((hashes >> np.uint64(32)) * np.uint64(partitions) >> np.uint64(32)).astype(np.int64)


def _slices(folder: str, pieces: int, partition: int, partitions: int) -> Iterator[npt.NDArray[np.uint64]]:
    header = 8 * (partitions + 1)
    for piece in range(pieces):
        with fileio.open(piece_path(folder, HASHES, piece), "rb") as stream:
            offset = 0
            while raw := stream.read(header):
                bounds = np.frombuffer(raw, np.int64)
                begin, end = int(bounds[partition]), int(bounds[partition + 1])
                stream.seek(offset + header + 24 * begin)
                yield np.frombuffer(stream.read(24 * (end - begin)), np.uint64).reshape(-1, 3)
                offset += header + 24 * int(bounds[-1])
                stream.seek(offset)


def find_duplicates(folder: str, pieces: int, partition: int, partitions: int) -> int:
    """Writes the sorted positions of the rows of a partition that repeat an earlier row; returns how many."""
    rows = np.concatenate([np.empty((0, 3), np.uint64), *_slices(folder, pieces, partition, partitions)])
    order = np.lexsort((rows[:, 2], rows[:, 1], rows[:, 0]))
    rows = rows[order]
    repeats = (rows[1:, :2] == rows[:-1, :2]).all(axis=1)
    drops = np.sort(rows[1:, 2][repeats])
    with fileio.open(piece_path(folder, DROPS, partition), "wb") as stream:
        stream.write(drops.tobytes())
    return len(drops)


def drops_of_piece(folder: str, piece: int, partitions: Iterable[int]) -> npt.NDArray[np.int64]:
    """Sorted numbers, within the piece, of its rows that repeat an earlier row."""
    found = [np.empty(0, np.uint64)]
    first, last = positions(piece, np.zeros(1, np.int64))[0], positions(piece + 1, np.zeros(1, np.int64))[0]
    for partition in partitions:
        with fileio.open(piece_path(folder, DROPS, partition), "rb") as stream:
            drops = np.frombuffer(stream.read(), np.uint64)
        found.append(drops[np.searchsorted(drops, first) : np.searchsorted(drops, last)])
    return np.sort((np.concatenate(found) - first).astype(np.int64))
