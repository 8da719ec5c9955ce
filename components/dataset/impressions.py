"""Reads a piece of the impressions: typed rows, and every row that must be rejected, by line, with the reason."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import polars as pl

from components.dataset.blocks import BLOCK_BYTES, blocks_of
from components.dataset.declaration import Declaration
from components.dataset.joins import LookupTable, join, typed_as_declared
from components.dataset.label import label_of
from components.dataset.names import LOCAL_TIME, is_date
from components.dataset.read_plan import Piece, ReadPlan
from components.dataset.sections import ColumnType
from components.dataset.sections.split import milliseconds
from components.dataset.text_block import TextBlock
from components.dataset.times import to_local_ms

_SHOWN = 60
_KINDS = {"int": "a whole number", "float": "a number", "string": "a text"}


@dataclass(frozen=True)
class Rows:
    """A block of rows with the right number of values.

    Attributes:
      text: every column of the file as text, for finding duplicates.
      typed: the needed columns in their types, and `local_time_ms`; one row for each of `text`.
      accepted: bool (rows,): the row can be used.
      lines: int64 (rows,): line (Parquet: row), counted from the piece's first as 0.
      rejects: (line, reason) of each rejected line, those that are no rows at all included.
      line_count: lines in the block.
      later: rows that are not among these because they are outside `split.since`, `split.before` and
        `split.domains_since`.
      parts: (place among the piece's files, lines) of each file that the block is of, in order.
    """

    text: pl.DataFrame
    typed: pl.DataFrame
    accepted: npt.NDArray[np.bool_]
    lines: npt.NDArray[np.int64]
    rejects: list[tuple[int, str]]
    line_count: int
    later: int = 0
    parts: tuple[tuple[int, int], ...] = ()


def read_piece(
    plan: ReadPlan, piece: Piece, tables: tuple[LookupTable, ...] = (), block_bytes: int = BLOCK_BYTES
) -> Iterator[Rows]:
    """The piece's rows, in order, a block at a time: memory does not depend on the piece's size.

    A row is rejected if it has another number of values than the header, a value that does not fit its declared
    type, no label or one that is not 0 or 1, no timestamp or one outside 1971 to 2199, or no domain. A row whose
    time is before `split.since` (`split.domains_since`) or not before `split.before` is left out, whatever else is
    wrong with it; a line with another number of values has no time and stays a reject.

    Args:
      plan: where columns come from.
      piece: what to read.
      tables: the lookups; needed when the domain comes from one.
      block_bytes: bytes of csv in one block.
    Raises:
      InputError: the file cannot be read.
    """
    offset = 0
    for block in blocks_of(plan.files, piece, block_bytes):
        yield _typed(plan, block, offset, tables)
        offset += block.count


def _typed(plan: ReadPlan, block: TextBlock, offset: int, tables: tuple[LookupTable, ...]) -> Rows:
    declaration = plan.declaration
    block, later = _within(plan, block)
    frame, rows = block.frame, len(block.frame)
    reasons = _Reasons(rows)
    columns: dict[str, pl.Series] = {}
    clock = declaration.timestamp
    for name, kind in plan.log_columns.items():
        if name == clock.column:
            typed = to_local_ms(frame[name], clock.unit, declaration.time_zone)
            columns[LOCAL_TIME] = typed.values
            expected = f"a time ({clock.unit}) from 1971 to 2199"
            reasons.add(typed.bad, f"column {name}: expected {expected}", frame[name])
            if not clock.is_random:
                continue
        typed = typed_as_declared(frame[name], name, kind, declaration)
        columns[name] = typed.values
        is_label = name == declaration.label and declaration.positive is None
        expected = "0 or 1" if is_label else _expected(name, kind, declaration)
        reasons.add(typed.bad, f"column {name}: expected {expected}", frame[name])
    result = pl.DataFrame(columns)
    label = label_of(result, declaration)
    reasons.add(~label.is_in([0, 1]).fill_null(True), f"label {declaration.label}: expected 0 or 1", label)
    reasons.add(label.is_null(), f"label {declaration.label}: is missing")
    reasons.add(columns[LOCAL_TIME].is_null(), f"timestamp {clock.column}: is missing")
    domain = join(result, plan, tables)[0] if plan.domain_is_joined else result
    where = "has no match" if plan.domain_is_joined else "is missing"
    reasons.add(domain[declaration.domain].is_null(), f"domain {declaration.domain}: {where}")
    rejects = [(int(block.lines[row]) + offset, reason) for row, reason in reasons.first.items()]
    rejects += [(line + offset, reason) for line, reason in block.bad]
    parts = block.parts or ((0, block.count),)
    return Rows(
        frame, result, reasons.accepted(), block.lines + offset, sorted(rejects), block.count, later, parts
    )


def _expected(name: str, kind: ColumnType, declaration: Declaration) -> str:
    if name in declaration.features and is_date(declaration.features[name].written):
        return f"a date ({declaration.features[name].written}) from 1800 to 2199"
    if not declaration.is_list(name):
        return _KINDS[kind]
    between = declaration.features[name].separator
    held = "U+001F" if between is None else f"{between!r} or U+001F, which separate the values of a list"
    return f"{_KINDS[kind]} in each place of the list, without {held}"


def _within(plan: ReadPlan, block: TextBlock) -> tuple[TextBlock, int]:
    """The rows that the split leaves, or without a readable time, and the number of the others."""
    declaration = plan.declaration
    start, end, begun = (
        declaration.split.since_ms,
        declaration.split.before_ms,
        declaration.split.domains_since,
    )
    if start is None and end is None and not begun:
        return block, 0
    clock = declaration.timestamp
    moment = to_local_ms(block.frame[clock.column], clock.unit, declaration.time_zone).values
    keep = pl.repeat(value=True, n=len(moment), eager=True)
    if start is not None:
        keep &= (moment >= start).fill_null(True)
    if end is not None:
        keep &= (moment < end).fill_null(True)
    if begun:
        name = declaration.domain
        kind = plan.log_columns[name]
        domain = typed_as_declared(block.frame[name], name, kind, declaration).values.cast(pl.String)
        first = domain.replace_strict({one: milliseconds(when) for one, when in begun.items()}, default=None)
        keep &= (moment >= first.cast(pl.Int64)).fill_null(True)
    inside = replace(block, frame=block.frame.filter(keep), lines=block.lines[keep.to_numpy()])
    return inside, len(keep) - int(keep.sum())


class _Reasons:
    """The first reason against each row."""

    def __init__(self, rows: int) -> None:
        self._rows = rows
        self.first: dict[int, str] = {}

    def add(self, bad: pl.Series, reason: str, found: pl.Series | None = None) -> None:
        """Notes the reason for the rows where `bad` holds."""
        if not bad.any():
            return
        for row in bad.arg_true().to_list():
            if row not in self.first:
                value = "" if found is None else f", found {_clip(found[row])}"
                self.first[row] = reason + value

    def accepted(self) -> npt.NDArray[np.bool_]:
        """Rows without a reason."""
        keep = np.ones(self._rows, bool)
        keep[list(self.first)] = False
        return keep


def _clip(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."
