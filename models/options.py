"""Settings that one model alone has: their defaults and the values they may take."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_MOST = 1_000_000


@dataclass(frozen=True)
class Option:
    """One entry of `ModelSettings.options`.

    Args:
        default: where there is no entry; an entry must have its type, a whole number will do for a float.
        least: the smallest value.
        most: the largest; where there is none, one that no model makes use of.
    """

    default: float
    least: float = 1
    most: float = _MOST

    def read(self, name: str, options: Mapping[str, Any]) -> Any:
        """The value of an option.

        Args:
            name: of the option.
            options: as in `ModelSettings.options`.

        Raises:
            ValueError: if the entry is of another type than the default, or out of bounds.
        """
        value = options.get(name, self.default)
        if isinstance(self.default, float) and type(value) is int:
            value = float(value)
        if type(value) is not type(self.default):
            raise ValueError(f"model.options.{name}: expected {type(self.default).__name__}, got {value!r}")
        if not (self.least <= value <= self.most and math.isfinite(value)):
            bounds = f"at least {self.least:g}" + (
                f" and at most {self.most:g}" if self.most < _MOST or value > self.most else ""
            )
            raise ValueError(f"model.options.{name}: expected {bounds}, got {value!r}")
        return value
