"""Large partial results travel between workers as the name of a file, where an engine would have to hold a record.

An engine sorts records in memory of a fixed size, and a table of all scores does not fit ("record too large"). So
while a job runs on an engine, whatever derives from `Spilled` and is large is pickled into a file of a folder that all
workers share, and its path travels.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import apache_beam as beam
import tensorflow as tf

MOST_BYTES = 1 << 20
_PATH = "spilled to"
_folder = ""


@contextmanager
def sharing(folder: str) -> Iterator[None]:
    """Inside the block jobs are made whose workers leave large partial results in `folder`, which they all share."""
    global _folder
    before, _folder = _folder, folder
    try:
        yield
    finally:
        _folder = before


class SpillingCombineFn(beam.CombineFn):
    """Takes the folder along to the workers."""

    def __getstate__(self) -> dict[str, Any]:
        return {"folder": _folder, "fields": self.__dict__}

    def __setstate__(self, state: dict[str, Any]) -> None:
        global _folder
        _folder = state["folder"]
        self.__dict__.update(state["fields"])


class Spilled:
    """Fields that are pickled into a file where they are large and workers share a folder."""

    def __getstate__(self) -> dict[str, Any]:
        fields: dict[str, Any] = self.__dict__
        if not _folder:
            return fields
        content = pickle.dumps(fields, protocol=pickle.HIGHEST_PROTOCOL)
        if len(content) <= MOST_BYTES:
            return fields
        path = f"{_folder.rstrip('/')}/partial-{uuid4().hex}"
        tf.io.gfile.makedirs(_folder)
        with tf.io.gfile.GFile(path, "wb") as stream:
            stream.write(content)
        return {_PATH: path}

    def __setstate__(self, state: dict[str, Any]) -> None:
        if _PATH in state:
            with tf.io.gfile.GFile(state[_PATH], "rb") as stream:
                state = pickle.loads(stream.read())  # noqa: S301 - this run's own workers wrote it
        self.__dict__.update(state)
