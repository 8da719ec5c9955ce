"""`dfei report`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from pydantic import BaseModel
from rich.console import Console

from components.errors import InputError
from pipeline.commands.shared import AsJson, Quiet, ending
from pipeline.layout import RunLayout

Result = TypeVar("Result", bound=BaseModel)


def report(
    root: Annotated[Path, typer.Argument(help="The --root of a finished run, comparison or backtest.")],
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Rebuild the report of a run, a comparison or a backtest, and print its table.

    Of several in one root, the latest. With `--json` it prints what `metrics.json`, `comparison.json` or
    `backtest.json` holds.

    Examples:

        dfei report out/simulated

        dfei report out/simulated --json --quiet
    """
    with ending():
        layout = RunLayout(root)
        rebuilds = {layout.summary: _run, layout.comparison: _comparison, layout.backtest: _backtest}
        there = [path for path in rebuilds if path.is_file()]
        if not there:
            raise InputError(
                f"{layout.summary}: no such file; give the --root of a run, comparison or backtest that came to its end"
            )
        rebuilds[max(there, key=lambda path: path.stat().st_mtime)](layout, quiet, as_json)


def _run(layout: RunLayout, quiet: bool, as_json: bool) -> None:
    from pipeline.report import RunSummary, print_summary, write_metrics, write_report
    from pipeline.report.metrics import metrics
    from pipeline.screen import command_console, print_json

    summary = RunSummary.model_validate_json(layout.summary.read_text())
    write_metrics(summary, layout.metrics)
    write_report(summary, layout.report)
    console = command_console(quiet, as_json)
    print_summary(summary, console)
    console.print(f"report: {layout.report}", highlight=False, markup=False)
    if as_json:
        print_json(metrics(summary))


def _comparison(layout: RunLayout, quiet: bool, as_json: bool) -> None:
    from pipeline.compare.html import write_page
    from pipeline.compare.result import Comparison
    from pipeline.compare.table import print_comparison

    found = Comparison.model_validate_json(layout.comparison.read_text())
    _rebuild(found, layout.comparison_page, write_page, print_comparison, quiet, as_json)


def _backtest(layout: RunLayout, quiet: bool, as_json: bool) -> None:
    from pipeline.backtest.html import write_page
    from pipeline.backtest.result import Backtest
    from pipeline.backtest.table import print_backtest

    found = Backtest.model_validate_json(layout.backtest.read_text())
    _rebuild(found, layout.backtest_page, write_page, print_backtest, quiet, as_json)


def _rebuild(
    found: Result,
    page: Path,
    write: Callable[[Result, Path], None],
    show: Callable[[Result, Console], None],
    quiet: bool,
    as_json: bool,
) -> None:
    from pipeline.screen import command_console, print_json

    write(found, page)
    console = command_console(quiet, as_json)
    show(found, console)
    console.print(f"report: {page}", highlight=False, markup=False)
    if as_json:
        print_json(found.model_dump())
