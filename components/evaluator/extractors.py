"""Scored rows for TFMA: a whole batch becomes one piece per slice, where TFMA's own extractors make one per row.

The metrics of this package take both.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
import numpy as np
import tensorflow_model_analysis as tfma
from apache_beam.transforms.window import GlobalWindows
from tensorflow_model_analysis import constants
from tensorflow_model_analysis.extractors import slice_key_extractor
from tensorflow_model_analysis.slicer import slicer_lib

from models.arrays import Array

GATHERED_ROWS = 1 << 16


def slicing(eval_config: tfma.EvalConfig) -> tfma.extractors.Extractor:
    """The extractor of an evaluation: pieces by slice.

    Args:
      eval_config: its slices are the overall one and single columns.

    Raises:
      ValueError: a slice is neither the overall one nor that of a single column.
    """
    sliced = _sliced(eval_config)
    columns = [column for column in sliced if column is not None]
    return tfma.extractors.Extractor(
        # TFMA's evaluator asks for this name.
        slice_key_extractor.SLICE_KEY_EXTRACTOR_STAGE_NAME,
        beam.ParDo(SplitBySlice(columns, overall=None in sliced or not sliced)),
    )


def kept_columns(eval_config: tfma.EvalConfig) -> set[str]:
    """The raw columns that slices are by, and those that the metrics of this package name as `user` or `domain`."""
    configs = [
        json.loads(metric.config or "{}") for spec in eval_config.metrics_specs for metric in spec.metrics
    ]
    named = {config[role] for config in configs for role in ("user", "domain") if config.get(role)}
    return named | {column for column in _sliced(eval_config) if column is not None}


def _sliced(eval_config: tfma.EvalConfig) -> list[str | None]:
    return [_slice_column(spec) for spec in eval_config.slicing_specs]


def _slice_column(spec: tfma.SlicingSpec) -> str | None:
    if len(spec.feature_keys) > 1 or spec.feature_values or spec.slice_keys_sql:
        raise ValueError(f"expected the overall slice or that of one column, got {spec}")
    return spec.feature_keys[0] if spec.feature_keys else None


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


def _chosen(rows: Any, here: Array | slice) -> Any:
    return {key: _chosen(part, here) for key, part in rows.items()} if isinstance(rows, dict) else rows[here]


def _piece(
    rows: dict[str, Any], here: Array | slice, slice_key: tuple[tuple[str, int | str], ...]
) -> dict[str, Any]:
    return {
        **_chosen(rows, here),
        constants.SLICE_KEY_TYPES_KEY: slicer_lib.slice_keys_to_numpy_array([slice_key]),
    }


def _plain(value: Any) -> int | str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return int(value) if isinstance(value, (int, np.integer)) else str(value)
