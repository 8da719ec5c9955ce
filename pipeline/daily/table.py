"""What `dfei history` prints."""

from __future__ import annotations

from collections.abc import Mapping

from rich import box
from rich.console import Console
from rich.table import Table

from pipeline.daily.ledger import DayEntry
from pipeline.report.numbers import UNDEFINED, count, duration, figure
from pipeline.screen import as_is

_STYLES = {"pushed": "green", "learned": "green", "refused": "bold red", "missing": "yellow"}


def print_history(entries: Mapping[str, DayEntry], console: Console) -> None:
    """Prints a line for each day, and why days were refused.

    Args:
      entries: of the ledger, by day.
      console: where to.
    """
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 0, 0, 1))
    for name in ("day", "status"):
        table.add_column(name, no_wrap=True)
    # Short enough, all together, for a terminal of 80 columns.
    for name in ("rows", "overall\nAUC", "average\nAUC", "GAUC", "cali-\nbration", "processor"):
        table.add_column(name, justify="right", no_wrap=True)
    for day in sorted(entries):
        entry = entries[day]
        judged = entry.progressive
        figures = [judged.overall_auc, judged.average_auc, judged.gauc] if judged else [None] * 3
        rows = sum(entry.rows.get(split, 0) for split in ("train", "eval"))
        table.add_row(
            day,
            f"[{_STYLES[entry.shown]}]{entry.shown}[/]",
            count(rows) if rows else UNDEFINED,
            *map(figure, figures),
            figure(judged.calibration if judged else None, 3),
            duration(entry.cpu_seconds or None),
        )
    console.print(table)
    for day in sorted(entries):
        for reason in entries[day].reasons:
            console.print(f"{day}: {as_is(reason)}", highlight=False, soft_wrap=True)
    service = entries[max(entries)].carry.service if entries else None
    if service is not None:
        console.print(
            f"in service: {service.version}, which has learned {service.day}", highlight=False, soft_wrap=True
        )
