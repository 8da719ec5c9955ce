"""What a comparison prints at its end."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.table import Table

from components.comparison.lead import NARROW
from components.study.document import PAST_CLICK_RATE
from pipeline.compare.result import Comparison, Spread, Versus
from pipeline.compare.ship import advice
from pipeline.compare.story import champion_words, outcome, untuned
from pipeline.report.numbers import UNDEFINED, chance, count, figure, signed
from pipeline.screen import as_is

_WIDE = 150
WORDS = {"ahead": "ahead", "behind": "behind", "tie": "a tie", "unknown": "not known"}
_MARKS = {"ahead": "[green]✓[/]", "behind": "[red]✗[/]", "tie": "=", "unknown": "?"}


def print_comparison(comparison: Comparison, console: Console) -> None:
    """Prints the table, best average AUC first, and who is ahead of whom.

    Args:
      comparison: the result.
      console: where to.
    """
    console.print(_table(comparison, wide=console.width >= _WIDE))
    console.print(f"[dim]{as_is(legend(comparison.model(comparison.reference).title))}[/]", highlight=False)
    for sentence in outcome(comparison):
        console.print(sentence, highlight=False, markup=False)
    if not comparison.trials and len(comparison.models) > 1:
        console.print(untuned(), highlight=False, markup=False)
    for model in comparison.models:
        if model.tuned or model.trials:
            settings = ", ".join(model.tuned) or "as declared"
            console.print(f"[dim]  {model.title}: {as_is(settings)}[/]", highlight=False)
        if comparison.gated and model.blessed < len(model.trained):
            why = next((run.failures[0] for run in model.trained if run.failures), "")
            of = f"{len(model.trained) - model.blessed} of {len(model.trained)} seeds"
            console.print(
                f"[dim]  {model.title}: {of} did not pass the gates: {as_is(why)}[/]", highlight=False
            )
    champion = champion_words(comparison)
    if champion:
        console.print(champion, highlight=False, markup=False, soft_wrap=True)
    told = advice(comparison)
    if told:
        console.print(as_is(told), style="bold", highlight=False, soft_wrap=True)


def legend(reference: str) -> str:
    """What the signs stand for, beside the title of the reference."""
    return (
        f"✓ {reference} is ahead of this model, ✗ behind it, in 95 % of the resampled users and with every seed; "
        f"= level within {NARROW:g}; ? not known"
    )


def _table(comparison: Comparison, wide: bool) -> Table:
    simulated = comparison.best_possible_average_auc is not None
    reference = comparison.model(comparison.reference).title
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("", justify="right")
    table.add_column("model", no_wrap=True)
    names = ["average AUC"]
    names += ["to best"] if simulated else []
    names += ["overall"] if wide else []
    names += ["GAUC"] if simulated and not wide else ["GAUC", "log loss"]
    names += [f"{reference} ahead by (95 %, users)", "p (seeds)"] if wide else [f"{reference} ahead"]
    names += ["numbers", "rows/s", "ms, 1 row"] if wide else []
    names += ["gates"] if comparison.gated else []
    for name in names:
        table.add_column(name, justify="right", no_wrap=True)
    for model in comparison.models:
        cells = [str(model.rank), model.title, spread(model.average_auc)]
        cells += [figure(model.below_best)] if simulated else []
        gauc, loss = figure(model.gauc.mean), figure(model.log_loss.mean)
        cells += [figure(model.overall_auc.mean)] if wide else []
        cells += [gauc] if simulated and not wide else [gauc, loss]
        cells += versus(model.versus) if wide else [brief(model.versus)]
        if wide:
            latency = model.latency.get("1")
            cells += [count(model.parameters), count(model.rows_per_second)]
            cells += [figure(latency.median_ms if latency else None, 1)]
        cells += [f"{model.blessed}/{len(model.trained)}"] if comparison.gated else []
        table.add_row(*cells, style="bold" if model.name == comparison.reference else "")
    past = comparison.past_click_rate
    if past is not None:
        best = comparison.best_possible_average_auc
        cells = ["", PAST_CLICK_RATE, figure(past.average_auc)]
        below = None if best is None or past.average_auc is None else best - past.average_auc
        cells += [figure(below)] if simulated else []
        cells += [figure(past.overall_auc)] if wide else []
        cells += [figure(past.gauc)] if simulated and not wide else [figure(past.gauc), figure(past.log_loss)]
        cells += versus(past.versus) if wide else [brief(past.versus)]
        table.add_row(*cells, style="dim")
    return table


def spread(value: Spread) -> str:
    """ ".7132 ± .0012"."""
    return figure(value.mean) + (f" ± {value.sd:.4f}" if value.sd is not None else "")


def versus(found: Versus | None) -> list[str]:
    """The difference to the reference with its interval, and the p value over seeds; dashes for the reference."""
    if found is None:
        return [UNDEFINED, UNDEFINED]
    interval = (
        f"{signed(found.difference)} [{signed(found.low)}, {signed(found.high)}] {_MARKS[found.verdict]}"
    )
    return [interval.replace("[", "\\[", 1), chance(found.seed_p_value)]


def brief(found: Versus | None) -> str:
    """The difference to the reference, and whether it is beyond chance; a dash for the reference."""
    return UNDEFINED if found is None else f"{signed(found.difference)} {_MARKS[found.verdict]}"
