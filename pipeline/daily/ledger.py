"""The book of a feed: one file a day, written whole when the day is over, and a journal of all that ever happened.

A day's entry says what came of it and what it hands to the next. A process that is killed leaves the entries as they
were, so whoever starts again finds the same day due.
"""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from components.drift.gates import GATES
from components.errors import InputError
from pipeline.daily.days import Part
from pipeline.report.numbers import Z95

Status = Literal["pushed", "refused", "missing"]


class LearnedDay(BaseModel):
    """A day whose rows can be replayed.

    Attributes:
      day: ISO.
      examples: URI of the transformed examples.
      transform_graph: URI of the graph that made them.
    """

    day: str
    examples: str
    transform_graph: str


class Service(BaseModel):
    """A model that was pushed.

    Attributes:
      day: the newest day that it has learned.
      model: URI of the model artifact.
      model_run: URI of what the next training starts from.
      version: the directory it was pushed to.
    """

    day: str
    model: str
    model_run: str
    version: str


class Carry(BaseModel):
    """What a day hands to the next; URIs of artifacts.

    Attributes:
      state: the behaviour state; empty before the first good day.
      service: the model that days go on from, the newest that one of them has pushed.
      incumbent: URI of what is served while none has: it judges a day, and nothing is learned from it. It is looked
        up anew for each day, and no part of an entry.
      learned: the last days whose data were good, the newest first, to replay or to train on from nothing.
      unlearned: those of them that no model in service has learned: they are replayed whole.
      measured: what was measured of the last good days, the newest first.
      progressive: URIs of the evaluations of the model in service on the last good days, the newest first.
      trained: days since the last training from nothing.
    """

    state: str = ""
    service: Service | None = None
    incumbent: str = ""
    learned: list[LearnedDay] = Field(default_factory=list)
    unlearned: list[str] = Field(default_factory=list)
    measured: list[str] = Field(default_factory=list)
    progressive: list[str] = Field(default_factory=list)
    trained: int = 0

    @property
    def judge(self) -> str:
        """URI of the model that judges the day and that its candidate must not fall behind; empty: there is none."""
        return self.service.model if self.service is not None else self.incumbent

    def uris(self) -> list[str]:
        """Every artifact that the next day needs."""
        found = [self.state, *self.measured, *self.progressive]
        if self.service is not None:
            found += [self.service.model, self.service.model_run]
        for learned in self.learned:
            found += [learned.examples, learned.transform_graph]
        return [uri for uri in found if uri]


class DomainFigures(BaseModel):
    """Progressive figures of one domain."""

    rows: int
    positives: int
    auc: float | None = None
    auc_standard_error: float | None = None
    log_loss: float | None = None
    calibration: float | None = None


class Progressive(BaseModel):
    """How the model in service did on the day, before it learned of it.

    Attributes:
      auc_standard_error: of the overall AUC, DeLong's.
      average_auc_standard_error: of the average AUC, from those of the domains that it is taken over.
      calibration: mean prediction / mean label.
      domains: by the domain's value.
    """

    average_auc: float | None = None
    overall_auc: float | None = None
    auc_standard_error: float | None = None
    average_auc_standard_error: float | None = None
    gauc: float | None = None
    log_loss: float | None = None
    calibration: float | None = None
    domains: dict[str, DomainFigures] = Field(default_factory=dict)

    @property
    def no_better_than_chance(self) -> str | None:
        """Where the average AUC may be that of no ranking at all: what it is, with its 95 % interval; else None."""
        auc, error = self.average_auc, self.average_auc_standard_error
        if auc is None or error is None or auc - Z95 * error > 0.5:
            return None
        return f"average AUC {auc:.4f} ± {Z95 * error:.4f}"


def shown(status: str, refused_at: str) -> str:
    """A status as people read it: the first day makes no model, and nothing of it is refused.

    Args:
      status: of `DayEntry`.
      refused_at: of `DayEntry`.
    """
    return "learned" if status == "refused" and not refused_at else status


