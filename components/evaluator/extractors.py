"""Extractors that keep batches whole: what TFMA needs of 60 raw columns is three of them and the predictions.

TFMA's own extractors turn every column of every row into a Python object. These read only the label and the
columns that slices and metrics name, and hand on whole batches: one piece per slice instead of one per row. The
metrics of this package take both. The Evaluator finds `custom_extractors` by the module's path.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import tensorflow as tf
import tensorflow_model_analysis as tfma
from apache_beam.transforms.window import GlobalWindows
from tensorflow_model_analysis import constants
from tensorflow_model_analysis.extractors import slice_key_extractor
from tensorflow_model_analysis.slicer import slicer_lib
from tensorflow_model_analysis.utils import model_util

from components.evaluator.config import SIGNATURE
from components.progress import Progress, report

MODULE = __name__
GATHERED_ROWS = 1 << 16


def custom_extractors(
    eval_shared_model: Any, eval_config: tfma.EvalConfig, tensor_adapter_config: Any = None
) -> list[tfma.extractors.Extractor]:
    """The extractors of an evaluation: named columns, predictions, pieces by slice.

    Args:
      eval_shared_model: the model or models, as TFMA passes them.
      eval_config: its slices are the overall one and single columns.
      tensor_adapter_config: not needed.

    Raises:
      ValueError: a slice is neither the overall one nor that of a single column.
    """
    label = eval_config.model_specs[0].label_key
    sliced = [_slice_column(spec) for spec in eval_config.slicing_specs]
    columns = [column for column in sliced if column is not None]
    models = model_util.verify_and_update_eval_shared_models(eval_shared_model)
    return [
        tfma.extractors.Extractor("ExtractColumns", beam.ParDo(ReadColumns(label, columns, eval_config))),
        tfma.extractors.Extractor("ExtractPredictions", beam.ParDo(Predict(models))),
        # TFMA's evaluator asks for this name.
        tfma.extractors.Extractor(
            slice_key_extractor.SLICE_KEY_EXTRACTOR_STAGE_NAME,
            beam.ParDo(SplitBySlice(columns, overall=None in sliced or not sliced)),
        ),
    ]


def _slice_column(spec: tfma.SlicingSpec) -> str | None:
    if len(spec.feature_keys) > 1 or spec.feature_values or spec.slice_keys_sql:
        raise ValueError(f"expected the overall slice or that of one column, got {spec}")
    return spec.feature_keys[0] if spec.feature_keys else None


def feature_columns(eval_config: tfma.EvalConfig) -> set[str]:
    """The raw columns that the metrics of this package name as `user` or `domain`."""
    configs = [
        json.loads(metric.config or "{}") for spec in eval_config.metrics_specs for metric in spec.metrics
    ]
    return {config[role] for config in configs for role in ("user", "domain") if role in config}


class ReadColumns(beam.DoFn):
    """Arrow batches to the label, the named columns, and the serialized examples for the model.

    Args:
      label: the label's column.
      columns: columns to slice by.
      eval_config: names the columns that metrics need.
    """

    def __init__(self, label: str, columns: Iterable[str], eval_config: tfma.EvalConfig) -> None:
        self._label = label
        self._columns = sorted({*columns, *feature_columns(eval_config)})

    def process(self, extracts: dict[str, Any]) -> Iterator[dict[str, Any]]:
        batch: pa.RecordBatch = extracts[constants.ARROW_RECORD_BATCH_KEY]
        label = column_values(batch, self._label)
        if np.ma.getmaskarray(label).any():
            raise ValueError(f"{np.ma.getmaskarray(label).sum()} rows have no label {self._label}")
        serialized = batch.column(batch.schema.get_field_index(constants.ARROW_INPUT_COLUMN))
        yield {
            constants.INPUT_KEY: np.asarray(serialized.flatten()),
            constants.LABELS_KEY: label.data,
            constants.FEATURES_KEY: {name: column_values(batch, name) for name in self._columns},
        }


def column_values(batch: pa.RecordBatch, name: str) -> np.ma.MaskedArray:
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


class Predict(model_util.DoFnWithModels):
    """Serialized examples to one prediction per row and model, by the models' signature `examples`.

    TFMA's extractor hands the signature a positional argument, which it takes only after an error whose text
    holds every example. An earlier model that cannot read these examples, because a column has changed its type,
    predicts NaN: a comparison with it then fails with a reason.

    Args:
      models: the candidate, and the baseline if there is one.
    """

    def __init__(self, models: list[Any]) -> None:
        super().__init__({model.model_name: model.model_loader for model in models})
        self._baselines = {model.model_name for model in models if model.is_baseline}
        self._done = 0

    def process(self, elem: dict[str, Any]) -> Iterator[dict[str, Any]]:
        serialized = tf.constant(elem[constants.INPUT_KEY], tf.string)
        predictions = {
            name: self._predict(name, model, serialized) for name, model in self._loaded_models.items()
        }
        self._done += len(serialized)
        report(Progress("scoring rows", self._done))
        alone = len(predictions) == 1
        yield {
            **elem,
            constants.PREDICTIONS_KEY: next(iter(predictions.values())) if alone else predictions,
        }

    def _predict(self, name: str, model: Any, serialized: tf.Tensor) -> np.ndarray:
        signature = model.signatures[SIGNATURE]
        [argument] = signature.structured_input_signature[1]
        try:
            [prediction] = signature(**{argument: serialized}).values()
        except tf.errors.InvalidArgumentError as error:
            if name not in self._baselines:
                raise
            logging.warning("the last blessed model cannot score these examples: %s", error)
            return np.full(len(serialized), np.nan, np.float32)
        return prediction.numpy().reshape(-1)


class SplitBySlice(beam.DoFn):
    """Batches to pieces: all rows for the overall slice, and one piece per value of each sliced column.

    Batches are gathered first: a thousand small domains in a batch would otherwise be a thousand pieces of one row.

    Args:
      columns: columns to slice by.
      overall: whether there is an overall slice.
      rows: gathered before they are split.
    """

    def __init__(self, columns: list[str], overall: bool, rows: int = GATHERED_ROWS) -> None:
        self._columns = columns
        self._overall = overall
        self._rows = rows
        self._gathered: list[dict[str, Any]] = []

    def start_bundle(self) -> None:
        self._gathered = []

    def process(self, extracts: dict[str, Any]) -> Iterator[dict[str, Any]]:
        self._gathered.append({key: extracts[key] for key in _PIECE})
        if sum(len(batch[constants.LABELS_KEY]) for batch in self._gathered) >= self._rows:
            yield from self._split()

    def finish_bundle(self) -> Iterator[Any]:
        for piece in self._split():
            yield GlobalWindows.windowed_value(piece)

    def _split(self) -> Iterator[dict[str, Any]]:
        if not self._gathered:
            return
        rows = _joined(self._gathered)
        self._gathered = []
        if self._overall:
            yield _piece(rows, slice(None), ())
        for column in self._columns:
            values = rows[constants.FEATURES_KEY][column]
            known = np.flatnonzero(~np.ma.getmaskarray(values))
            if not len(known):
                continue
            distinct, member = np.unique(values.data[known], return_inverse=True)
            order = known[np.argsort(member.reshape(-1), kind="stable")]
            ends = np.cumsum(np.bincount(member.reshape(-1), minlength=len(distinct)))
            for value, here in zip(distinct, np.split(order, ends[:-1]), strict=True):
                yield _piece(rows, here, ((column, _plain(value)),))


_PIECE = (constants.LABELS_KEY, constants.PREDICTIONS_KEY, constants.FEATURES_KEY)


def _joined(parts: list[Any]) -> Any:
    """Arrays end to end; of dicts, key by key."""
    if isinstance(parts[0], dict):
        return {key: _joined([part[key] for part in parts]) for key in parts[0]}
    return np.ma.concatenate(parts) if isinstance(parts[0], np.ma.MaskedArray) else np.concatenate(parts)


def _chosen(rows: Any, here: np.ndarray | slice) -> Any:
    return {key: _chosen(part, here) for key, part in rows.items()} if isinstance(rows, dict) else rows[here]


def _piece(
    rows: dict[str, Any], here: np.ndarray | slice, slice_key: tuple[tuple[str, int | str], ...]
) -> dict[str, Any]:
    return {
        **_chosen(rows, here),
        constants.SLICE_KEY_TYPES_KEY: slicer_lib.slice_keys_to_numpy_array([slice_key]),
    }


def _plain(value: Any) -> int | str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return int(value) if isinstance(value, (int, np.integer)) else str(value)
