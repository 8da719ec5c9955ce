"""`dfei daily`: what was asked for, checked before anything heavy is imported."""

from __future__ import annotations

import dataclasses
from datetime import date

from components.errors import InputError
from pipeline.daily.plan import Wanted
from pipeline.request import RunRequest


@dataclasses.dataclass(frozen=True)
class DailyRequest(RunRequest):
    """What the user asked for.

    Attributes:
      first, last: make these days, again where they were made before; None: all that are due.
      accept: refused days whose data are true.
      next_only: stop after one day.
      on_refusal: a command for the shell, run after each day that is refused or missing.
    """

    first: str | None = None
    last: str | None = None
    accept: tuple[str, ...] = ()
    next_only: bool = False
    on_refusal: str | None = None

    @property
    def wanted(self) -> Wanted:
        """The days.

        Raises:
          InputError: one of them is no date, or they are in the wrong order.
        """
        accepted = [("--accept", day) for day in self.accept]
        for option, text in (("--from", self.first), ("--to", self.last), *accepted):
            if text is not None:
                _require_date(option, text)
        if self.first is not None and self.last is not None and self.last < self.first:
            raise InputError(f"--to {self.last} is before --from {self.first}")
        return Wanted(self.first, self.last, frozenset(self.accept))


def _require_date(option: str, text: str) -> None:
    try:
        if date.fromisoformat(text).isoformat() == text:
            return
    except ValueError:
        pass
    raise InputError(f"{option} {text}: write a day as 2026-03-14")
