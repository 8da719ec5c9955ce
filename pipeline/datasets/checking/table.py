"""The findings as a table on a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from pipeline.datasets.checking.findings import Finding
from pipeline.screen import as_is

_MARKS = {"fail": "[bold red]✗ fail[/]", "warn": "[yellow]! warn[/]", "ok": "[green]✓ ok[/]"}


def findings_table(findings: Sequence[Finding], title: str) -> Table:
    """One row for each finding; nothing is cut off."""
    table = Table(title=title, title_justify="left", title_style="bold", expand=False)
    table.add_column("", no_wrap=True)
    table.add_column("what")
    table.add_column("found", overflow="fold", ratio=3)
    table.add_column("remedy", overflow="fold", ratio=2)
    for finding in findings:
        table.add_row(_MARKS[finding.level], finding.topic, as_is(finding.found), as_is(finding.remedy))
    return table
