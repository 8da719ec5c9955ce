"""The declaration as a day's pipeline sees it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from components.dataset.day_names import of_day
from components.dataset.declaration import Declaration
from components.dataset.file_names import glob_escape
from components.dataset.sections import Events
from pipeline.daily.days import Delivery


def for_day(
    declaration: Declaration, delivery: Delivery, cut: Mapping[str, Path] | None = None
) -> Declaration:
    """The declaration of one day: its files, its rows, and its newest hours as the split `eval`.

    Args:
      declaration: of the feed.
      delivery: what has arrived of the day.
      cut: files that hold the day's rows alone, in place of some that hold several days.
    """
    cut = cut or {}
    begin = datetime.fromisoformat(delivery.day)
    split = declaration.split.model_copy(
        update={
            "day_hours": declaration.daily.judge_hours,
            "eval_days": 1,
            "validation_days": 1,
            "since": begin,
            "before": begin + timedelta(days=1),
        }
    )
    impressions = declaration.impressions.model_copy(
        update={
            "files": [glob_escape(str(cut.get(name, name))) for name in sorted(delivery.parts)],
            "ignore": [],
        }
    )
    lookups = [
        lookup.model_copy(update={"files": [of_day(pattern, delivery.day) for pattern in lookup.files]})
        for lookup in declaration.lookups
    ]
    averages = declaration.moving_average.model_copy(update={"eval_state": "daily"})
    return declaration.model_copy(
        update={
            "split": split,
            "impressions": impressions,
            "lookups": lookups,
            "events": _events(declaration, [*delivery.pending, delivery], begin + timedelta(days=1)),
            "moving_average": averages,
            "report": declaration.report.model_copy(update={"study": False}),
        }
    )


def _events(declaration: Declaration, days: Sequence[Delivery], before: datetime) -> list[Events]:
    """The events of the days, in the files that hold them; what the files hold of later days is left out."""
    found = []
    for number, section in enumerate(declaration.events):
        files = sorted({name for day in days for name in day.events.get(str(number), {})})
        if files:
            update = {"files": [glob_escape(name) for name in files], "ignore": [], "before": before}
            if days[0].after is not None:
                update["since"] = datetime.fromisoformat(days[0].after) + timedelta(days=1)
            found.append(section.model_copy(update=update))
    return found
