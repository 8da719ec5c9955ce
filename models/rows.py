"""Where training rows come from: anything with domains, labels and a way to fetch rows by index."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np


class RowSource(Protocol):
    """Rows that can be fetched in any order; those that live on disk need not fit in memory.

    Attributes:
        domain: `(n,)` domain index of each row.
        label: `(n,)` 0 or 1.
    """

    domain: np.ndarray
    label: np.ndarray

    def gather(self, indices: np.ndarray) -> dict[str, np.ndarray]:
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

    def __init__(self, rows: Mapping[str, np.ndarray], domain: np.ndarray, label: np.ndarray) -> None:
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

    def gather(self, indices: np.ndarray) -> dict[str, np.ndarray]:
        """The row tensors of indices of any shape."""
        return {key: value[indices] for key, value in self.rows.items()}


class JoinedRows:
    """Two sources as one, the second's rows after the first's."""

    def __init__(self, first: RowSource, second: RowSource) -> None:
        self._first, self._second = first, second
        self._border = len(first.domain)
        self.domain = np.concatenate([first.domain, second.domain])
        self.label = np.concatenate([first.label, second.label])

    def gather(self, indices: np.ndarray) -> dict[str, np.ndarray]:
        """The row tensors of indices of any shape."""
        flat = indices.ravel()
        late = flat >= self._border
        early_rows = self._first.gather(flat[~late])
        late_rows = self._second.gather(flat[late] - self._border)
        joined = {}
        for key, early in early_rows.items():
            merged = np.empty((len(flat), *early.shape[1:]), early.dtype)
            merged[~late] = early
            merged[late] = late_rows[key]
            joined[key] = merged.reshape(*indices.shape, *early.shape[1:])
        return joined
