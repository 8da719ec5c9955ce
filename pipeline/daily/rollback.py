"""`dfei rollback`: an earlier version is served again, under a new number, and the next day goes on from it."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

from components.errors import InputError
from components.pusher.atomic import PUSHED_FACTS, push, versions
from pipeline.daily.book import Book
from pipeline.daily.ledger import DayEntry, Service


@dataclasses.dataclass(frozen=True)
class RolledBack:
    """What a rollback did.

    Attributes:
      before: the version that was in service.
      chosen: the one that is served again.
      pushed_to: under which number.
      day: the newest day that it has learned.
    """

    before: str
    chosen: str
    pushed_to: str
    day: str


def rollback(book: Book, serving: Path, version: str | None) -> RolledBack:
    """Serves an earlier version again.

    It is pushed anew, as the newest: what a server takes is the newest version, the one that was bad stays on the disk
    to be looked at, and the next push is newer still. The state goes on; the days that the version has not learned are
    replayed with the next one.

    Args:
      book: of the feed; locked.
      serving: the directory that TF Serving watches for the model.
      version: a number on the disk; None: the model that was in service before.

    Raises:
      InputError: there is no such version, or nothing to go back to.
    """
    entries = book.ledger.entries()
    if not entries or (service := entries[max(entries)].carry.service) is None:
        raise InputError(f"{book.layout.root}: no model is in service: there is nothing to go back from")
    newest = entries[max(entries)]
    target = _before(entries, service) if version is None else _of_version(entries, serving, version)
    if target.model == service.model:
        raise InputError(f"version {Path(target.version).name} is in service already")
    source = Path(target.version)
    if not (source / "saved_model.pb").is_file():
        left = ", ".join(map(str, versions(serving)))
        raise InputError(f"{source} is gone; on the disk are {left or 'no versions'}: name one of them")
    pushed = push(source, serving, target.model)
    again = target.model_copy(update={"version": str(pushed)})
    unlearned = [learned.day for learned in newest.carry.learned if learned.day > target.day]
    carry = newest.carry.model_copy(update={"service": again, "unlearned": unlearned})
    note = (
        f"rolled back to version {source.name}, which has learned {target.day}: pushed again as {pushed.name}"
    )
    book.ledger.write(newest.model_copy(update={"carry": carry, "notes": [*newest.notes, note]}))
    book.ledger.note("rollback", to=str(source), pushed_to=str(pushed))
    return RolledBack(service.version, target.version, str(pushed), target.day)


def _before(entries: dict[str, DayEntry], service: Service) -> Service:
    """The newest model that has learned less than the one in service."""
    found = [
        entry.carry.service
        for day, entry in sorted(entries.items())
        if entry.status == "pushed"
        and entry.carry.service is not None
        and entry.carry.service.day < service.day
    ]
    if not found:
        raise InputError(f"{service.version} is the first model that was pushed: there is none before it")
    return found[-1]


def _of_version(entries: dict[str, DayEntry], serving: Path, version: str) -> Service:
    folder = serving / Path(version).name
    facts = folder / PUSHED_FACTS
    if not facts.is_file():
        raise InputError(
            f"{folder}: no such version; on the disk are {', '.join(map(str, versions(serving))) or 'none'}"
        )
    model = json.loads(facts.read_text())["model"]
    for entry in entries.values():
        service = entry.carry.service
        if service is not None and service.model == model:
            return service.model_copy(update={"version": str(folder)})
    raise InputError(f"{folder}: no day of {serving} made this version; `dfei history` lists those that did")
