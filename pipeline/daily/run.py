"""`dfei daily`: the days that are due, one after the other."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from components import progress
from components.dataset.declaration import Declaration
from components.dataset.unread import file_notes
from components.errors import InputError
from pipeline.daily.book import Book
from pipeline.daily.cut import CutFiles
from pipeline.daily.days import Deliveries, read_deliveries
from pipeline.daily.history import write_history
from pipeline.daily.ledger import DayEntry
from pipeline.daily.ledger import now as this_moment
from pipeline.daily.plan import DueDay, Wanted, next_due
from pipeline.daily.request import DailyRequest
from pipeline.daily.served import Served, served
from pipeline.daily.start import Start, start
from pipeline.place import Place, place
from pipeline.request import bounds_set_in, declared
from pipeline.screen import Steps, as_is

if TYPE_CHECKING:
    from rich.console import Console

_COMMAND_SECONDS = 600
# A setting that a reason names.


def daily(request: DailyRequest, console: Console) -> list[DayEntry]:
    """Makes every day that is due, in order, and writes `history.json` and `history.html` after each.

    Args:
      request: what to make.
      console: where progress and the outcome of each day are shown.

    Returns:
      The entries of the days that were made, in the order in which they were.

    Raises:
      InputError: the declaration, a setting or a place is wrong; what that day needs of an earlier one is gone.
    """
    declaration = declared(request.dataset, request.overrides, request.model)
    wanted = request.wanted
    with place(request, declaration, console) as where:
        return _due_days(request, declaration, wanted, where)


def _due_days(
    request: DailyRequest, declaration: Declaration, wanted: Wanted, place: Place
) -> list[DayEntry]:
    layout, console = place.layout, place.console
    book, serving = Book(layout), place.serving / declaration.model.name
    made: list[DayEntry] = []
    entries = book.ledger.entries()
    _warn_of_the_clock(entries, console)
    with Steps(console) as steps, progress.listening(steps):
        arrived = read_deliveries(declaration, str(place.data), book.memory)
    for note in [*arrived.notes, *(file_notes(declaration, str(place.data)) if arrived.days else [])]:
        console.print(f"[yellow]![/] {as_is(note)}", highlight=False)
    if not arrived.days and not entries:
        raise InputError(f"{place.data}: no file of {', '.join(declaration.impressions.files)} holds a day")
    require_known(arrived, entries, request)
    while True:
        entries = book.ledger.entries()
        due, said = next_due(
            arrived,
            entries,
            today(declaration),
            declaration.daily.late_share,
            wanted,
            frozenset(entry.day for entry in made),
        )
        if not made:
            for text in said:
                console.print(f"[yellow]![/] {as_is(text)}", highlight=False)
        if due is None:
            CutFiles(book.cut).clear()
            break
        begins = start(due, entries, wanted.accepted, declaration.daily, arrived.days, book, serving)
        entry = _make(declaration, due, begins, place)
        book.ledger.write(entry)
        made.append(entry)
        write_history(book, declaration, serving, request.command)
        now = served(book.ledger.entries(), serving, layout.root)
        _tell(entry, now, bounds_set_in(request, entry.reasons), console)
        if entry.wants_attention and request.on_refusal:
            _call(request.on_refusal, entry, layout.root, console)
        if request.next_only and entry.status != "missing":
            break
    if not made:
        console.print(f"nothing is due: {_newest(entries)}", highlight=False)
    return made


def _make(declaration: Declaration, due: DueDay, begins: Start, place: Place) -> DayEntry:
    place.console.rule(f"{due.day}: {due.cause}")
    if begins.delivery is None:
        return begins.entry
    from pipeline.daily.make import make_day

    return make_day(declaration, begins.delivery, begins.entry, begins.carry, place)


def today(declaration: Declaration) -> str:
    return datetime.now(ZoneInfo(declaration.time_zone)).date().isoformat()


def require_known(arrived: Deliveries, entries: Mapping[str, DayEntry], request: DailyRequest) -> None:
    """Days that were asked for by name are there."""
    accepted = [("--accept", day) for day in request.accept]
    for option, day in (("--from", request.first), *accepted):
        known = sorted({*arrived.days, *(entries if option == "--accept" else {})})
        if day is not None and day not in known:
            shown = f"{known[0]} to {known[-1]}" if known else "no day"
            raise InputError(f"{option} {day}: the data hold {shown}")
    for day in request.accept:
        _require_acceptable(day, arrived, entries)


def _require_acceptable(day: str, arrived: Deliveries, entries: Mapping[str, DayEntry]) -> None:
    if day not in arrived.days:
        raise InputError(f"--accept {day}: the files of that day are no longer there")
    entry = entries.get(day)
    if entry is None:
        raise InputError(f"--accept {day}: no gate has refused it yet: make it first, without --accept")
    if entry.fingerprint != arrived.days[entry.day].fingerprint:
        raise InputError(
            f"--accept {day}: its files are others than those that were judged, and what they show is not known: make "
            "the day first, without --accept"
        )
    if entry.accepted:
        return
    if not entry.can_be_accepted:
        why = f"{entry.shown}: {' '.join(entry.reasons)}" if entry.reasons else entry.shown
        raise InputError(
            f"--accept {entry.day}: what the gates of data refused is accepted, and this day is {why}. Deliver it "
            f"anew, or make it again as it is: dfei daily --from {entry.day}"
        )


def _warn_of_the_clock(entries: Mapping[str, DayEntry], console: Console) -> None:
    finished = max((entry.finished for entry in entries.values()), default="")
    if finished > this_moment():
        console.print(
            f"[yellow]![/] the clock says {this_moment()}, but a day was finished at {finished}: was it set back? "
            "Days count as over once a later one has arrived; versions go on counting up",
            highlight=False,
        )


def _tell(entry: DayEntry, now: Served | None, bounds: str, console: Console) -> None:
    if entry.status == "pushed":
        figures = entry.progressive
        judged = (
            f": judged before it learned them, the model before had an overall AUC of {figures.overall_auc:.4f} and "
            f"predicted {figures.calibration:.2f} times as many clicks as came"
            if figures is not None and figures.overall_auc is not None and figures.calibration is not None
            else ""
        )
        rows = sum(entry.rows[split] for split in ("train", "eval"))
        console.print(
            f"[green]pushed[/] {entry.pushed_to}: {rows:,} rows{judged}", highlight=False, markup=True
        )
        return
    console.print(
        f"[{'bold red' if entry.wants_attention else 'green'}]{entry.shown}[/] {entry.day}", highlight=False
    )
    lines = [*entry.reasons, *(_afterwards(entry, now, bounds) if entry.wants_attention else [])]
    for line in lines:
        console.print(f"  {line}", highlight=False, markup=False)


def _afterwards(entry: DayEntry, now: Served | None, bounds: str) -> list[str]:
    """What follows a day of which no model came: where the bound stands, what is served, what to do."""
    lines = []
    if bounds:
        lines.append(bounds)
    lines.append(
        f"Still served: {now.version}, {now.learned}" if now is not None else "Nothing is served yet"
    )
    if entry.status == "missing":
        return [*lines, "The day is made, and those after it again, once its files are there"]
    if entry.refused_at == "data":
        accept = (
            f", or, where its data are true, give this command again with --accept {entry.day}"
            if entry.can_be_accepted
            else ""
        )
        return [*lines, f"State and weights are those of before. Deliver the day anew{accept}"]
    return [
        *lines,
        "The next day learns these rows too. If it is refused as well, look at the days in history.html before you "
        "lower a bound",
    ]


def _call(command: str, entry: DayEntry, root: Path, console: Console) -> None:
    """Runs the user's command; what becomes of it does not change the day."""
    environment = {
        **os.environ,
        "DFEI_DAY": entry.day,
        "DFEI_STATUS": entry.status,
        "DFEI_REASONS": "\n".join(entry.reasons),
        "DFEI_ROOT": str(root),
    }
    try:
        done = subprocess.run(command, shell=True, env=environment, timeout=_COMMAND_SECONDS, check=False)  # noqa: S602
        ended = f"exit code {done.returncode}" if done.returncode else ""
    except subprocess.TimeoutExpired:
        ended = f"it took more than {_COMMAND_SECONDS} s and was ended"
    if ended:
        console.print(f"[yellow]![/] --on-refusal: {as_is(ended)}", highlight=False)


def _newest(entries: Mapping[str, DayEntry]) -> str:
    if not entries:
        return "no day is over yet"
    newest = entries[max(entries)]
    return f"{newest.day} is the newest day, {newest.shown}"
