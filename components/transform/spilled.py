"""Columns that are made part by part and lie on the disk, of which memory has what is being read."""

from __future__ import annotations

import tempfile
from typing import IO

import numpy as np

from components.transform.chunks import Chunk


class SpilledColumns:
    """Chunks one after another, each column in a file without a name, which goes with the last array over it.

    >>> spilled = SpilledColumns()
    >>> spilled.add({"key": np.array([1, 2]), "sums": np.ones((2, 3))})
    >>> spilled.add({"key": np.array([5]), "sums": np.zeros((1, 3))})
    >>> columns = spilled.columns()
    >>> columns["key"], columns["sums"].shape
    (array([1, 2, 5]), (3, 3))
    """

    def __init__(self) -> None:
        self._files: dict[str, IO[bytes]] = {}
        self._parts: dict[str, np.ndarray] = {}
        self._rows: dict[str, int] = {}

    def add(self, chunk: Chunk) -> None:
        """Appends rows to the chunk's columns."""
        for name, column in chunk.items():
            if name not in self._files:
                self._files[name] = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the arrays over it
                self._parts[name], self._rows[name] = column[:0], 0
            self._files[name].write(np.ascontiguousarray(column).data)
            self._rows[name] += len(column)

    def columns(self) -> Chunk:
        """All rows, read-only; afterwards nothing is added."""
        return {name: self._column(name, part) for name, part in self._parts.items()}

    def _column(self, name: str, part: np.ndarray) -> np.ndarray:
        shape = (self._rows[name], *part.shape[1:])
        if not np.prod(shape):
            # Of nothing there is no map.
            return np.zeros(shape, part.dtype)
        self._files[name].flush()
        return np.memmap(self._files[name], part.dtype, "r", shape=shape).view(np.ndarray)
