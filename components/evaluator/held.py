"""What metrics gather of a slice, by reference where a job runs in one process.

Beam pickles what it takes from one stage to the next, and its local runner holds six copies of that at once. The scores
of all slices, a table for each metric, are 64 bytes a row and metric.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

_held: dict[int, Any] = {}
_open = 0


@contextlib.contextmanager
def by_reference() -> Iterator[None]:
    """Inside the block, all of which is in this process, what is `Held` is pickled as a number."""
    global _open
    _open += 1
    try:
        yield
    finally:
        _open -= 1
        if not _open:
            _held.clear()


class Held:
    """Pickled as usual, but as a number inside `by_reference`. Who merges others must leave them as they are."""

    def __reduce_ex__(self, protocol: Any) -> Any:
        if not _open:
            return super().__reduce_ex__(protocol)
        _held[id(self)] = self
        return _at, (id(self),)


def _at(key: int) -> Any:
    return _held[key]
