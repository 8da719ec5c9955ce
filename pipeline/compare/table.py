"""What a comparison prints at its end."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pipeline.compare.result import Compared, Comparison, Spread
from pipeline.compare.story import outcome
from pipeline.report.numbers import UNDEFINED, count, figure, signed

_WIDE = 120
_MARKS = {"ahead": "[green]✓[/]", "behind": "[red]✗[/]", "tie": "="}


def print_comparison(comparison: Comparison, console: Console) -> None:
    """Prints the table, best average AUC first, and who is ahead of whom.

    Args:
      comparison: the result.
      console: where to.
    """
    console.print(_table(comparison, wide=console.width >= _WIDE))
    for sentence in outcome(comparison):
        console.print(sentence, highlight=False)
    for model in comparison.models:
        if model.tuned or model.trials:
            settings = ", ".join(model.tuned) or "as declared"
            console.print(f"[dim]  {model.title}: {escape(settings)}[/]", highlight=False)
    champion = comparison.champion
    if champion is not None:
        where = f", pushed to {escape(champion.pushed_to)}" if champion.pushed_to else ""
        console.print(
            f"champion: {champion.name}, seed {champion.seed}, validation average AUC "
            f"{figure(champion.validation_average_auc)}{where}",
            highlight=False,
        )


def _table(comparison: Comparison, wide: bool) -> Table:
    simulated = comparison.best_possible_average_auc is not None
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("", justify="right")
    table.add_column("model", no_wrap=True)
    table.add_column("average AUC", justify="right")
    if simulated:
        table.add_column("to best", justify="right")
    table.add_column("overall", justify="right")
    table.add_column("GAUC", justify="right")
    table.add_column("log loss", justify="right")
    reference = comparison.model(comparison.reference).title
    table.add_column(f"{reference} ahead by (95 %, users)", justify="right")
    table.add_column("p (seeds)", justify="right")
    if wide:
        for name in ("numbers", "rows/s", "ms, 1 row"):
            table.add_column(name, justify="right")
    table.add_column("gates", justify="right")
    for model in comparison.models:
        cells = [str(model.rank), model.title, spread(model.average_auc)]
        cells += [figure(model.below_best)] if simulated else []
        cells += [figure(model.overall_auc.mean), figure(model.gauc.mean), figure(model.log_loss.mean)]
        cells += versus(model)
        if wide:
            latency = model.latency.get("1")
            cells += [count(model.parameters), count(model.rows_per_second)]
            cells += [figure(latency.median_ms if latency else None, 1)]
        cells += [f"{model.blessed}/{len(model.trained)}"]
        table.add_row(*cells, style="bold" if model.name == comparison.reference else "")
    return table


def spread(value: Spread) -> str:
    """ ".7132 ± .0012"."""
    return figure(value.mean) + (f" ± {value.sd:.4f}" if value.sd is not None else "")


def versus(model: Compared) -> list[str]:
    """The difference to the reference with its interval, and the p value over seeds."""
    found = model.versus
    if found is None:
        return [UNDEFINED, UNDEFINED]
    interval = (
        f"{signed(found.difference)} [{signed(found.low)}, {signed(found.high)}] {_MARKS[found.verdict]}"
    )
    return [interval.replace("[", "\\[", 1), figure(found.seed_p_value, 3)]
