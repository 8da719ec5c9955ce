"""Where training rows come from: anything with domains, labels and a way to fetch rows by index."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np

from models.arrays import Array


class RowSource(Protocol):
    """Rows that can be fetched in any order; those that live on disk need not fit in memory.

    Attributes:
        domain: `(n,)` domain index of each row.
        label: `(n,)` 0 or 1.
    """

    domain: Array
    label: Array

    def gather(self, indices: Array) -> dict[str, Array]:
        """The row tensors (`models.features`) `(..., *row shape)` of indices `(...)`."""


class ArrayRows:
    """Rows in memory.

    Args:
        rows: arrays `(n, ...)` by key, as `models.features` names them.
        domain: `(n,)`.
        label: `(n,)`.

    Raises:
        ValueError: if lengths differ or a label is neither 0 nor 1.
    """

    def __init__(self, rows: Mapping[str, Array], domain: Array, label: Array) -> None:
        lengths = {
            "domain": len(domain),
            "label": len(label),
            **{key: len(value) for key, value in rows.items()},
        }
        if len(set(lengths.values())) > 1:
            raise ValueError(f"arrays of different lengths: {lengths}")
        if not np.isin(label, (0, 1)).all():
            raise ValueError("labels must be 0 or 1")
        self.rows = dict(rows)
        self.domain = np.asarray(domain)
        self.label = np.asarray(label, np.float32)

    def gather(self, indices: Array) -> dict[str, Array]:
        """The row tensors of indices of any shape."""
        return {key: value[indices] for key, value in self.rows.items()}


class JoinedRows:
    """Several sources as one, their rows one after another."""

    def __init__(self, *sources: RowSource) -> None:
        self._sources = sources
        self._starts = np.cumsum([0, *(len(source.domain) for source in sources)])
        self.domain = np.concatenate([source.domain for source in sources])
        self.label = np.concatenate([source.label for source in sources])

    def gather(self, indices: Array) -> dict[str, Array]:
        """The row tensors of indices of any shape."""
        flat = indices.ravel()
        source_of = np.searchsorted(self._starts, flat, side="right") - 1
        joined: dict[str, Array] = {}
        for n, source in enumerate(self._sources):
            mine = source_of == n
            for key, values in source.gather(flat[mine] - self._starts[n]).items():
                if key not in joined:
                    joined[key] = np.empty((len(flat), *values.shape[1:]), values.dtype)
                joined[key][mine] = values
        return {key: values.reshape(*indices.shape, *values.shape[1:]) for key, values in joined.items()}
