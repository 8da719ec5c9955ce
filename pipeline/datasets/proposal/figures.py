"""Plain floats of columns: polars' own figures are typed as anything that a column may hold. 0 where there is none."""

from __future__ import annotations

from typing import Any

import polars as pl


def _number(value: Any) -> float:
    return 0.0 if value is None else float(value)


def mean(column: pl.Series) -> float:
    """The mean of numbers; of truth values, the share of true ones."""
    return _number(column.mean())


def median(column: pl.Series) -> float:
    """The median of numbers."""
    return _number(column.median())


def lowest(column: pl.Series) -> float:
    """The least number."""
    return _number(column.min())


def highest(column: pl.Series) -> float:
    """The largest number."""
    return _number(column.max())


def quantile(column: pl.Series, share: float) -> float:
    """The number that so large a share of the column does not exceed."""
    return _number(column.quantile(share))
