"""Rows of a file as text, whatever its format."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl


@dataclass(frozen=True)
class TextBlock:
    """Rows as text, and the lines that are no rows.

    Attributes:
      frame: all columns; an empty value is null or "".
      lines: number of each row, counted from the first line of the block as 0.
      bad: (number, reason) of each line that does not have the header's columns.
      count: lines in the block, empty ones included.
      parts: where it is of several files, (place among the files of the piece, lines) of each, in order.
    """

    frame: pl.DataFrame
    lines: npt.NDArray[np.int64]
    bad: list[tuple[int, str]]
    count: int
    parts: tuple[tuple[int, int], ...] = ()
