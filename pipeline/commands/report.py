"""`dfei report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from components.errors import InputError
from pipeline.commands.shared import AsJson, Quiet, ending
from pipeline.layout import RunLayout


def report(
    root: Annotated[Path, typer.Argument(help="The --root of a finished run.")],
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Rebuild the report of a run, and print its table.

    With `--json` it prints what `metrics.json` holds.

    Examples:

        dfei report out/simulated

        dfei report out/simulated --json --quiet
    """
    with ending():
        from pipeline.report import RunSummary, print_summary, write_metrics, write_report
        from pipeline.report.metrics import metrics
        from pipeline.screen import command_console, print_json

        layout = RunLayout(root)
        if not layout.summary.is_file():
            raise InputError(f"{layout.summary}: no such file; give the --root of a run that came to its end")
        summary = RunSummary.model_validate_json(layout.summary.read_text())
        write_metrics(summary, layout.metrics)
        write_report(summary, layout.report)
        console = command_console(quiet, as_json)
        print_summary(summary, console)
        console.print(f"report: {layout.report}", highlight=False)
        if as_json:
            print_json(metrics(summary))
