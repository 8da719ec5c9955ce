"""What became of a feed day by day: `history.json` for scripts, `history.html` for people."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from components.dataset.declaration import Declaration
from components.pusher.atomic import read_pushed, versions
from pipeline.daily.book import Book
from pipeline.daily.ledger import DayEntry, write_durably
from pipeline.daily.served import Served, served


def history(entries: Mapping[str, DayEntry], declaration: Declaration, now: Served | None) -> dict[str, Any]:
    """The document: None where a figure is undefined.

    Args:
      entries: of the ledger, by day.
      declaration: of the feed.
      now: what is served.
    """
    days = [_day(entries[day]) for day in sorted(entries)]
    return {
        "dataset": declaration.name,
        "model": declaration.model.name,
        "in_service": None if now is None else {"version": str(now.version), "day": now.day or None},
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


def write_history(book: Book, declaration: Declaration, serving: Path, command: str) -> None:
    """Writes both files; a reader never sees half of one.

    Args:
      book: whose ledger is told.
      declaration: of the feed.
      serving: the directory that TF Serving watches for the model.
      command: how the days were made.
    """
    from pipeline.daily.html import history_page

    entries = book.ledger.entries()
    now = served(entries, serving, book.layout.root)
    document = history(entries, declaration, now)
    write_durably(book.history, json.dumps(document, indent=1, allow_nan=False) + "\n")
    write_durably(
        book.page,
        history_page(
            document,
            declaration,
            book.ledger.happened(),
            now,
            _on_disk(serving),
            command,
            str(Path.cwd()),
        ),
    )


def _on_disk(serving: Path) -> list[tuple[str, str]]:
    """Versions on the disk, the newest first, with the model artifact that each was pushed from."""
    found = []
    for version in reversed(versions(serving)):
        found.append((str(version), read_pushed(serving / str(version)).get("model", "")))
    return found
