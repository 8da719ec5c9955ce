"""A guess: a value, how sure it is, why, and what else it might be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Certainty = Literal["given", "sure", "weak", "none"]


@dataclass(frozen=True)
class Guess:
    """What a role's column is thought to be.

    Attributes:
      role: label, domain, user, item or timestamp.
      column: the column; `None`: no idea, or no such column.
      certainty: given by the user; sure; weak: asked for, or taken with `--yes`; none.
      why: for the comment where it stands.
      candidates: (column, why) of what it might be, the likeliest first.
    """

    role: str
    column: str | None
    certainty: Certainty
    why: str = ""
    candidates: tuple[tuple[str, str], ...] = ()
