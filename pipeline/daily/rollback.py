"""`dfei rollback`: an earlier version is served again, under a new number, and the next day goes on from it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from components.errors import InputError
from components.pusher.atomic import push, read_pushed, versions
from pipeline.daily.book import Book
from pipeline.daily.ledger import Service
from pipeline.daily.served import Served, newest_of, pushed_by, served, services


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
    replayed with the next one. Of the models that have learned more nothing is learned again (`Ledger.taken_back`).

    Args:
      book: of the feed; locked.
      serving: the directory that TF Serving watches for the model.
      version: a number on the disk; None: the model that was in service before.

    Raises:
      InputError: there is no such version, or nothing to go back to.
    """
    entries = book.ledger.entries()
    now, known = served(entries, serving, book.layout.root), services(entries)
    if not entries or now is None:
        raise InputError(f"{serving}: no model is in service: there is nothing to go back from")
    back = book.ledger.taken_back()
    if version is None:
        source = newest_of(serving, target := _before(known, now, back))
    else:
        source, target = _of_version(known, serving, version)
    if target.model == now.model:
        raise InputError(f"version {now.version.name} is in service already, {now.learned}")
    if not (source / "saved_model.pb").is_file():
        left = ", ".join(map(str, versions(serving)))
        raise InputError(f"{source} is gone; on the disk are {left or 'no versions'}: name one of them")
    # Before the push: killed in between, the same command goes on.
    book.ledger.take_back((model for model, service in known.items() if service.day > target.day), target)
    pushed = push(source, serving, target.model, told=pushed_by(target.day, book.layout.root))
    book.ledger.note("rollback", to=str(source), pushed_to=str(pushed))
    return RolledBack(str(now.version), str(source), str(pushed), target.day)


def _before(known: Mapping[str, Service], now: Served, back: Mapping[str, Service]) -> Service:
    """The newest model that has learned less than the one in service, and that nobody went back from."""
    found = [
        service
        for model, service in known.items()
        if model not in back and model != now.model and (not now.day or service.day < now.day)
    ]
    if not found:
        raise InputError(f"{now.version}, {now.learned}, is in service: no day has pushed a model before it")
    return max(found, key=lambda service: service.day)


def _of_version(known: Mapping[str, Service], serving: Path, version: str) -> tuple[Path, Service]:
    folder = serving / Path(version).name
    if not (folder / "saved_model.pb").is_file():
        raise InputError(
            f"{folder}: no such version; on the disk are {', '.join(map(str, versions(serving))) or 'none'}"
        )
    service = known.get(read_pushed(folder).get("model", ""))
    if service is None:
        raise InputError(
            f"{folder}: no day of the feed, as its days are now, made this version; `dfei history` lists those that did"
        )
    return folder, service
