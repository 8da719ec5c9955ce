"""What a study prints at its end."""

from __future__ import annotations

import sys

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
    table = _table(result, systems_as_columns=True)
    unlimited = console.options.update(width=sys.maxsize)
    if console.measure(table, options=unlimited).minimum > console.width:
        table = _table(result, systems_as_columns=False)
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


def _table(result: StudyResult, *, systems_as_columns: bool) -> Table:
    """A row for each group of each point; or, narrower, one for each system in it."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column(result.axis)
    table.add_column("rows of")
    best = any(group.best is not None for point in result.points for group in point.groups.values())
    systems = [*result.models, *(["best possible"] if best else [])]
    for name in systems if systems_as_columns else ["system", "AUC"]:
        table.add_column(as_is(name), justify="left" if name == "system" else "right")
    for point in result.points:
        point_name = as_is(point.label)
        for group, facts in point.groups.items():
            found = (result.of(point.name, group, model) for model in result.models)
            figures = [spread(one.auc) if one is not None else "" for one in found]
            figures += [figure(facts.best)] if best else []
            if systems_as_columns:
                table.add_row(point_name, as_is(group), *figures)
                point_name = ""
                continue
            group_name = as_is(group)
            for system, value in zip(systems, figures, strict=True):
                table.add_row(point_name, group_name, as_is(system), value)
                point_name = group_name = ""
    return table
