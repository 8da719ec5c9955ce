"""Rows of earlier days, as today's model reads them: ids, domains and history go by value, never by position."""

from __future__ import annotations

import csv
import dataclasses
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from components.committed import committed_files
from components.dataset.declaration import Declaration
from components.trainer.row_store import RowStore, decode
from components.transform.analyser import VOCABULARY
from components.transform.row_layout import asset_path, read_layout
from models.arrays import Array
from models.features import FeatureLayout
from models.rows import RowSource
from models.weight_axes import MISSING, UNKNOWN, Values, feature_labels


def read_values(transform_graph: str | Path, layout: FeatureLayout) -> dict[str, list[str]]:
    """The known values of each `vocabulary` feature, in the order of their ids from 1.

    Args:
      transform_graph: the artifact's folder.
      layout: of its rows.
    """
    with tf.io.gfile.GFile(asset_path(transform_graph, VOCABULARY)) as file:
        _, *rows = csv.reader(io.StringIO(file.read(), newline=""))
    names = {feature.name for feature in layout.categorical}
    values: dict[str, list[str]] = {}
    for feature, _, _, value in sorted(rows, key=lambda row: int(row[1])):
        if feature in names:
            values.setdefault(feature, []).append(value)
    return values


@dataclasses.dataclass(frozen=True)
class EarlierDay:
    """Where the transformed rows of an earlier day lie.

    Attributes:
      examples: the `transformed_examples` artifact's folder.
      transform_graph: the graph that made them.
    """

    examples: str
    transform_graph: str


def read_earlier_day(
    day: EarlierDay, declaration: Declaration, layout: FeatureLayout, values: Values, work: Path, every: int
) -> RowSource | None:
    """The rows of an earlier day in today's layout; `None` where none is left.

    Args:
      day: where they are; both splits are read.
      declaration: of the data set.
      layout, values: today's.
      work: where rows are decoded to.
      every: reads one of so many rows.
    """
    then = read_layout(day.transform_graph, declaration)
    files = [file for split in ("train", "eval") for file in committed_files(f"{day.examples}/Split-{split}")]
    rows = decode(files, then, work, every=every).of_known_domains()
    place = {name: n for n, name in enumerate(layout.domains)}
    domains = np.array([place.get(name, -1) for name in then.domains], np.int32)
    kept = domains[rows.domain] >= 0
    if not kept.any():
        return None
    return TranslatedRows(rows.where(kept), then, read_values(day.transform_graph, then), layout, values)


class TranslatedRows:
    """Rows of one layout, read as another has them.

    A value that is no longer known is read as out of vocabulary; an input that the earlier layout lacks as 0, an id
    as missing. Domains that are gone must have no rows here.

    Args:
      rows: the earlier rows.
      then, values_then: their layout and known values.
      now, values_now: those that they are read by.
    """

    def __init__(
        self, rows: RowStore, then: FeatureLayout, values_then: Values, now: FeatureLayout, values_now: Values
    ) -> None:
        self._rows, self._now = rows, now
        place = {name: n for n, name in enumerate(now.domains)}
        self.domain = np.array([place.get(name, -1) for name in then.domains], np.int32)[rows.domain]
        self.label = rows.label
        self._ids = _id_columns(then, values_then, now, values_now)
        self._numeric = _columns(then.numeric, now.numeric)
        self._averages = _columns(then.averages, now.averages)
        self._history = _columns(then.history, now.history)
        self._domains = _columns(then.domains, now.domains)

    def gather(self, indices: Array) -> dict[str, Array]:
        """The row tensors of indices of any shape, as today's layout names and orders them."""
        rows = self._rows.gather(indices)
        found = {}
        for key in self._now.row_shapes():
            if key == "categorical":
                found[key] = self._translated(rows.get(key), indices.shape)
            elif key == "history":
                found[key] = _taken(_taken(rows[key], self._history), self._domains, -2)
            else:
                found[key] = _taken(rows[key], self._numeric if key == "numeric" else self._averages)
        return found

    def _translated(self, ids: Array | None, leading: tuple[int, ...]) -> Array:
        columns = [
            np.zeros(leading, np.int64) if table is None or ids is None else table[ids[..., column]]
            for column, table in self._ids
        ]
        return np.stack(columns, axis=-1)


def _taken(values: Array, at: Array, axis: int = -1) -> Array:
    """Positions `at` along an axis, zeros where it is -1."""
    padded = np.concatenate([values, np.zeros_like(np.take(values, [0], axis=axis))], axis=axis)
    return np.take(padded, at, axis=axis)


def _columns(then: Sequence[str], now: Sequence[str]) -> Array:
    place = {name: n for n, name in enumerate(then)}
    return np.array([place.get(name, -1) for name in now], np.int64)


def _id_columns(
    then: FeatureLayout, values_then: Values, now: FeatureLayout, values_now: Values
) -> list[tuple[int, Array | None]]:
    """For each column of today's ids: the earlier column, and today's id of each earlier one; `None`: there is none."""
    first, offsets = 0, {}
    for feature in then.categorical:
        offsets[feature.name] = (first, feature)
        first += feature.width
    columns: list[tuple[int, Array | None]] = []
    for feature in now.categorical:
        start, earlier = offsets.get(feature.name, (0, None))
        if earlier is None:
            columns += [(0, None)] * feature.width
            continue
        place = {label: n for n, label in enumerate(feature_labels(feature, values_now.get(feature.name)))}
        unknown = place.get((feature.name, UNKNOWN, 0), place[(feature.name, MISSING)])
        labels = feature_labels(earlier, values_then.get(feature.name))
        table = np.array([place.get(label, unknown) for label in labels], np.int64)
        for n in range(feature.width):
            columns.append((start + n, table) if n < earlier.width else (0, None))
    return columns
