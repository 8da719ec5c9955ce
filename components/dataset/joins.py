"""Lookup tables: read once, checked once, joined to every block of rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from components.dataset.blocks import read_all
from components.dataset.declaration import Declaration
from components.dataset.encodings import NO_TEXT, encoding_hint
from components.dataset.read_plan import LookupPlan, ReadPlan
from components.dataset.sections import ColumnType
from components.dataset.values import Typed, to_key, to_type
from components.errors import InputError

KEY = "__key"
_MATCHED = "__matched"


@dataclass(frozen=True)
class LookupTable:
    """A table ready to be joined: KEY, the needed columns and a mark that is always true; one row for each key.

    Attributes:
      frame: the columns, under their names in the joined row.
      rows: lines read.
      rejected: lines left out; a key of theirs has no match.
      rejects: (file, line, reason) of the first of them.
    """

    frame: pl.DataFrame
    rows: int
    rejected: int
    rejects: tuple[tuple[str, int, str], ...]


def read_lookup(plan: LookupPlan, declaration: Declaration) -> LookupTable:
    """Reads a whole lookup table, keeping only the needed columns.

    Raises:
      InputError: a key occurs twice, or the share of unusable lines is above `max_rejected_share`; names the file,
        the lines and the key.
    """
    frames: list[pl.DataFrame] = []
    rejects: list[tuple[str, int, str]] = []
    places: list[tuple[str, npt.NDArray[np.int64]]] = []
    rows = 0
    for file in plan.files:
        first_line = file.first_line
        for block in read_all(file):
            typed = typed_as_declared(block.frame[plan.right_key], plan.left_key, plan.key_type, declaration)
            columns = {KEY: typed.values}
            flaws = {f"column {plan.right_key}: expected {plan.key_type}": (typed.bad, plan.right_key)}
            flaws[f"column {plan.right_key}: the key is missing"] = (typed.values.is_null(), plan.right_key)
            for name, source in plan.columns.items():
                kind = plan.kinds[name]
                value = typed_as_declared(block.frame[source], name, kind, declaration)
                columns[name] = value.values
                flaws[f"column {source}: expected {kind}"] = (value.bad, source)
            keep = np.ones(len(block.frame), bool)
            for reason, (bad, source) in flaws.items():
                for row in bad.arg_true().to_list():
                    if keep[row]:
                        found = f", found {block.frame[source][row]!r}"
                        rejects.append((file.path, first_line + int(block.lines[row]), reason + found))
                        keep[row] = False
            rejects += [(file.path, first_line + line, reason) for line, reason in block.bad]
            frames.append(pl.DataFrame(columns).filter(pl.Series(keep)))
            places.append((file.path, first_line + block.lines[keep]))
            rows += len(block.frame) + len(block.bad)
            first_line += block.count
    if rejects and len(rejects) > declaration.max_rejected_share * rows:
        shown = "\n".join(f"  {path}:{line}: {reason}" for path, line, reason in rejects[:5])
        raise InputError(
            f"{plan.name}: {len(rejects)} of {rows} lines cannot be used, more than max_rejected_share "
            f"{declaration.max_rejected_share} allows:\n{shown}\nMend these lines, or the types in the declaration"
            f"{_encoding_hint(plan, rejects)}."
        )
    frame = pl.concat(frames) if frames else _empty(plan, declaration)
    _require_unique(frame[KEY], plan, places)
    frame = frame.with_columns(pl.lit(True).alias(_MATCHED))
    return LookupTable(frame, rows, len(rejects), tuple(rejects[:100]))


def _encoding_hint(plan: LookupPlan, rejects: Sequence[tuple[str, int, str]]) -> str:
    """In which encoding the first file seems to be of whose lines some are not in the declared one."""
    unread = next((path for path, _, reason in rejects if reason == NO_TEXT), None)
    file = next((file for file in plan.files if file.path == unread), None)
    return "" if file is None else encoding_hint(file.head())


def _empty(plan: LookupPlan, declaration: Declaration) -> pl.DataFrame:
    empty = pl.Series([], dtype=pl.String)
    columns = {KEY: to_type(empty, plan.key_type).values}
    for name in plan.columns:
        columns[name] = typed_as_declared(empty, name, plan.kinds[name], declaration).values
    return pl.DataFrame(columns)


def _require_unique(
    keys: pl.Series, plan: LookupPlan, places: Sequence[tuple[str, npt.NDArray[np.int64]]]
) -> None:
    repeated = keys.is_duplicated()
    if not repeated.any():
        return
    key = keys.filter(repeated)[0]
    rows = (keys == key).arg_true().to_list()
    starts = np.cumsum([0, *(len(lines) for _, lines in places)])
    shown = []
    for row in rows[:2]:
        block = int(np.searchsorted(starts, row, side="right")) - 1
        path, lines = places[block]
        shown.append(f"{path}:{lines[row - starts[block]]}")
    raise InputError(
        f"{' and '.join(shown)}: the key {plan.right_key} = {key!r} occurs {len(rows)} times; a lookup needs one line "
        f"for each key ({repeated.sum()} lines share theirs with another)"
    )


def typed_as_declared(column: pl.Series, name: str, kind: ColumnType, declaration: Declaration) -> Typed:
    """A column of the files in its type.

    Args:
      column: as read.
      name: in the joined row; of a lookup's own key, the name on the impressions' side.
      kind: the type; text for a key without one.
      declaration: the data set.
    """
    if not declaration.has_type(name):
        return to_key(column)
    if isinstance(column.dtype, pl.List) and not declaration.is_list(name):
        # Of JSON, whose types are those of its lines: a list where one value is declared is no value.
        column = column.cast(pl.List(pl.String)).list.join(",")
    feature = declaration.features.get(name)
    if feature is None:
        return to_type(column, kind)
    return to_type(column, kind, feature.separator, feature.written)


def join(rows: pl.DataFrame, plan: ReadPlan, tables: Sequence[LookupTable]) -> tuple[pl.DataFrame, list[int]]:
    """Adds every lookup's columns to the rows, in their order; keys without a match leave nulls.

    Returns:
      The joined rows, and for each lookup the number of rows without a match.
    """
    unmatched = []
    for lookup, table in zip(plan.lookups, tables, strict=True):
        rows = rows.join(
            table.frame,
            left_on=lookup.left_key,
            right_on=KEY,
            how="left",
            maintain_order="left",
            coalesce=True,
        )
        unmatched.append(int(rows[_MATCHED].is_null().sum()))
        rows = rows.drop(_MATCHED)
    return rows, unmatched
