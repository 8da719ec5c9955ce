"""Files of raw examples, as the passes of components take them: numbered, and read a batch at a time."""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import tensorflow as tf
from tfx import types
from tfx.dsl.io import fileio
from tfx.types import artifact_utils
from tfx_bsl.coders import example_coder

from components.committed import committed_files

BATCH_ROWS = 8192


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


def read_serialized(path: str) -> tf.data.Dataset:
    """Batches of the serialized examples of a gzip-compressed TFRecord file."""
    return tf.data.TFRecordDataset(path, compression_type="GZIP").batch(BATCH_ROWS)


def read_batches(path: str) -> Iterator[pa.RecordBatch]:
    """Batches of the examples of a file: every column lists of values, null where a row has none."""
    decoder = example_coder.ExamplesToRecordBatchDecoder()
    for serialized in read_serialized(path).as_numpy_iterator():
        yield decoder.DecodeBatch(serialized.tolist())


def write_pickle(path: str, value: Any) -> None:
    """Writes what a worker leaves for the next pass."""
    with fileio.open(path, "wb") as stream:
        stream.write(pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL))


def read_pickle(path: str) -> Any:
    """Reads what `write_pickle` wrote."""
    with fileio.open(path, "rb") as stream:
        return pickle.loads(stream.read())  # noqa: S301 - this run's own workers wrote it
