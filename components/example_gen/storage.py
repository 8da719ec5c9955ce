"""Small things that one pass leaves for the next, in the executor's folder (local, or shared by the workers)."""

from __future__ import annotations

import io
import json
import os
from typing import Any

import polars as pl
from tfx.dsl.io import fileio


def piece_path(folder: str, kind: str, index: int) -> str:
    """Where a pass leaves what it found in piece (or partition) `index`."""
    return os.path.join(folder, kind, f"{index:06d}")  # noqa: PTH118 - the folder may be a URI


def write_json(path: str, value: dict[str, Any]) -> None:
    """Writes a JSON document."""
    with fileio.open(path, "w") as stream:
        stream.write(json.dumps(value))


def read_json(path: str) -> dict[str, Any]:
    """Reads what `write_json` wrote."""
    with fileio.open(path, "r") as stream:
        document: dict[str, Any] = json.loads(stream.read())
    return document


def write_frame(path: str, frame: pl.DataFrame) -> None:
    """Writes a frame as Arrow IPC."""
    buffer = io.BytesIO()
    frame.write_ipc(buffer)
    with fileio.open(path, "wb") as stream:
        stream.write(buffer.getvalue())


def read_frame(path: str) -> pl.DataFrame:
    """Reads what `write_frame` wrote."""
    with fileio.open(path, "rb") as stream:
        return pl.read_ipc(io.BytesIO(stream.read()))
