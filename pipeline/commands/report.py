"""`dfei report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from components.errors import InputError
from pipeline.commands.shared import ending
from pipeline.layout import RunLayout


def report(root: Annotated[Path, typer.Argument(help="The --root of a finished run.")]) -> None:
    """Rebuild the report of a run, and print its table.

    Example:

        dfei report out/simulated
    """
    with ending():
        from pipeline.report import RunSummary, print_summary, write_metrics, write_report

        layout = RunLayout(root)
        if not layout.summary.is_file():
            raise InputError(f"{layout.summary}: no such file; give the --root of a run that came to its end")
        summary = RunSummary.model_validate_json(layout.summary.read_text())
        write_metrics(summary, layout.metrics)
        write_report(summary, layout.report)
        console = Console()
        print_summary(summary, console)
        console.print(f"report: {layout.report}", highlight=False)
