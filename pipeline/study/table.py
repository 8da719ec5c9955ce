"""What a study prints at its end."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.table import Table

from pipeline.compare.table import spread
from pipeline.report.numbers import chance, figure, signed
from pipeline.screen import as_is
from pipeline.study.result import StudyResult
from pipeline.study.story import outcome


def print_study(result: StudyResult, console: Console) -> None:
    """Prints every group's AUC by point and model, the tests beyond chance, and the outcome in sentences.

    Args:
      result: of the study.
      console: where to.
    """
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in (result.axis, "rows of"):
        table.add_column(name, no_wrap=True)
    best = any(group.best is not None for point in result.points for group in point.groups.values())
    for name in [*result.models, *(["best possible"] if best else [])]:
        table.add_column(name, justify="right")
    for point in result.points:
        for group, facts in point.groups.items():
            cells = [as_is(point.label), as_is(group)]
            for model in result.models:
                found = result.of(point.name, group, model)
                cells.append(spread(found.auc) if found is not None else "")
            cells += [figure(facts.best)] if best else []
            table.add_row(*cells)
    console.print(table)
    for test in result.tests:
        if test.verdict != "tie":
            console.print(
                f"{test.point}, {test.group}, {test.metric}: {test.reference} {test.verdict} of {test.other} by "
                f"{signed(test.difference)} ({signed(test.low)} to {signed(test.high)}), "
                f"p of the family {chance(test.adjusted)}",
                highlight=False,
                markup=False,
            )
    for sentence in outcome(result):
        console.print(sentence, highlight=False, markup=False)