class DayEntry(BaseModel):
    """What came of a day.

    Attributes:
      day: ISO.
      status: of the day's model.
      refused_at: `data` or `model`; empty where nothing was refused, as on the first day, which makes no model.
      reasons: why it was refused, or is missing, in words.
      notes: what else should be read.
      cause: why the day was made, in words.
      fingerprint, parts: of its rows, as they were delivered.
      event_rows: the events that came with them.
      prior: identity of the entry before.
      accepted: whether what moved was accepted as true.
      salt: how often the day was asked for anew.
      rows: by split.
      progressive: None where no model was in service, or the data was refused before.
      pushed_to: the version's directory.
      moved: what drifted, in words, though nothing was refused.
      carry: what the next day gets.
      seconds, cpu_seconds, peak_memory_mb: what the day cost, in all.
      parts_seconds: processor seconds by component.
      finished: when, UTC.
    """

    day: str
    status: Status
    refused_at: Literal["", "data", "model"] = ""
    reasons: list[str] = Field(default_factory=list)
    notes: list[str] = Field(default_factory=list)
    cause: str = ""
    fingerprint: str = ""
    parts: dict[str, Part] = Field(default_factory=dict)
    event_rows: int = 0
    prior: str = ""
    accepted: bool = False
    salt: int = 0
    rows: dict[str, int] = Field(default_factory=dict)
    progressive: Progressive | None = None
    pushed_to: str | None = None
    carry: Carry = Field(default_factory=Carry)
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_memory_mb: float = 0.0
    parts_seconds: dict[str, float] = Field(default_factory=dict)
    finished: str = ""

    @property
    def shown(self) -> str:
        """The status as people read it."""
        return shown(self.status, self.refused_at)

    @property
    def wants_attention(self) -> bool:
        """Whether somebody should look: the day is missing, or a gate refused it."""
        return self.status == "missing" or bool(self.refused_at)

    @property
    def can_be_accepted(self) -> bool:
        """Whether the gates of data alone refused it: what cannot be read is there no more for being accepted."""
        return (
            self.refused_at == "data"
            and bool(self.reasons)
            and all(f"({GATES}" in reason for reason in self.reasons)
        )

    @property
    def identity(self) -> str:
        """Changes when the day is made anew from other rows or another past."""
        text = f"{self.day} {self.fingerprint} {self.prior} {self.accepted} {self.salt} {self.status}"
        return hashlib.blake2b(text.encode(), digest_size=12).hexdigest()


_TAKEN_BACK = TypeAdapter(dict[str, Service])


class Ledger:
    """The entries of a feed, below a root.

    Args:
      folder: made where it is missing.
    """

    def __init__(self, folder: Path) -> None:
        self._days = folder / "days"
        self._journal = folder / "journal.jsonl"
        self._taken_back = folder / "taken_back.json"

    def entries(self) -> dict[str, DayEntry]:
        """By day, in order.

        Raises:
          InputError: an entry cannot be read.
        """
        found = {}
        for path in sorted(self._days.glob("*.json")):
            try:
                found[path.stem] = DayEntry.model_validate_json(path.read_text())
            except (OSError, ValidationError, ValueError) as error:
                raise InputError(
                    f"{path}: not an entry of the ledger ({str(error).splitlines()[0]}): delete it, and "
                    "`dfei daily` makes that day and those after it again"
                ) from error
        return found

    def write(self, entry: DayEntry) -> None:
        """Writes a day's entry at once, then the journal."""
        self._days.mkdir(parents=True, exist_ok=True)
        write_durably(self._days / f"{entry.day}.json", entry.model_dump_json(indent=1))
        self.note("day", day=entry.day, status=entry.shown, cause=entry.cause, reasons=entry.reasons)

    def note(self, event: str, **facts: Any) -> None:
        """Appends to the journal."""
        self._journal.parent.mkdir(parents=True, exist_ok=True)
        line = json.dumps({"at": now(), "event": event, **facts})
        with self._journal.open("a", encoding="utf-8") as stream:
            stream.write(line + "\n")

    def taken_back(self) -> dict[str, Service]:
        """The models that somebody went back from, by URI: the one that days go on from in their place.

        Raises:
          InputError: the file cannot be read.
        """
        if not self._taken_back.is_file():
            return {}
        try:
            return _TAKEN_BACK.validate_json(self._taken_back.read_text())
        except (OSError, ValueError) as error:
            raise InputError(
                f"{self._taken_back}: cannot be read ({str(error).splitlines()[0]}): delete it, and give "
                "`dfei rollback` again if one is to be kept"
            ) from error

    def take_back(self, models: Iterable[str], target: Service) -> None:
        """Writes down that days go on from a model in the place of others.

        Args:
          models: URIs of those that somebody goes back from.
          target: goes on; it is no longer taken back itself.
        """
        found = {**self.taken_back(), **dict.fromkeys(models, target)}
        found.pop(target.model, None)
        self._taken_back.parent.mkdir(parents=True, exist_ok=True)
        write_durably(self._taken_back, _TAKEN_BACK.dump_json(found, indent=1).decode())

    def happened(self) -> list[dict[str, Any]]:
        """The journal, the newest first; a line that a kill cut off is left out."""
        if not self._journal.is_file():
            return []
        found = []
        for line in self._journal.read_text(encoding="utf-8").splitlines():
            with contextlib.suppress(json.JSONDecodeError):
                found.append(json.loads(line))
        return found[::-1]


def now() -> str:
    """This moment, UTC, ISO."""
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")


def write_durably(path: Path, text: str) -> None:
    """Writes a file at once, on the disk before its name is: not even a power cut leaves half of it."""
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    partial.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
