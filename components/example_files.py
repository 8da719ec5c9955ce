"""Files of raw examples: written twice, as examples and as columns, and read a batch at a time."""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow_hotfix  # noqa: F401 - as in components.dataset.parquet
import tensorflow as tf
from apache_beam.io.filesystems import FileSystems
from tfx import types
from tfx.dsl.io import fileio
from tfx.types import artifact_utils
from tfx_bsl.coders import example_coder

from components.committed import commit, committed_files, temporary_of
from components.example_bytes import serialize

# Rows of a batch where examples are decoded.
BATCH_ROWS = 8192
COLUMNS = "Columns-"
# Level 1 takes a third of the time of the default level, for two fifths more space.
GZIP = tf.io.TFRecordOptions(compression_type="GZIP", compression_level=1)


@dataclass(frozen=True)
class ExampleFile:
    """A file of raw examples: its number among those of a pass, its split and its path."""

    index: int
    split: str
    path: str


def files_of(examples: Sequence[types.Artifact], splits: Sequence[str]) -> list[ExampleFile]:
    """The files of some splits of all artifacts, in a fixed order."""
    found = []
    for split in splits:
        for uri in artifact_utils.get_split_uris(list(examples), split):
            if fileio.isdir(uri):
                found += [(split, path) for path in committed_files(uri)]
    return [ExampleFile(index, split, path) for index, (split, path) in enumerate(found)]


def columns_path(path: str) -> str:
    """Where the columns of a file of examples lie, if somebody wrote them: beside the splits, which hold examples
    alone."""
    folder, _, name = path.rpartition("/")
    root, _, split = folder.rpartition("/")
    return f"{root}/{COLUMNS}{split.removeprefix('Split-')}/{name.partition('.')[0]}.arrow"


class ExampleWriter:
    """Writes rows as a gzip-compressed TFRecord file of `tf.Example`s, and again as columns.

    Any component of TFX reads the former. The latter is for those of this project: to decode an example costs ten times
    what its columns cost.

    Args:
      path: of the TFRecord file, in the folder of its split.
    """

    def __init__(self, path: str) -> None:
        self._places = [(temporary_of(name), name) for name in (path, columns_path(path))]
        (examples, _), (columns, _) = self._places
        self._examples = tf.io.TFRecordWriter(examples, GZIP)
        self._file = FileSystems.create(columns)
        self._columns: Any = None

    def write(self, batch: pa.RecordBatch) -> None:
        """Writes rows.

        Args:
          batch: columns of one value a row or of lists of values, null where a row has none; all batches have the same
            types.
        """
        if self._columns is None:
            options = pa.ipc.IpcWriteOptions(compression="zstd")
            self._columns = pa.ipc.new_stream(self._file, batch.schema, options=options)
        self._columns.write_batch(batch)
        for example in serialize(dict(zip(batch.schema.names, _lists(batch), strict=True))).to_pylist():
            self._examples.write(example)

    def close(self) -> None:
        """Ends both files, and puts them in their places."""
        self._examples.close()
        if self._columns is not None:
            self._columns.close()
        self._file.close()
        for temporary, place in self._places:
            commit(temporary, place)


def read_serialized(path: str) -> Iterator[tf.Tensor]:
    """Batches of a file's examples as they are, text (rows,)."""
    yield from tf.data.TFRecordDataset(path, compression_type="GZIP").batch(BATCH_ROWS)


def read_batches(path: str, names: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
    """Batches of the examples of a file: every column lists of values, null where a row has none.

    Args:
      path: of the gzip-compressed TFRecord file; where its columns lie beside it, they are read.
      names: the columns that are wanted; those that no row has are not there. `None`: all.
    """
    columns = columns_path(path)
    if fileio.exists(columns):
        with FileSystems.open(columns) as file:
            yield from _stored(file, names)
        return
    decoder = example_coder.ExamplesToRecordBatchDecoder()
    for serialized in read_serialized(path):
        batch = decoder.DecodeBatch(serialized.numpy().tolist())
        if names is not None:
            kept = [name for name in batch.schema.names if name in set(names)]
            batch = pa.RecordBatch.from_arrays(
                [batch.column(batch.schema.get_field_index(n)) for n in kept], names=kept
            )
        yield batch


def _stored(file: Any, names: Sequence[str] | None) -> Iterator[pa.RecordBatch]:
    options = pa.ipc.IpcReadOptions()
    if names is not None:
        # What is left out is not decompressed.
        schema = pa.ipc.open_stream(file).schema
        file.seek(0)
        wanted = [place for place, name in enumerate(schema.names) if name in set(names)]
        options = pa.ipc.IpcReadOptions(included_fields=wanted)
    for batch in pa.ipc.open_stream(file, options=options):
        yield pa.RecordBatch.from_arrays(_lists(batch), names=batch.schema.names)


def _lists(batch: pa.RecordBatch) -> list[pa.Array]:
    """The columns as lists of values, which is how examples hold them."""
    return [_list(column) for column in batch.columns]


def _list(column: pa.Array) -> pa.Array:
    if pa.types.is_large_list(column.type):
        return column
    missing = column.is_null().to_numpy(zero_copy_only=False)
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(~missing)])
    mask = np.append(missing, False) if missing.any() else None
    return pa.LargeListArray.from_arrays(pa.array(offsets, pa.int64(), mask=mask), column.drop_null())


def column_of(path: str, name: str) -> np.ndarray[Any, Any] | None:
    """A column of the rows of a file of examples, one value each; `None` where no columns lie beside it, or a row has
    no value or several."""
    if not fileio.exists(columns_path(path)):
        return None
    parts = []
    for batch in read_batches(path, [name]):
        if name not in batch.schema.names or len(batch.column(name).values) != batch.num_rows:
            return None
        parts.append(batch.column(name).values.to_numpy(zero_copy_only=False))
    return np.concatenate(parts) if parts else None


def pickled(value: Any) -> bytes:
    """What a worker leaves for the next pass, as bytes."""
    return pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL)


def unpickled(content: bytes) -> Any:
    """What `pickled` was given."""
    return pickle.loads(content)


def write_pickle(path: str, value: Any) -> None:
    """Writes what a worker leaves for the next pass."""
    with fileio.open(path, "wb") as stream:
        stream.write(pickled(value))


def read_pickle(path: str) -> Any:
    """Reads what `write_pickle` wrote."""
    with fileio.open(path, "rb") as stream:
        return unpickled(stream.read())
