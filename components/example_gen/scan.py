"""What the first look at a log counts, block by block: rows, rejects, days, domains, clicks."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from components.dataset.declaration import DAY_MS
from components.dataset.impressions import Rows
from components.dataset.joins import LookupTable, join
from components.dataset.label import label_of
from components.dataset.names import LOCAL_TIME
from components.dataset.read_plan import ReadPlan
from components.example_gen.spellings import other_spellings

SHOWN_REJECTS = 100
SHOWN_DOMAINS = 10_000


def days(frame: pl.DataFrame, day_ms: int = DAY_MS) -> pl.Series:
    """The local day of each row, counted from 1970-01-01; `day_ms` long."""
    return frame[LOCAL_TIME] // day_ms


@dataclass
class FileCounts:
    """Lines, rows and rejected rows of a file, as far as the piece has it."""

    lines: int = 0
    rows: int = 0
    rejected: int = 0


class PieceScan:
    """Counts over the blocks of a piece."""

    def __init__(self) -> None:
        self._line = 0
        self._later = 0
        self._rejects: list[tuple[int, int, str]] = []
        self._files: list[FileCounts] = []
        self._days: Counter[int] = Counter()
        self._clicks: Counter[int] = Counter()
        self._domains: Counter[str] = Counter()
        self._spelled: Counter[str] = Counter()

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
            counted = pl.DataFrame(
                {
                    "day": days(accepted, plan.declaration.split.day_ms),
                    "label": label_of(accepted, plan.declaration),
                }
            )
            by_day = counted.group_by("day").agg(pl.len(), pl.col("label").cast(pl.Int64).sum())
            for day, count, clicks in by_day.iter_rows():
                self._days[day] += count
                self._clicks[day] += clicks
            if len(self._domains) < SHOWN_DOMAINS:
                in_domains = accepted[plan.declaration.domain].value_counts().iter_rows()
                self._domains.update({str(value): rows for value, rows in in_domains})
            rule = plan.declaration.positive
            if rule is not None and rule.one_of:
                label = accepted[plan.declaration.label]
                self._spelled.update(other_spellings(label, [text.strip() for text in rule.one_of]))
        self._later += block.later
        self._add_files(block)
        return accepted

    def _add_files(self, block: Rows) -> None:
        """Counts the block's lines file by file."""
        reject_lines = np.array([line for line, _ in block.rejects], np.int64)
        for place, lines in block.parts:
            while len(self._files) <= place:
                self._files.append(FileCounts())
            counts = self._files[place]
            ends = (self._line, self._line + lines)
            rows, rejects = np.searchsorted(block.lines, ends), np.searchsorted(reject_lines, ends)
            unusable = int((~block.accepted[rows[0] : rows[1]]).sum())
            shown = block.rejects[rejects[0] : rejects[1]][: SHOWN_REJECTS - len(self._rejects)]
            self._rejects += [(place, counts.lines + line - self._line, reason) for line, reason in shown]
            counts.rows += int(rows[1] - rows[0]) + int(rejects[1] - rejects[0]) - unusable
            counts.rejected += int(rejects[1] - rejects[0])
            counts.lines += lines
            self._line += lines

    def document(self) -> dict[str, Any]:
        """The counts as JSON; lines count from the first of the piece in their file as 0."""
        return {
            "files": [(counts.lines, counts.rows, counts.rejected) for counts in self._files],
            "later": self._later,
            "rejects": self._rejects,
            "days": {str(day): count for day, count in self._days.items()},
            "clicks": {str(day): count for day, count in self._clicks.items()},
            "domains": {name: self._domains[name] for name in sorted(self._domains)[:SHOWN_DOMAINS]},
            "spelled": dict(self._spelled),
        }
