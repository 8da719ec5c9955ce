"""What became of a feed day by day: `history.json` for scripts, `history.html` for people."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from components.dataset.declaration import Declaration
from components.pusher.atomic import PUSHED_FACTS, versions
from pipeline.daily.book import Book
from pipeline.daily.ledger import DayEntry, write_durably


def history(entries: Mapping[str, DayEntry], declaration: Declaration) -> dict[str, Any]:
    """The document: None where a figure is undefined.

    Args:
      entries: of the ledger, by day.
      declaration: of the feed.
    """
    days = [_day(entries[day]) for day in sorted(entries)]
    service = entries[max(entries)].carry.service if entries else None
    return {
        "dataset": declaration.name,
        "model": declaration.model.name,
        "in_service": None if service is None else {"version": service.version, "day": service.day},
        "days": days,
    }


def _day(entry: DayEntry) -> dict[str, Any]:
    progressive = None if entry.progressive is None else entry.progressive.model_dump(mode="json")
    return {
        "day": entry.day,
        "status": entry.status,
        "refused_at": entry.refused_at,
        "reasons": entry.reasons,
        "notes": entry.notes,
        "cause": entry.cause,
        "accepted": entry.accepted,
        "rows": entry.rows,
        "progressive": progressive,
        "pushed_to": entry.pushed_to,
        "cpu_seconds": entry.cpu_seconds,
        "seconds": entry.seconds,
        "peak_memory_mb": entry.peak_memory_mb,
        "finished": entry.finished,
    }


def write_history(book: Book, declaration: Declaration, command: str) -> None:
    """Writes both files; a reader never sees half of one.

    Args:
      book: whose ledger is told.
      declaration: of the feed.
      command: how the days were made.
    """
    from pipeline.daily.html import history_page

    document = history(book.ledger.entries(), declaration)
    write_durably(book.history, json.dumps(document, indent=1, allow_nan=False) + "\n")
    serving = book.layout.serving / declaration.model.name
    write_durably(
        book.page,
        history_page(
            document, declaration, book.ledger.happened(), _served(serving), command, str(Path.cwd())
        ),
    )


def _served(serving: Path) -> list[tuple[str, str]]:
    """Versions on the disk, the newest first, with the model artifact that each was pushed from."""
    found = []
    for version in reversed(versions(serving)):
        facts = serving / str(version) / PUSHED_FACTS
        model = json.loads(facts.read_text())["model"] if facts.is_file() else ""
        found.append((str(version), model))
    return found
