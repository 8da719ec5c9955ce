"""The table of the averages' keys in parts: no process that can do with some of it holds it whole.

A table has an entry for every key and bucket in which the key has rows, up to `max_keys` times the buckets for each key
of the plan: of a few million rows it is larger than all else that Transform knows. Its parts are stretches of the
sorted keys, made one after another, each in a file of its own.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from components.example_files import read_pickle, write_pickle
from components.transform.target_encoding import KeyTable, state_width

ALIGNMENT = 64
"""Bytes at whose multiples TensorFlow wants an array to begin."""


class Store(Protocol):
    """Where parts lie, by name: a `FileStore`, or a dictionary."""

    def __getitem__(self, name: str) -> Any: ...

    def __setitem__(self, name: str, value: Any) -> None: ...


@dataclass(frozen=True)
class FileStore:
    """Values in files of a folder, each of which is read whenever it is asked for."""

    folder: str

    def __getitem__(self, name: str) -> Any:
        return read_pickle(f"{self.folder}/{name}")

    def __setitem__(self, name: str, value: Any) -> None:
        write_pickle(f"{self.folder}/{name}", value)


@dataclass(frozen=True)
class StoredKeyTable:
    """A `KeyTable` in parts.

    Attributes:
      store: has the parts.
      sizes: keys and entries of each part, int64 (P, 2).
      missing, buckets: of the whole table.
    """

    store: Store
    sizes: np.ndarray
    missing: np.ndarray
    buckets: int

    @property
    def keys(self) -> int:
        """How many there are."""
        return int(self.sizes[:, 0].sum())

    @property
    def entries(self) -> int:
        """How many there are."""
        return int(self.sizes[:, 1].sum())

    @property
    def width(self) -> int:
        """Numbers of a state."""
        return state_width(self.missing)

    def parts(self) -> Iterator[KeyTable]:
        """One part after another."""
        for number in range(len(self.sizes)):
            yield self.store[part_name(number)]

    def placed(self) -> Iterator[tuple[int, int, KeyTable]]:
        """Every part as it lies in the whole table, with the place of its first key and that of its first entry."""
        key = entry = 0
        for part in self.parts():
            key_buckets = part.key_buckets + key * (self.buckets + 1)
            yield key, entry, replace(part, key_buckets=key_buckets)
            key, entry = key + len(part.keys), entry + len(part.key_buckets)

    def whole(self) -> KeyTable:
        """The parts as one table, in arrays that TensorFlow can use where they lie."""
        keys, key_buckets, states = self._empty()
        for key, entry, part in self.placed():
            keys[key : key + len(part.keys)] = part.keys
            key_buckets[entry : entry + len(part.key_buckets)] = part.key_buckets
            states[entry : entry + len(part.key_buckets)] = part.states
        return KeyTable(keys, key_buckets, states, self.missing, self.buckets)

    def before(self, buckets: np.ndarray) -> KeyTable:
        """All keys, and of their entries those that rows of some buckets see, each the newest before its own bucket.

        Args:
          buckets: sorted indices, T for "after the end".
        """
        # What is not written to takes no memory.
        keys, key_buckets, states = self._empty()
        entry = 0
        for key, first, part in self.placed():
            rows = _seen(part, buckets)
            if first == 0:
                # A table is never empty.
                rows = np.union1d(0, rows)
            end = entry + len(rows)
            keys[key : key + len(part.keys)] = part.keys
            key_buckets[entry:end] = part.key_buckets[rows]
            states[entry:end] = part.states[rows]
            entry = end
        return KeyTable(keys, key_buckets[:entry], states[:entry], self.missing, self.buckets)

    def _empty(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Room for the keys, their buckets and states."""
        return (
            _aligned((self.keys,), np.int64),
            _aligned((self.entries,), np.int64),
            _aligned((self.entries, self.width), np.float32),
        )


def _aligned(shape: tuple[int, ...], dtype: npt.DTypeLike) -> np.ndarray:
    """An array that TensorFlow can use where it lies."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    raw = np.empty(size + ALIGNMENT, np.uint8)
    start = -raw.ctypes.data % ALIGNMENT
    return raw[start : start + size].view(dtype).reshape(shape)


def part_name(number: int) -> str:
    """The name of a part in its store."""
    return f"table-{number:06d}"


def _seen(table: KeyTable, buckets: np.ndarray) -> np.ndarray:
    """Places of the entries that are some key's newest before one of the buckets.

    >>> table = KeyTable(
    ...     np.array([7, 9]), np.array([0, 1, 3, 5]), np.zeros((4, 2), np.float32), np.array([-1]), buckets=4
    ... )
    >>> _seen(table, np.array([2])), _seen(table, np.array([1, 4]))
    (array([1, 3]), array([0, 2, 3]))
    """
    position, bucket = np.divmod(table.key_buckets, table.buckets + 1)
    until = np.full(len(bucket), table.buckets)
    until[:-1][position[1:] == position[:-1]] = bucket[1:][position[1:] == position[:-1]]
    # An entry is seen by the buckets after its own, up to its key's next one.
    first = np.append(buckets, table.buckets + 1)[np.searchsorted(buckets, bucket, side="right")]
    return np.flatnonzero(first <= until)
