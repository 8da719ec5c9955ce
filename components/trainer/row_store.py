"""Transformed rows as memory-mapped columns, so that any schedule can address any row.

The training schedules need rows by index: one domain's rows, a permutation of all rows. Compressed TFRecords
give no such access, so they are decoded once, in batches, into one flat file per column, which the operating
system pages in and out: resident memory does not grow with the number of rows.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from components.errors import InputError
from models.arrays import Array
from models.features import FeatureLayout

_DECODE_BATCH = 4096
_NO_ROW = "Transform wrote no training row: check the split and the impression files"


@dataclasses.dataclass(frozen=True)
class _Column:
    """One column of the store: its shape per row and how it lies on disk."""

    shape: tuple[int, ...]
    parsed: tf.DType
    stored: type[np.generic]


def _columns(layout: FeatureLayout) -> dict[str, _Column]:
    columns = {
        "domain": _Column((), tf.int64, np.int32),
        "day": _Column((), tf.int64, np.int32),
        "label": _Column((), tf.float32, np.float32),
    }
    for name, shape in layout.row_shapes().items():
        width = (math.prod(shape),)
        if name == "categorical":
            columns[name] = _Column(width, tf.int64, np.int32)
        else:
            columns[name] = _Column(width, tf.float32, np.float32)
    return columns


class RowStore:
    """Rows of one split, addressable by index.

    Args:
      columns: memory-mapped arrays of equal length, by name.
      layout: what the packed columns hold.
      rows: the rows of the store that this view shows; `None` for all.

    Attributes:
      domain: domain index of each row, int32 (rows,).
      label: label of each row, float32 (rows,).
    """

    def __init__(self, columns: dict[str, Array], layout: FeatureLayout, rows: Array | None = None) -> None:
        self._columns = columns
        self._layout = layout
        self._rows = rows
        self.domain = self._column("domain")
        self.label = self._column("label")

    def __len__(self) -> int:
        return len(self._columns["domain"]) if self._rows is None else len(self._rows)

    def _column(self, name: str) -> Array:
        column = self._columns[name]
        return np.asarray(column) if self._rows is None else np.asarray(column[self._rows])

    @property
    def day(self) -> Array:
        """Local day number of each row, int32 (rows,)."""
        return self._column("day")

    def where(self, mask: Array) -> RowStore:
        """The rows of this view for which `mask`, bool (rows,), holds."""
        chosen = np.flatnonzero(mask)
        return RowStore(self._columns, self._layout, chosen if self._rows is None else self._rows[chosen])

    def of_known_domains(self) -> RowStore:
        """Without the rows of domains that the layout does not know: forgotten, or of the evaluation alone."""
        known = self.domain < self._layout.domain_count
        return self if known.all() else self.where(known)

    def gather(self, indices: Array) -> dict[str, Array]:
        """Model inputs of the rows at `indices`, int (...,): arrays (..., shape of a row) by name."""
        at = indices if self._rows is None else self._rows[indices]
        rows = {}
        for name, shape in self._layout.row_shapes().items():
            values = np.asarray(self._columns[name][at]).reshape((*np.shape(indices), *shape))
            rows[name] = values.astype(np.int64) if name == "categorical" else values
        return rows


def decode(
    files: Sequence[str],
    layout: FeatureLayout,
    directory: Path,
    progress: Callable[[int], None] | None = None,
    every: int = 1,
) -> RowStore:
    """Decodes transformed TFRecords into a `RowStore` in `directory`.

    Args:
      files: gzip-compressed TFRecords of packed `tf.Example` as Transform writes them.
      layout: what the packed columns hold.
      directory: where the columns go; made, and emptied first.
      progress: called with the number of rows decoded so far.
      every: decodes the first of so many rows, and skips the others.

    Raises:
      InputError: the files hold no row.
    """
    if write(_batches(files, _columns(layout), every), layout, directory, progress) == 0:
        raise InputError(_NO_ROW)
    return open_rows(directory, layout)


def decode_together(
    files: Sequence[str],
    layout: FeatureLayout,
    directory: Path,
    worker: int,
    workers: int,
    barrier: Callable[[], None],
    progress: Callable[[int], None] | None = None,
) -> RowStore:
    """As `decode`, by processes that share a disk: each decodes its own files, and all read what all have decoded.

    Args:
      files, layout, directory, progress: as for `decode`; the directory is the same for all.
      worker, workers: which of how many this process is.
      barrier: waits until all are there.

    Raises:
      InputError: the files hold no row.
    """
    if worker == 0:
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
    barrier()
    parts = [directory / f"part-{number}" for number in range(workers)]
    ordered = sorted(files)
    own = ordered[shares([tf.io.gfile.stat(file).length for file in ordered], workers)[worker]]
    write(_batches(own, _columns(layout), 1) if own else (), layout, parts[worker], progress)
    barrier()
    names = list(_columns(layout))
    sizes = {name: [(part / name).stat().st_size for part in parts] for name in names}
    if sum(sizes["domain"]) == 0:
        raise InputError(_NO_ROW)
    if worker == 0:
        for name in names:
            with (directory / name).open("wb") as whole:
                whole.truncate(sum(sizes[name]))
    barrier()
    for name in names:
        with (directory / name).open("r+b") as whole, (parts[worker] / name).open("rb") as part:
            whole.seek(sum(sizes[name][:worker]))
            shutil.copyfileobj(part, whole, 1 << 24)
    shutil.rmtree(parts[worker])
    barrier()
    return open_rows(directory, layout)


def shares(sizes: Sequence[int], workers: int) -> list[slice]:
    """Consecutive files for each worker, as equal in bytes as whole files allow.

    >>> shares([5, 5, 5, 5, 20], 2)
    [slice(0, 4, None), slice(4, 5, None)]
    >>> shares([7], 2)
    [slice(0, 0, None), slice(0, 1, None)]
    """
    # A file belongs to whoever has its middle.
    middles = np.cumsum(sizes) - np.array(sizes) / 2
    edges = np.searchsorted(middles, sum(sizes) * np.arange(workers + 1) / workers)
    return [slice(int(a), int(b)) for a, b in itertools.pairwise(edges)]


def write(
    batches: Iterable[Mapping[str, Any]],
    layout: FeatureLayout,
    directory: Path,
    progress: Callable[[int], None] | None = None,
) -> int:
    """Writes batches of packed rows as flat columns; `open_rows` reads them.

    Args:
      batches: arrays (rows, ...) by column: `domain`, `day`, `label`, and those that the layout names.
      layout: what the packed columns hold.
      directory: where the columns go; made, and emptied first.
      progress: called with the number of rows written so far.

    Returns:
      The number of rows.
    """
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    columns = _columns(layout)
    total = 0
    files_by_name = {name: (directory / name).open("wb") for name in columns}
    try:
        for batch in batches:
            for name, column in columns.items():
                np.asarray(batch[name]).astype(column.stored).tofile(files_by_name[name])
            total += len(batch["domain"])
            if progress is not None:
                progress(total)
    finally:
        for handle in files_by_name.values():
            handle.close()
    return total


def open_rows(directory: Path, layout: FeatureLayout) -> RowStore:
    """The rows that `write` or `decode` left in a folder.

    Args:
      directory: the folder; it holds at least one row.
      layout: the one they were written with.
    """
    columns = _columns(layout)
    total = (directory / "domain").stat().st_size // np.dtype(columns["domain"].stored).itemsize
    return RowStore(
        {
            name: np.memmap(directory / name, dtype=column.stored, mode="r", shape=(total, *column.shape))
            for name, column in columns.items()
        },
        layout,
    )


def is_decoded(directory: Path) -> bool:
    """Whether a folder holds columns and not TFRecords."""
    return (directory / "domain").is_file() and (directory / "label").is_file()


def _batches(files: Sequence[str], columns: dict[str, _Column], every: int) -> Iterator[dict[str, Any]]:
    spec = {name: tf.io.FixedLenFeature(column.shape, column.parsed) for name, column in columns.items()}
    dataset = tf.data.TFRecordDataset(sorted(files), compression_type="GZIP", num_parallel_reads=None)
    dataset = (
        dataset.shard(every, 0)
        .batch(_DECODE_BATCH)
        .map(lambda serialized: tf.io.parse_example(serialized, spec), num_parallel_calls=tf.data.AUTOTUNE)
    )
    return iter(dataset.prefetch(tf.data.AUTOTUNE).as_numpy_iterator())
