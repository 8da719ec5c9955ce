"""What the first look at a log counts, block by block: rows, rejects, days, domains, clicks."""

from __future__ import annotations

from collections import Counter
from typing import Any

import polars as pl

from components.dataset.declaration import DAY_MS
from components.dataset.impressions import Rows
from components.dataset.joins import LookupTable, join
from components.dataset.label import label_of
from components.dataset.names import LOCAL_TIME
from components.dataset.read_plan import ReadPlan

SHOWN_REJECTS = 100
SHOWN_DOMAINS = 10_000


def days(frame: pl.DataFrame, day_ms: int = DAY_MS) -> pl.Series:
    """The local day of each row, counted from 1970-01-01; `day_ms` long."""
    return frame[LOCAL_TIME] // day_ms


class PieceScan:
    """Counts over the blocks of a piece."""

    def __init__(self) -> None:
        self._lines = 0
        self._rows = 0
        self._rejected = 0
        self._later = 0
        self._positives = 0
        self._rejects: list[tuple[int, str]] = []
        self._days: Counter[int] = Counter()
        self._domains: set[str] = set()

    def add(self, block: Rows, plan: ReadPlan, tables: tuple[LookupTable, ...]) -> pl.DataFrame:
        """Counts a block.

        Args:
          block: as `read_piece` gives it.
          plan: where columns come from.
          tables: the lookups; needed when the domain comes from one.
        Returns:
          The accepted rows, with the domain.
        """
        accepted = block.typed.filter(pl.Series(block.accepted))
        if plan.domain_is_joined:
            accepted = join(accepted, plan, tables)[0]
        if not accepted.is_empty():
            for day, count in days(accepted, plan.declaration.split.day_ms).value_counts().iter_rows():
                self._days[day] += count
            self._positives += int(label_of(accepted, plan.declaration).sum())
            if len(self._domains) < SHOWN_DOMAINS:
                self._domains.update(str(value) for value in accepted[plan.declaration.domain].unique())
        self._rows += len(block.text) + len(block.rejects) - int((~block.accepted).sum())
        self._rejected += len(block.rejects)
        self._later += block.later
        self._rejects += block.rejects[: SHOWN_REJECTS - len(self._rejects)]
        self._lines += block.line_count
        return accepted

    def document(self) -> dict[str, Any]:
        """The counts as JSON; lines count from the piece's first as 0."""
        return {
            "lines": self._lines,
            "rows": self._rows,
            "rejected": self._rejected,
            "later": self._later,
            "rejects": self._rejects,
            "positives": self._positives,
            "days": {str(day): count for day, count in self._days.items()},
            "domains": sorted(self._domains)[:SHOWN_DOMAINS],
        }
