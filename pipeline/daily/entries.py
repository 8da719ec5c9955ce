"""How a day's entry begins, before anything is known of what comes of it."""

from __future__ import annotations

from components.dataset.sections import Daily
from pipeline.daily.carry import after
from pipeline.daily.ledger import Carry, DayEntry, now
from pipeline.daily.plan import ASKED_FOR, DueDay


def begun(
    due: DueDay,
    before: DayEntry | None,
    carry: Carry,
    earlier: DayEntry | None,
    *,
    accepted: bool,
    daily: Daily,
) -> DayEntry:
    """The entry of a day of which nothing has arrived, or whose data are refused; the next day gets what this one got.

    Args:
      due: the day and what has arrived of it.
      before: the entry of the day before; None for the first.
      carry: what the day starts from.
      earlier: what the ledger had of this day.
      accepted: whether its data are taken as they are.
      daily: the feed's settings.
    """
    entry = DayEntry(
        day=due.day,
        status="missing",
        reasons=["no file of this day has arrived"],
        cause=due.cause,
        prior=before.identity if before is not None else "",
        accepted=accepted,
        salt=(earlier.salt if earlier is not None else 0) + (due.cause == ASKED_FOR),
        carry=after(carry, None, daily),
        finished=now(),
    )
    if due.delivery is None:
        return entry
    return entry.model_copy(
        update={
            "fingerprint": due.delivery.fingerprint,
            "parts": due.delivery.parts,
            "event_rows": due.delivery.event_rows,
            "status": "refused",
            "refused_at": "data",
            "reasons": list(due.delivery.problems),
            "notes": [
                f"{name} holds the same rows of the day as {other}: they count once"
                for name, other in due.delivery.repeats.items()
            ],
        }
    )
