"""How a day starts: its entry, what the day before handed over, and whether that can be gone on from."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from components.dataset.declaration import Declaration
from components.dataset.sections import Daily
from components.errors import InputError
from pipeline.daily.book import Book
from pipeline.daily.cut import CutFiles
from pipeline.daily.days import Delivery, file_named
from pipeline.daily.declared import for_day
from pipeline.daily.entries import begun
from pipeline.daily.ledger import Carry, DayEntry
from pipeline.daily.plan import DueDay
from pipeline.daily.served import handed_on


@dataclasses.dataclass(frozen=True)
class Start:
    """A day that is due.

    Attributes:
      entry: as it begins; all there is to write of a day without usable files.
      carry: what it starts from.
      delivery: the day's files; None where there is nothing to make.
    """

    entry: DayEntry
    carry: Carry
    delivery: Delivery | None


def start(
    due: DueDay,
    entries: Mapping[str, DayEntry],
    accepted: frozenset[str],
    daily: Daily,
    arrived: Mapping[str, Delivery],
    book: Book,
    serving: Path,
) -> Start:
    """Begins a day.

    Args:
      due: which, and what has arrived of it.
      entries: the ledger.
      accepted: days whose data are taken as they are.
      daily: the feed's settings.
      arrived: every day that has, for the events that no state knows yet.
      book: of the feed.
      serving: the directory that TF Serving watches for the model.

    Raises:
      InputError: what the day before handed over is gone.
    """
    earlier = entries.get(due.day)
    before = (
        entries[max(day for day in entries if day < due.day)]
        if min(entries, default=due.day) < due.day
        else None
    )
    same = (
        earlier is not None and due.delivery is not None and earlier.fingerprint == due.delivery.fingerprint
    )
    accept = due.day in accepted or (same and earlier is not None and earlier.accepted)
    carry = handed_on(before, due.day, entries, serving, book)
    if before is not None and due.delivery is not None:
        _require_artifacts(before.model_copy(update={"carry": carry}), entries)
    entry = begun(due, before, carry, earlier, accepted=accept, daily=daily)
    if due.delivery is None or due.delivery.problems:
        return Start(entry, carry, None)
    entry = entry.model_copy(update={"notes": [*entry.notes, *_of_another(before, carry)]})
    known = carry.learned[0].day if carry.state and carry.learned else ""
    pending = [delivery for day, delivery in sorted(arrived.items()) if known < day < due.day]
    return Start(entry, carry, due.delivery.model_copy(update={"pending": pending}))


def _of_another(before: DayEntry | None, carry: Carry) -> list[str]:
    """That the day's model is judged by, or goes on from, another than the one that the day before handed over."""
    if carry.incumbent:
        return [
            f"judged by version {Path(carry.incumbent).name}, which is in service and which no day of this feed has "
            "made: it may have learned these rows. The feed's first model takes its place once it is not worse"
        ]
    if before is not None and carry.service is not None and carry.service != before.carry.service:
        return [f"goes on from the model that has learned {carry.service.day}: somebody went back to it"]
    return []


def declared_day(feed: Declaration, delivery: Delivery, data: Path, book: Book) -> Declaration:
    """The declaration of a day; files that hold several days are cut into them once.

    Args:
      feed: its declaration.
      delivery: what has arrived of the day.
      data: the folder with the impression files.
      book: of the feed, which keeps the parts until no day is due.
    """
    cut = CutFiles(book.cut)
    files = {name: file_named(feed.impressions, str(data), name) for name in delivery.shared}
    return for_day(
        feed, delivery, {name: cut.of_day(file, delivery.day, feed) for name, file in files.items()}
    )


def rebase_reason(feed: Declaration, day: Declaration, carry: Carry) -> str:
    """Why the training begins from nothing; empty: it goes on from the weights in service.

    Args:
      feed: its declaration.
      day: that of the day.
      carry: what the day before handed over.
    """
    # Imports TensorFlow: only once a day is made.
    from components.trainer.warm_start import can_follow

    if carry.service is None:
        return "no day has pushed a model yet"
    every = feed.daily.rebase_every
    reason = can_follow(Path(carry.service.model_run), day) or ""
    if not reason and every and carry.trained + 1 >= every:
        reason = f"{every} days have passed since the last training from nothing (daily.rebase_every)"
    return reason


def rebase_note(feed: Declaration, carry: Carry, reason: str) -> str:
    """A training from nothing, in words."""
    days = min(feed.daily.rebase_days, len(carry.learned) + 1)
    return f"trained from nothing on the last {days} days: {reason}"


def require_state(carry: Carry, day: Declaration) -> None:
    """The declaration of a day goes with the state before it.

    Raises:
      InputError: it does not; with the remedy.
    """
    from components.transform.state import cannot_continue

    reason = cannot_continue(carry.state, day) if carry.state else None
    if reason:
        raise InputError(
            f"the declaration has changed in a way that the behaviour state cannot follow: {reason}. Make the days "
            "again from the first of which the data are there: `dfei daily --from DAY`"
        )


def _require_artifacts(before: DayEntry, entries: Mapping[str, DayEntry]) -> None:
    """What a day needs of the one before is there.

    Raises:
      InputError: naming what is gone, and from which day on to make it again.
    """
    gone = missing(before)
    if not gone:
        return
    days = sorted(day for day in entries if day <= before.day)
    again = next(
        (
            day
            for position, day in reversed(list(enumerate(days)))
            if entries[day].status != "missing"
            and (position == 0 or not missing(entries[days[position - 1]]))
        ),
        days[0],
    )
    raise InputError(
        f"{gone[0]} is gone, which the day after {before.day} starts from: `dfei daily --from {again}` makes it again"
    )


def missing(entry: DayEntry) -> list[str]:
    """What an entry hands on and is no longer there."""
    return [uri for uri in entry.carry.uris() if "://" not in uri and not Path(uri).exists()]
