"""The label, and behaviours of 0 and 1, from the columns they are declared on."""

from __future__ import annotations

import polars as pl

from components.dataset.declaration import Declaration
from components.dataset.sections import Positive


def label_of(rows: pl.DataFrame, declaration: Declaration) -> pl.Series:
    """The label of typed rows: int64, null where it is missing; 0 and 1 when there is a rule."""
    column = rows[declaration.label]
    return column if declaration.positive is None else is_positive(column, declaration.positive)


def is_positive(column: pl.Series, rule: Positive) -> pl.Series:
    """1 where the rule holds, 0 where it does not, null where the value is missing: int64 (rows,)."""
    if rule.at_least is not None:
        return (column.cast(pl.Float64) >= rule.at_least).cast(pl.Int64)
    text = column.cast(pl.String).str.strip_chars()
    return (
        text.is_in([value.strip() for value in rule.one_of or []])
        .cast(pl.Int64)
        .zip_with(text.is_not_null(), pl.Series([None], dtype=pl.Int64))
    )
