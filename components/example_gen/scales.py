"""How large the numbers of a log are, as they are written: by the values that are not 0, before anything is cut.

A count or an amount is mostly 0, so no quantile tells its unit. The mean of log|x| over what is not 0 does: another
unit moves it by the log of the factor, however long the tail.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import polars as pl
from pydantic import BaseModel

from components.dataset.declaration import Declaration
from components.dataset.values import LARGEST_FLOAT


class Scale(BaseModel):
    """Of a column.

    Attributes:
      rows: values that are numbers and not 0.
      mean: of log|x| over them.
      squares: sum of the squared distances from it.
    """

    rows: int = 0
    mean: float = 0.0
    squares: float = 0.0

    @property
    def variance(self) -> float:
        """Of log|x|."""
        return self.squares / (self.rows - 1) if self.rows > 1 else 0.0

    def with_(self, other: Scale) -> Scale:
        """Of both columns together."""
        rows = self.rows + other.rows
        if not rows:
            return Scale()
        apart = other.mean - self.mean
        return Scale(
            rows=rows,
            mean=self.mean + apart * other.rows / rows,
            squares=self.squares + other.squares + apart**2 * self.rows * other.rows / rows,
        )


def numbers(declaration: Declaration) -> list[str]:
    """The columns whose size means something: features that are no ids, the behaviours' columns, the label."""
    features = [name for name, one in declaration.features.items() if one.treatment != "vocabulary"]
    behaviours = [column for behaviour in declaration.behaviours.values() for column in behaviour.columns]
    names = dict.fromkeys([*features, *behaviours, declaration.label])
    return [name for name in names if declaration.column_type(name) in ("int", "float")]


def scales_of(rows: pl.DataFrame, declaration: Declaration) -> dict[str, Scale]:
    """The scale of each column of numbers.

    Args:
      rows: joined, typed, before behaviours are derived; a column that is not there is left out.
      declaration: the data set.
    """
    found = {}
    for name in numbers(declaration):
        if name not in rows.columns:
            continue
        column = rows[name]
        if isinstance(column.dtype, pl.List):
            column = column.explode()
        size = column.cast(pl.Float64).abs()
        logs = size.filter((size > 0) & (size <= LARGEST_FLOAT)).log()
        if len(logs):
            mean = float(logs.mean())  # type: ignore[arg-type]
            found[name] = Scale(rows=len(logs), mean=mean, squares=float(((logs - mean) ** 2).sum()))
    return found


def together(parts: Iterable[Mapping[str, Scale]]) -> dict[str, Scale]:
    """The scales of several parts of a log."""
    found: dict[str, Scale] = {}
    for part in parts:
        for name, scale in part.items():
            found[name] = found[name].with_(scale) if name in found else scale
    return found


def documents(scales: Mapping[str, Scale]) -> dict[str, Any]:
    """Scales as JSON."""
    return {name: scale.model_dump() for name, scale in scales.items()}


def read_scales(found: Mapping[str, Any]) -> dict[str, Scale]:
    """What `documents` gave."""
    return {name: Scale.model_validate(scale) for name, scale in found.items()}
