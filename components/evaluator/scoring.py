"""A pass over files of examples that leaves, of every row, its label, some columns, and what each model predicts.

That is what metrics need of 60 raw columns, and some 40 bytes a row instead of a thousand. As in Transform's passes,
elements are the names of files, and rows lie in files of the executor's folder.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import tensorflow as tf
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx_bsl.coders import example_coder

from components.errors import InputError
from components.example_files import ExampleFile, read_serialized, write_pickle
from components.progress import Progress, report
from components.worker_errors import in_worker
from models.arrays import Array

SIGNATURE = "examples"


@dataclass(frozen=True)
class Scored:
    """Rows of a file, in its order.

    Attributes:
      label: (rows,).
      predictions: of each model by its name, float32 (rows,).
      columns: raw columns by name, (rows,), masked where a row has no value.
    """

    label: Array
    predictions: Mapping[str, Array]
    columns: Mapping[str, np.ma.MaskedArray[Any, Any]]


@dataclass(frozen=True)
class Judged:
    """A model that scores rows.

    Attributes:
      path: of its SavedModel.
      is_baseline: whether it is the earlier one. It may be unable to read these examples, because a column has changed
        its type: it predicts NaN then, and a comparison with it fails with a reason.
    """

    path: str
    is_baseline: bool = False


@functools.lru_cache(maxsize=2)
def _loaded(path: str) -> Any:
    """A model; a day's two Evaluators, in one process, both ask the one in service."""
    return tf.saved_model.load(path)


def scored_path(folder: str, index: int) -> str:
    """Where the scored rows of a file lie."""
    return f"{folder}/{index:06d}"


class ScoreFile(beam.DoFn):
    """Leaves the `Scored` rows of a file.

    Args:
      models: by name.
      label: the label's column.
      columns: the other columns that are kept.
      schema: of the examples; no other of its columns is decoded.
      folder: for what is left; all workers share it.
    """

    def __init__(
        self,
        models: Mapping[str, Judged],
        label: str,
        columns: Iterable[str],
        schema: schema_pb2.Schema,
        folder: str,
    ) -> None:
        self._models, self._label, self._columns, self._folder = dict(models), label, sorted(columns), folder
        kept = {label, *self._columns}
        decoded = schema_pb2.Schema(feature=[one for one in schema.feature if one.name in kept])
        self._schema = decoded.SerializeToString()
        self._loaded: dict[str, Any] = {}
        self._done = 0

    def process(self, file: ExampleFile) -> list[None]:
        """Writes the rows."""
        with in_worker(self._folder):
            if not self._loaded:
                self._loaded = {name: _loaded(model.path) for name, model in self._models.items()}
            decoder = example_coder.ExamplesToRecordBatchDecoder(self._schema)
            batches = []
            for serialized in read_serialized(file.path):
                columns = self._read(decoder.DecodeBatch(serialized.numpy().tolist()))
                predictions = {name: self._predict(name, serialized) for name in self._loaded}
                batches.append(Scored(columns.pop(self._label).data, predictions, columns))
                self._done += len(serialized)
                report(Progress("scoring rows", self._done))
            write_pickle(scored_path(self._folder, file.index), batches)
        return []

    def _read(self, batch: pa.RecordBatch) -> dict[str, np.ma.MaskedArray[Any, Any]]:
        columns = {name: column_values(batch, name) for name in (self._label, *self._columns)}
        missing = int(np.ma.getmaskarray(columns[self._label]).sum())
        if missing:
            raise ValueError(f"{missing} rows have no label {self._label}")
        return columns

    def _predict(self, name: str, serialized: tf.Tensor) -> Array:
        signatures, judged = self._loaded[name].signatures, self._models[name]
        if SIGNATURE not in signatures:
            raise InputError(
                f"the model {judged.path} has no signature {SIGNATURE!r}, so that it cannot be judged: where it was "
                "put into service by hand, take it out of the folder of served versions"
            )
        signature = signatures[SIGNATURE]
        [argument] = signature.structured_input_signature[1]
        try:
            [prediction] = signature(**{argument: serialized}).values()
        except tf.errors.InvalidArgumentError as error:
            if not judged.is_baseline:
                raise InputError(
                    f"the model {judged.path} cannot score these rows; where it was put into service by hand, take it "
                    f"out of the folder of served versions: {_told(error)}"
                ) from error
            logging.warning("the last blessed model cannot score these examples: %s", error)
            return np.full(len(serialized), np.nan, np.float32)
        return np.asarray(prediction.numpy().reshape(-1))


def _told(error: tf.errors.OpError) -> str:
    """What is wrong, without where in the graph."""
    lines = [line.strip() for line in str(error.message).split("<stack traces unavailable>")[-1].splitlines()]
    return next((line for line in lines if line), "an invalid argument")


def column_values(batch: pa.RecordBatch, name: str) -> np.ma.MaskedArray[Any, Any]:
    """The first value of a list column in each row (rows,), masked where there is none."""
    index = batch.schema.get_field_index(name)
    column = batch.column(index) if index >= 0 else None
    if column is None or pa.types.is_null(column.type):
        return np.ma.masked_all(batch.num_rows, object)
    values = column.flatten().to_numpy(zero_copy_only=False)
    rows, first = np.unique(pc.list_parent_indices(column).to_numpy(), return_index=True)
    result = np.ma.masked_all(batch.num_rows, values.dtype)
    result[rows] = values[first]
    return result
