"""Which days are due, and why: a pure function of what has arrived and what the ledger says."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from datetime import date, timedelta

from pipeline.daily.days import Deliveries, Delivery
from pipeline.daily.ledger import DayEntry

ASKED_FOR = "asked for"
_ALLOWED = "daily.late_share allows"


@dataclasses.dataclass(frozen=True)
class DueDay:
    """A day to make, or to be written down as missing.

    Attributes:
      day: ISO.
      delivery: None where nothing has arrived.
      cause: why it is due, in words.
    """

    day: str
    delivery: Delivery | None
    cause: str


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What the user asked for.

    Attributes:
      first: make this day and those after it again; None: only what is due.
      last: stop after this day.
      accepted: days whose data are taken as they are.
    """

    first: str | None = None
    last: str | None = None
    accepted: frozenset[str] = frozenset()


def calendar(first: str, last: str) -> list[str]:
    """Every day from the first to the last, ISO."""
    begin, end = date.fromisoformat(first), date.fromisoformat(last)
    return [(begin + timedelta(days=n)).isoformat() for n in range((end - begin).days + 1)]


def next_due(
    arrived: Deliveries,
    entries: Mapping[str, DayEntry],
    today: str,
    late_share: float,
    wanted: Wanted = Wanted(),
    made: frozenset[str] = frozenset(),
) -> tuple[DueDay | None, list[str]]:
    """The first day that is not as the ledger has it.

    A day is due when it is over (its calendar day is past, or a later one has arrived) and it was never made, its rows
    are others than those it was made of, or a day before it was made anew. It stays as it is for late rows up to
    `late_share` of its own, which are said.

    Args:
      arrived: what the data hold.
      entries: the ledger.
      today: on the clock of the declared zone, ISO.
      late_share: share of a day's rows.
      wanted: what the user asked for beyond that.
      made: days that this command has made already.

    Returns:
      The day, or None, and what is to be said of days that stay as they are.
    """
    said: list[str] = []
    over = [day for day in arrived.days if day < today or day != max(arrived.days)]
    first = _beginning(over, entries, wanted)
    days = sorted({*(day for day in over if day >= first), *entries})
    if not days:
        return None, said
    prior = ""
    for day in calendar(days[0], days[-1]):
        if wanted.last is not None and day > wanted.last:
            break
        delivery = arrived.days.get(day) if day in over else None
        entry = entries.get(day)
        cause = _cause(day, delivery, entry, prior, late_share, wanted, made)
        if cause.startswith("+"):
            said.append(cause[1:])
        elif cause:
            return DueDay(day, delivery, cause), said
        if entry is not None:
            prior = entry.identity
    return None, said


def _beginning(over: Sequence[str], entries: Mapping[str, DayEntry], wanted: Wanted) -> str:
    """The day from which on days count: a feed that was begun with `--from` leaves what is older alone."""
    if not entries:
        return wanted.first or min(over, default="")
    return min(min(entries), wanted.first or min(entries))


def _cause(
    day: str,
    delivery: Delivery | None,
    entry: DayEntry | None,
    prior: str,
    late_share: float,
    wanted: Wanted,
    made: frozenset[str],
) -> str:
    """Why the day is due; empty where it is not; after a `+` what is to be said though it is not."""
    if entry is None:
        return "new" if delivery is not None else "nothing has arrived"
    if day in made:
        return ""
    if entry.prior != prior:
        return "a day before it was made anew"
    if day in wanted.accepted and not entry.accepted:
        return "its data are accepted as they are"
    if wanted.first is not None and day == wanted.first:
        return ASKED_FOR
    if delivery is None:
        # The files of a day that is done may be cleared away; what was learned of it stays.
        return ""
    if entry.status == "missing":
        return "it arrived late"
    if delivery.fingerprint == entry.fingerprint:
        return ""
    return _changed(day, delivery, entry, late_share)


def _changed(day: str, delivery: Delivery, entry: DayEntry, late_share: float) -> str:
    # Of a file that could not be read the entry has no rows: those of one that was repaired are not late.
    kept = entry.refused_at != "data" and all(
        delivery.parts.get(name) == part for name, part in entry.parts.items()
    )
    before = sum(part.rows for part in entry.parts.values())
    more = delivery.rows - before
    events = delivery.event_rows - entry.event_rows
    if kept and more == 0 and events > 0 and not delivery.problems:
        if events <= late_share * entry.event_rows and entry.status == "pushed":
            return f"+{day}: {events} late events ({_ALLOWED} {late_share:.2%}): the day stays as it was made"
        return f"{events} late events"
    if kept and more > 0 and not delivery.problems:
        if more <= late_share * before and entry.status == "pushed":
            return f"+{day}: {more} late rows ({_ALLOWED} {late_share:.2%}): the day stays as it was made"
        return f"{more} late rows"
    return "delivered anew"
