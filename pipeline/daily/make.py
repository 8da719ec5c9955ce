"""Makes one day: runs its pipeline, and tells a refusal of its data from one of its model and from an accident."""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable, Sequence
from typing import Any

from components import progress
from components.dataset.declaration import Declaration
from components.dataset.files import data_fingerprint
from pipeline.daily.book import Book
from pipeline.daily.create import DaySettings, create_day_pipeline
from pipeline.daily.days import Delivery
from pipeline.daily.ledger import Carry, DayEntry, now
from pipeline.daily.outcome import Refusal, outcome, refusal_of
from pipeline.daily.served import pushed_by
from pipeline.daily.start import declared_day, rebase_note, rebase_reason, require_state
from pipeline.events import NodeRun, NodeStarted
from pipeline.execute import decision
from pipeline.local import LocalRunner, cpu_seconds
from pipeline.place import Place
from pipeline.screen import as_is
from pipeline.terminal import RunDisplay


def make_day(
    declaration: Declaration, delivery: Delivery, entry: DayEntry, carry: Carry, place: Place
) -> DayEntry:
    """Makes a day and returns its entry; nothing is written to the ledger here.

    Args:
      declaration: of the feed, with the command line's settings.
      delivery: what has arrived of the day.
      entry: as it begins (`pipeline.daily.entries.begun`).
      carry: what the day before handed over.
      place: where.

    Raises:
      InputError: something that is neither the day's rows nor its model keeps it from being made.
    """
    begun, cpu_begun = time.monotonic(), cpu_seconds()
    update = _Run(declaration, delivery, entry, carry, place).outcome()
    return entry.model_copy(
        update={
            **update,
            "seconds": round(time.monotonic() - begun, 1),
            "cpu_seconds": round(cpu_seconds() - cpu_begun, 1),
            "finished": now(),
        }
    )


def unsaid(notes: Sequence[str], said: Sequence[str]) -> list[str]:
    """The notes that no component has said while it ran, with more around them or not.

    >>> unsaid(["a domain is new", "4 rows were left out"], ["2024-01-30: a domain is new (accepted)"])
    ['4 rows were left out']
    """
    return [note for note in notes if not any(note in text for text in said)]


class _Run:
    """One attempt at a day."""

    def __init__(
        self, declaration: Declaration, delivery: Delivery, entry: DayEntry, carry: Carry, place: Place
    ) -> None:
        self._feed = declaration
        self._entry = entry
        self._carry = carry
        self._place = place
        self._delivery = delivery
        self._declaration = declared_day(declaration, delivery, place.data, Book(place.layout))
        self._notes = list(entry.notes)
        self._said: list[str] = []
        self._node = ""

    def outcome(self) -> dict[str, Any]:
        """The fields of the entry that the attempt decides."""
        refusal: Refusal | None = None
        with (
            RunDisplay(self._place.console) as display,
            progress.listening(display.progress, self._say(display)),
        ):
            rebase = self._rebase()
            settings = self._settings(rebase=bool(rebase))
            runner = LocalRunner(self._listen(display))
            try:
                runner.run(create_day_pipeline(settings))
            except Exception as error:
                refusal = refusal_of(error, self._node, self._delivery.parts, bool(self._carry.state))
                if refusal is None:
                    raise
                logging.exception("a gate refused")
        found = outcome(
            self._entry,
            self._carry,
            self._feed.daily,
            runner.runs,
            self._place.serving / self._declaration.model.name,
            refusal,
            notes=self._notes,
            rebased=bool(rebase),
            decide=functools.partial(decision, told=pushed_by(self._entry.day, self._place.layout.root)),
        )
        for note in unsaid(found["notes"], self._said):
            self._place.console.print(f"[yellow]![/] {as_is(note)}", highlight=False)
        return found

    def _say(self, display: RunDisplay) -> Callable[[str], None]:
        def say(text: str) -> None:
            self._said.append(text)
            display.note(text)

        return say

    def _listen(self, display: RunDisplay) -> Any:
        def listen(event: NodeStarted | NodeRun) -> None:
            self._node = event.node
            display.node(event)

        return listen

    def _rebase(self) -> str:
        require_state(self._carry, self._declaration)
        reason = rebase_reason(self._feed, self._declaration, self._carry)
        if reason and self._carry.service is not None:
            text = rebase_note(self._feed, self._carry, reason)
            self._notes.append(text)
            progress.note(text)
        return reason

    def _settings(self, *, rebase: bool) -> DaySettings:
        place = self._place
        content = data_fingerprint(self._declaration, str(place.data))
        fingerprint = f"{self._entry.fingerprint}-{content}-{self._entry.salt}"
        return DaySettings(
            **place.settings(self._declaration, fingerprint, self._declaration.model.name),
            day=self._entry.day,
            carry=self._carry,
            rebase=rebase,
            accepted=self._entry.accepted,
            root=str(place.layout.root),
        )
