"""`dfei backtest`: what was asked for, checked before anything heavy is imported."""

from __future__ import annotations

import dataclasses

from pipeline.compare.request import CompareRequest


@dataclasses.dataclass(frozen=True)
class BacktestRequest:
    """What the user asked for.

    Attributes:
      compare: of each period; its root is that of the whole.
      periods: how many.
    """

    compare: CompareRequest
    periods: int
