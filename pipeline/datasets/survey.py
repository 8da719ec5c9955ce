"""One streaming look at a declared log with ExampleGen's own reading code: everything that a run would count, and more.

What is held at a time is a block of rows and small tables of counts, whatever the size of the log.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl

from components.dataset.blocks import BLOCK_BYTES
from components.dataset.impressions import Rows, read_piece
from components.dataset.joins import LookupTable, join
from components.dataset.label import label_of
from components.dataset.read_plan import Piece, ReadPlan
from components.example_gen import checks
from components.example_gen.scan import SHOWN_REJECTS, PieceScan, days
from pipeline.datasets.ids import DaysOfIds, Newcomers

_SHOWN_DAYS = 6
_REASON = re.compile(r"^((?:column|label|timestamp|domain) .*?): (.*?)(?:, found .*)?$")
# A block may be looked at further: rows with their lookups, their numbers within the piece, the piece.
Visitor = Callable[[pl.DataFrame], None]


@dataclass
class Survey:
    """What a look at the log found.

    Attributes:
      scan: what ExampleGen's first pass counts.
      domains: (domain, day, rows, positives), the domain as text.
      ids: role -> who was there when.
      unmatched: lookup -> accepted rows whose key it does not have.
      missing: column -> accepted rows without a value.
      reasons: (column or label, what was expected) -> rejected rows.
      sampled: whether only a part of the log was read.
    """

    scan: checks.Scan
    domains: pl.DataFrame
    ids: dict[str, DaysOfIds]
    unmatched: dict[str, int]
    missing: dict[str, int]
    reasons: Counter[tuple[str, str]]
    sampled: bool = False

    def newcomers(self, role: str, first_eval_day: int) -> Newcomers | None:
        """Who is new in the evaluation; `None` without such a role."""
        return self.ids[role].newcomers(first_eval_day) if role in self.ids else None


@dataclass
class _Counts:
    """Sums over blocks."""

    plan: ReadPlan
    domains: list[pl.DataFrame] = field(default_factory=list)
    ids: dict[str, DaysOfIds] = field(default_factory=dict)
    unmatched: Counter[str] = field(default_factory=Counter)
    missing: Counter[str] = field(default_factory=Counter)
    reasons: Counter[tuple[str, str]] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        declaration = self.plan.declaration
        roles = (("user", declaration.user), ("item", declaration.item))
        self.ids = {role: DaysOfIds() for role, column in roles if column is not None}

    def add(self, block: Rows, rows: pl.DataFrame) -> None:
        declaration = self.plan.declaration
        for _, reason in block.rejects:
            found = _REASON.match(reason)
            self.reasons[(found[1], found[2]) if found else ("line", _without_numbers(reason))] += 1
        if rows.is_empty():
            return
        day = days(rows, declaration.split.day_ms)
        counted = pl.DataFrame(
            {
                "domain": rows[declaration.domain].cast(pl.String),
                "day": day,
                "positives": label_of(rows, declaration).cast(pl.UInt32),
            }
        )
        self.domains.append(_summed(counted.with_columns(rows=pl.lit(1, pl.UInt32))))
        if len(self.domains) > 64:
            self.domains = [_summed(pl.concat(self.domains))]
        for role, ids in self.ids.items():
            ids.add(present(rows[getattr(declaration, role)]), day)
        for name in declaration.features:
            column = rows[name] if name == declaration.domain else present(rows[name])
            self.missing[name] += column.null_count()


def without_rows(days: Mapping[int, int], day_ms: int, word: str) -> str:
    """The days between the first and the last that have no rows; empty where each has some.

    Args:
      days: number of the day -> rows.
      day_ms: what counts as a day.
      word: for several of them.
    """
    absent = [day for day in range(min(days), max(days) + 1) if day not in days]
    if not absent:
        return ""
    shown = ", ".join(checks.day_name(day, day_ms) for day in absent[:_SHOWN_DAYS])
    return f"{len(absent)} {word} without rows: {shown}{' ...' if len(absent) > _SHOWN_DAYS else ''}"


def present(column: pl.Series) -> pl.Series:
    """Null where an integer is -1, which stands for no value."""
    if not column.dtype.is_integer():
        return column
    return column.to_frame().select(pl.when(pl.first() != -1).then(pl.first())).to_series()


def _summed(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.group_by("domain", "day").agg(pl.col("rows", "positives").sum())


def _without_numbers(reason: str) -> str:
    return re.sub(r", found \d+$", "", reason)


def survey(
    plan: ReadPlan,
    tables: tuple[LookupTable, ...],
    pieces: Sequence[Piece],
    progress: Callable[[int], None],
    *,
    look: Callable[[Piece, Rows, int], None] | None = None,
    visit: Visitor | None = None,
    sampled: bool = False,
    block_bytes: int = BLOCK_BYTES,
    kept: dict[int, list[Rows]] | None = None,
) -> Survey:
    """Reads pieces of the log, in their order.

    Args:
      plan: where columns come from.
      tables: the lookups.
      pieces: what to read; all of `cut(plan)`, or a sample.
      progress: hears the number of rows read so far.
      look: also sees every block as it was read: the piece, the block, the number of its first row in the piece.
      visit: also sees the accepted rows of every block, joined.
      sampled: whether `pieces` is a part of the log.
      block_bytes: bytes of csv in a block.
      kept: the blocks of each piece, as an earlier survey of the same pieces left them here; this one leaves its own.
    Raises:
      InputError: a file cannot be read.
    """
    counts = _Counts(plan)
    documents = []
    done = 0
    for piece in pieces:
        scan, row = PieceScan(), 0
        for block in _read(plan, piece, tables, block_bytes, kept):
            if look is not None:
                look(piece, block, row)
            row += len(block.text)
            scan.add(block, plan, tables)
            rows, missed = join(block.typed.filter(pl.Series(block.accepted)), plan, tables)
            for lookup, count in zip(plan.lookups, missed, strict=True):
                counts.unmatched[lookup.name] += count
            counts.add(block, rows)
            if visit is not None and not rows.is_empty():
                visit(rows)
            done += block.line_count
            progress(done)
        documents.append(scan.document())
    empty = pl.DataFrame(
        schema={"domain": pl.String, "day": pl.Int64, "rows": pl.UInt32, "positives": pl.UInt32}
    )
    return Survey(
        scan=checks.merge(plan, pieces, documents, SHOWN_REJECTS),
        domains=_summed(pl.concat(counts.domains)) if counts.domains else empty,
        ids=counts.ids,
        unmatched=dict(counts.unmatched),
        missing=dict(counts.missing),
        reasons=counts.reasons,
        sampled=sampled,
    )


def _read(
    plan: ReadPlan,
    piece: Piece,
    tables: tuple[LookupTable, ...],
    block_bytes: int,
    kept: dict[int, list[Rows]] | None,
) -> Iterator[Rows]:
    """A piece's blocks; with `kept`, those that are there, and what is not is kept for the next survey."""
    if kept is None:
        return read_piece(plan, piece, tables, block_bytes)
    if piece.index not in kept:
        kept[piece.index] = list(read_piece(plan, piece, tables, block_bytes))
    return iter(kept[piece.index])
