"""What is served: the newest version in the folder that a server watches, whoever pushed it."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Mapping
from pathlib import Path

from components.pusher.atomic import pushed_version_of, read_pushed, versions
from pipeline.daily.book import Book
from pipeline.daily.ledger import Carry, DayEntry, Service


@dataclasses.dataclass(frozen=True)
class Served:
    """The version that a server takes.

    Attributes:
      version: its folder.
      model: URI of the model that it was pushed from; empty: it does not say.
      day: the newest day that it has learned; empty: no day of a feed made it.
      root: of the feed whose day made it.
      known: whether a day of the ledger, as that day is now, made it.
    """

    version: Path
    model: str = ""
    day: str = ""
    root: str = ""
    known: bool = False

    @property
    def learned(self) -> str:
        """What it has learned, as the end of a sentence that names it."""
        if not self.day:
            return "which no day of this feed has made"
        again = "" if self.known else ", as that day was before it was made anew"
        return f"which has learned {self.day}{again}"


def pushed_by(day: str, root: Path | str) -> dict[str, str]:
    """What a version says of its push beside its model.

    Args:
      day: that it has learned, ISO.
      root: of the feed.
    """
    return {"day": day, "root": str(root)}


def served(entries: Mapping[str, DayEntry], serving: Path, root: Path) -> Served | None:
    """What is served; None: nothing is.

    Args:
      entries: of the ledger, by day.
      serving: the directory that TF Serving watches for the model.
      root: of the feed.
    """
    found = versions(serving)
    if not found:
        return None
    version = serving / str(found[-1])
    facts = read_pushed(version)
    model = facts.get("model", "")
    service = services(entries).get(model)
    if service is not None:
        return Served(version, model, service.day, str(root), known=True)
    own = facts.get("root", "") == str(root)
    return Served(version, model, facts.get("day", "") if own else "", facts.get("root", ""))


def services(entries: Mapping[str, DayEntry]) -> dict[str, Service]:
    """The models that the days of the ledger, as they are now, have pushed, by URI."""
    found = (entry.carry.service for _, entry in sorted(entries.items()))
    return {service.model: service for service in found if service is not None}


def folder_of(entries: Mapping[str, DayEntry], serving: Path) -> Path:
    """The folder that versions were pushed to, for a command that was not told it.

    Args:
      entries: of the ledger, by day.
      serving: where they are by default.
    """
    pushed = [entry.pushed_to for _, entry in sorted(entries.items()) if entry.pushed_to]
    return serving if versions(serving) or not pushed else Path(pushed[-1]).parent


def handed_on(
    before: DayEntry | None, day: str, entries: Mapping[str, DayEntry], serving: Path, book: Book
) -> Carry:
    """What a day starts from.

    That is what the day before handed over. Its model is another where somebody went back from it: nothing is learned
    again of a model that was taken back. Where no day has pushed a model yet but one is served, that one judges.

    Args:
      before: the entry of the day before; None for the first.
      day: ISO.
      entries: of the ledger, by day.
      serving: the directory that TF Serving watches for the model.
      book: of the feed.
    """
    carry = before.carry if before is not None else Carry()
    if carry.service is not None:
        back = book.ledger.taken_back().get(carry.service.model)
        if back is None:
            return carry
        unlearned = [learned.day for learned in carry.learned if learned.day > back.day]
        return carry.model_copy(update={"service": back, "unlearned": unlearned})
    now = served(entries, serving, book.layout.root)
    # A day that was killed after its push, before its entry was written, is not judged by what it made itself.
    own = now is not None and now.day == day and now.root == str(book.layout.root)
    if now is None or now.known or own:
        return carry
    return carry.model_copy(update={"incumbent": str(_as_model(now.version, book, day))})


def _as_model(version: Path, book: Book, day: str) -> Path:
    """A served version as an artifact of a pipeline, below the root, where `dfei expire` finds it."""
    folder = book.layout.artifacts / "days" / day / "served" / version.name
    if not folder.is_dir():
        partial = folder.with_name(f".{version.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        shutil.copytree(version, partial / "Format-Serving")
        partial.rename(folder)
    return folder


def newest_of(serving: Path, service: Service) -> Path:
    """The folder of the newest version that a model was pushed to."""
    return pushed_version_of(serving, service.model) or Path(service.version)
