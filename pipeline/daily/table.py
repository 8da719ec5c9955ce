"""What `dfei history` prints."""

from __future__ import annotations

from collections.abc import Mapping

from rich import box
from rich.console import Console
from rich.table import Table

from components.dataset.declaration import Declaration
from pipeline.daily.ledger import DayEntry, Progressive
from pipeline.daily.served import Served
from pipeline.report.numbers import UNDEFINED, Z95, count, duration, figure
from pipeline.screen import as_is

_STYLES = {"pushed": "green", "learned": "green", "refused": "bold red", "missing": "yellow"}
_WIDE = 90


def judged_by(declaration: Declaration) -> str:
    """What the intervals are, and how far out of bounds a day's model is refused."""
    return (
        "±: 95 %, the rows taken as independent. A day's model is pushed unless it misses a bound by more than "
        f"{declaration.daily.deviations:g} standard errors, users drawn by chance (daily.deviations)"
    )


def print_history(
    entries: Mapping[str, DayEntry], declaration: Declaration, now: Served | None, console: Console
) -> None:
    """Prints a line for each day, and why days were refused.

    Args:
      entries: of the ledger, by day.
      declaration: of the feed.
      now: what is served.
      console: where to.
    """
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 0, 0, 1))
    for name in ("day", "status"):
        table.add_column(name, no_wrap=True)
    # Short enough, all together, for a terminal of 80 columns.
    wide = console.width >= _WIDE
    names = (
        ["overall\nAUC", "±", "average\nAUC", "±", "GAUC"] if wide else ["overall\nAUC", "average\nAUC", "±"]
    )
    for name in ("rows", *names, "cali-\nbration", "processor"):
        table.add_column(name, justify="right", no_wrap=True)
    for day in sorted(entries):
        entry = entries[day]
        known = entry.progressive or Progressive()
        average = [figure(known.average_auc), _narrow(known.average_auc_standard_error)]
        figures = [figure(known.overall_auc), *average]
        if wide:
            figures[1:1] = [_narrow(known.auc_standard_error)]
            figures.append(figure(known.gauc))
        rows = sum(entry.rows.get(split, 0) for split in ("train", "eval"))
        table.add_row(
            day,
            f"[{_STYLES[entry.shown]}]{entry.shown}[/]",
            count(rows) if rows else UNDEFINED,
            *figures,
            figure(known.calibration, 3),
            duration(entry.cpu_seconds or None),
        )
    console.print(table)
    console.print(f"[dim]{judged_by(declaration)}[/]", highlight=False)
    for day in sorted(entries):
        for reason in entries[day].reasons:
            console.print(f"{day}: {as_is(reason)}", highlight=False, soft_wrap=True)
    words = "no model is in service" if now is None else f"in service: {as_is(now.version)}, {now.learned}"
    console.print(words, highlight=False, soft_wrap=True)


def _narrow(error: float | None) -> str:
    """Half a 95 % interval in few letters: ".043"."""
    return "" if error is None else figure(Z95 * error, 3).removeprefix("0")
