"""`dfei backtest`: from a declaration and a data folder to comparisons as of several days."""

from __future__ import annotations

from typing import TYPE_CHECKING

from components.errors import InputError
from pipeline.backtest.request import BacktestRequest
from pipeline.compare.request import checked
from pipeline.place import place

if TYPE_CHECKING:
    from rich.console import Console

    from pipeline.backtest.result import Backtest


def backtest(request: BacktestRequest, console: Console) -> Backtest:
    """Compares as of several days and writes `backtest.json` and `backtest.html`.

    Args:
      request: what to compare, and how often.
      console: where progress and the tables are shown.

    Returns:
      The result.

    Raises:
      InputError: the data, the declaration, a model's name or a setting is wrong, or the log has too few days.
      GateError: the data does not fit its schema, or a model diverged.
    """
    if request.periods < 1:
        raise InputError(f"--periods {request.periods}: give a number of at least 1")
    _, declaration = checked(request.compare)
    with place(request.compare, declaration, console) as where:
        from pipeline.backtest.execute import execute

        return execute(request, declaration, where)
