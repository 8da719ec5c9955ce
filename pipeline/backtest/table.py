"""What a backtest prints at its end."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.table import Table

from pipeline.backtest.result import Backtest
from pipeline.backtest.story import outcome
from pipeline.compare.table import brief, legend, spread, versus
from pipeline.report.numbers import UNDEFINED, figure
from pipeline.screen import as_is

_WIDE, _WIDE_PERIOD = 95, 16


def print_backtest(backtest: Backtest, console: Console) -> None:
    """Prints the table, best mean average AUC first, and who is ahead of whom.

    Args:
      backtest: the result.
      console: where to.
    """
    console.print(_table(backtest, wide=console.width >= _WIDE + _WIDE_PERIOD * len(backtest.periods)))
    console.print(f"[dim]{as_is(legend(backtest.model(backtest.reference).title))}[/]", highlight=False)
    for sentence in outcome(backtest):
        console.print(sentence, highlight=False, markup=False)


def _table(backtest: Backtest, wide: bool) -> Table:
    reference = backtest.model(backtest.reference).title
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("", justify="right")
    table.add_column("model", no_wrap=True)
    names = [f"to {period.last}" for period in backtest.periods] if wide else []
    names += ["mean", "overall"]
    names += [f"{reference} ahead by (95 %, users)", "p (seeds)"] if wide else [f"{reference} ahead"]
    for name in [*names, "periods"]:
        table.add_column(name, justify="right", no_wrap=True)
    for model in backtest.models:
        cells = [str(model.rank), model.title]
        cells += [figure(period.mean) for period in model.periods] if wide else []
        cells += [spread(model.average_auc), figure(model.overall_auc.mean)]
        cells += versus(model.versus) if wide else [brief(model.versus)]
        cells += [UNDEFINED if model.ahead is None else f"{model.ahead}/{len(backtest.periods)}"]
        table.add_row(*cells, style="bold" if model.name == backtest.reference else "")
    return table
