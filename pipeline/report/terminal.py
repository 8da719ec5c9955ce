"""What a run prints at its end: the domains, most rows first, and what was decided."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.table import Table

from components.evaluator.results import DomainResult, EvaluationResult
from pipeline.report.next_steps import next_steps
from pipeline.report.numbers import Z95, count, day, figure, percent, plural, short, signed
from pipeline.report.story import (
    behind_overall,
    few_words,
    last_blessed,
    lead_words,
    served_words,
    told,
    uncounted_words,
    verdict,
)
from pipeline.report.summary import RunSummary
from pipeline.screen import as_is

SHOWN = 30
# Below this many columns the less important figures are left out.
_WIDE = 100
_BEFORE = "model before"


def print_summary(summary: RunSummary, console: Console) -> None:
    """Prints the table by domain, the numbers over all rows, and the decision with its reasons.

    Args:
      summary: the run.
      console: where to.
    """
    if summary.evaluation is not None:
        console.print(_domains(summary, summary.evaluation, wide=console.width >= _WIDE))
        hidden = len(summary.evaluation.domains) - SHOWN
        if hidden > 0:
            console.print(
                f"[dim]  and {plural(hidden, 'smaller domain')}: see the report[/]", highlight=False
            )
        if summary.evaluation.baseline is not None and not summary.unchanged_since:
            console.print(
                f"[dim]  {_BEFORE}: AUC of the one blessed before, on these rows[/]", highlight=False
            )
        console.print(_overall(summary, summary.evaluation), highlight=False)
        for line in _verdict_lines(summary, summary.evaluation):
            console.print(f"  {as_is(line)}", highlight=False)
        for note in summary.evaluation.notes:
            console.print(f"  [dim]{as_is(note)}[/]", highlight=False)
    outcome = verdict(summary)
    colour = "green" if outcome.good else "red"
    where = f": {as_is(summary.pushed_to)}" if summary.pushed_to else ""
    console.print(f"[bold {colour}]{outcome.mark} {outcome.words}[/]{where}", highlight=False, soft_wrap=True)
    if summary.unchanged_since:
        console.print(f"  {as_is(_read_words(summary))}", highlight=False)
    for reason in summary.reasons:
        console.print(f"  [{colour}]•[/] {as_is(reason)}", highlight=False, soft_wrap=True)
    if not outcome.good:
        console.print(f"  {as_is(served_words(summary))}", highlight=False, soft_wrap=True)
    for line in next_steps(summary):
        # A command is copied: no line break may be put into it.
        console.print(f"  {as_is(line)}", highlight=False, soft_wrap=line.startswith(" "))


def _verdict_lines(summary: RunSummary, evaluation: EvaluationResult) -> list[str]:
    """Against what, by how much, and whether that is beyond chance; what had no say."""
    lines = [f"against {name}: {words}" for name, words in lead_words(summary, evaluation)]
    earlier = evaluation.baseline.average_auc if evaluation.baseline else None
    if evaluation.lead is not None and earlier is not None and not summary.unchanged_since:
        lines.insert(
            0,
            f"against {last_blessed(summary)}: {figure(earlier)}, this model {told(evaluation.lead, trained=True)}",
        )
    overall = behind_overall(summary)
    lines += [overall] if overall else []
    return lines + [words for words in (uncounted_words(evaluation), few_words(evaluation)) if words]


def _read_words(summary: RunSummary) -> str:
    files = len(summary.ingest.get("files", ()))
    newest = summary.ingest.get("last_day")
    words = f"{plural(files, 'file')} of impressions, as before" if files else "the same data as before"
    return f"{words}; the newest row is of {day(newest)}" if newest else words


def _domains(summary: RunSummary, evaluation: EvaluationResult, wide: bool) -> Table:
    best = summary.best_possible_auc
    compared = evaluation.baseline is not None and not summary.unchanged_since
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column(as_is(short(summary.domain or "domain")), no_wrap=True)
    table.add_column("rows", justify="right")
    if wide:
        table.add_column("clicks", justify="right")
    table.add_column("rate", justify="right")
    table.add_column("AUC", justify="right")
    if wide:
        table.add_column("±", justify="right", style="dim")
    if compared:
        table.add_column(_BEFORE, justify="right", style="dim")
    if best is not None:
        table.add_column("best possible", justify="right", style="dim")
    if wide or not compared:
        table.add_column("log loss", justify="right")
    table.add_column("calibration", justify="right")
    for name, domain in list(evaluation.domains.items())[:SHOWN]:
        cells = [as_is(short(name)), count(domain.rows)]
        cells += [count(domain.positives)] if wide else []
        cells += [percent(domain.positives / domain.rows if domain.rows else None), _auc(domain)]
        error = domain.auc_standard_error
        cells += [figure(Z95 * error if error is not None else None, 3)] if wide else []
        cells += [figure(domain.baseline_auc)] if compared else []
        # Of few rows a model may well be above it.
        cells += [figure(best.domains.get(name) if domain.decides else None)] if best is not None else []
        cells += [figure(domain.log_loss)] if wide or not compared else []
        cells += [figure(domain.calibration, 3)]
        table.add_row(*cells, style="" if domain.decides else "dim")
    return table


def _auc(domain: DomainResult) -> str:
    return "one class" if domain.one_class else figure(domain.auc)


def _overall(summary: RunSummary, evaluation: EvaluationResult) -> str:
    average = evaluation.average_auc
    parts = [f"[bold]average AUC {figure(average)}[/] over {plural(len(evaluation.deciding), 'domain')}"]
    earlier = evaluation.baseline.average_auc if evaluation.baseline else None
    said_below = summary.unchanged_since or evaluation.lead is not None
    if average is not None and earlier is not None and not said_below:
        parts[0] += f" ({signed(average - earlier)} against {last_blessed(summary)})"
    if summary.best_possible_auc is not None and summary.best_possible_auc.average is not None:
        parts[0] += f" (best possible {figure(summary.best_possible_auc.average)})"
    parts += [
        f"overall AUC {figure(evaluation.overall_auc)}",
        f"GAUC {figure(evaluation.gauc)}",
        f"log loss {figure(evaluation.log_loss)}",
    ]
    return ", ".join(parts)
