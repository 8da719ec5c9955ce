"""Reads logs of behaviour without an impression, and joins the lookups, so that they feed the same averages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import polars as pl

from components.dataset.blocks import BLOCK_BYTES, blocks_of
from components.dataset.declaration import Declaration
from components.dataset.files import find_files, require_column
from components.dataset.joins import LookupTable, join, typed_as_declared
from components.dataset.names import LOCAL_TIME
from components.dataset.read_plan import LookupPlan, Piece, ReadPlan
from components.dataset.sections import ColumnType, Events, Timestamp
from components.dataset.times import to_local_ms

_EVER = -(2**63)


@dataclass(frozen=True)
class EventsPlan:
    """What is read from where.

    Attributes:
      reading: the files and the lookups that join to them; `log_columns` are what the files have of the declaration.
      sources: name in the declaration -> column of the files.
      renamed: name in the declaration -> column of a lookup that stands for it.
      clock: when it was.
      behaviours: that the files tell.
    """

    reading: ReadPlan
    sources: dict[str, str]
    renamed: dict[str, str]
    clock: Timestamp
    behaviours: tuple[str, ...]


def plan_events(declaration: Declaration, events: Events, data_dir: str) -> EventsPlan:
    """Finds the files, and what they and the lookups have of the declaration's columns.

    Raises:
      InputError: a file or a column is missing; neither the user nor the item is told.
    """
    files = tuple(find_files(data_dir, events))
    clock = events.timestamp or declaration.timestamp
    require_column(clock.column, "the timestamp of the events", files)
    has = set.intersection(*(set(file.columns) for file in files))
    behaviours = [
        name
        for name, behaviour in declaration.behaviours.items()
        if (name in events.behaviours if events.behaviours is not None else True)
        and events.columns.get(behaviour.source, behaviour.source) in has
    ]
    for name in set(events.behaviours or ()) - set(behaviours):
        source = declaration.behaviours[name].source
        require_column(events.columns.get(source, source), f"of the behaviour {name}", files)
    needed = _needed(declaration, behaviours)
    sources = {
        name: events.columns.get(name, name) for name in needed if events.columns.get(name, name) in has
    }
    roles = [role for role in (declaration.user, declaration.item) if role is not None]
    if not any(role in sources for role in roles):
        require_column(events.columns.get(roles[0], roles[0]), "which tells whose events they are", files)
    wanted = {name: kind for name, kind in needed.items() if name not in sources}
    renamed = {name: source for name, source in events.columns.items() if name in wanted}
    wanted |= {source: needed[name] for name, source in renamed.items()}
    columns = {name: needed[name] for name in sources}
    for lookup in declaration.lookups:
        if lookup.left_key not in columns:
            wanted.setdefault(lookup.left_key, _key_type(declaration, lookup.left_key))
    lookups = _lookups(declaration, data_dir, columns, sources, has, wanted)
    offered = {column for lookup in lookups for column in lookup.columns}
    for source in renamed.values():
        if source not in offered:
            require_column(source, "which the events should have", files)
    reading = ReadPlan(declaration, files, columns, tuple(lookups))
    return EventsPlan(reading, sources, renamed, clock, tuple(behaviours))


def _needed(declaration: Declaration, behaviours: Sequence[str]) -> dict[str, ColumnType]:
    """What the averages are made of: the roles, the columns of their keys, and those of the behaviours told."""
    averages = declaration.moving_average
    used: list[str | None] = [declaration.domain, declaration.user, declaration.item]
    used += [column for key in averages.keys for column in key.columns]
    used += averages.history_columns
    columns = [declaration.resolve_role(name) for name in used if name is not None]
    columns = [averages.ranges[name].column if name in averages.ranges else name for name in columns]
    columns += [column for name in behaviours for column in declaration.behaviours[name].columns]
    return {name: declaration.column_type(name) for name in dict.fromkeys(columns)}


def _key_type(declaration: Declaration, key: str) -> ColumnType:
    return declaration.column_type(key) if declaration.has_type(key) else "string"


def _lookups(
    declaration: Declaration,
    data_dir: str,
    columns: dict[str, ColumnType],
    sources: dict[str, str],
    has: set[str],
    wanted: dict[str, ColumnType],
) -> list[LookupPlan]:
    """The lookups whose key is known; adds keys that only they need to what is read of the files."""
    found: list[LookupPlan] = []
    offered: set[str] = set()
    for lookup in declaration.lookups:
        left = lookup.left_key
        kind = _key_type(declaration, left)
        if left not in columns and left not in offered:
            if left not in has:
                continue
            columns[left], sources[left] = kind, left
        files = tuple(find_files(data_dir, lookup))
        taken = {
            lookup.prefix + column: column
            for column in files[0].columns
            if lookup.prefix + column in wanted and lookup.prefix + column not in {*columns, *offered}
        }
        if not taken:
            continue
        offered |= set(taken)
        name = f"{', '.join(file.name for file in files)} for events"
        kinds = {column: wanted[column] for column in taken}
        found.append(LookupPlan(files, name, left, lookup.right_key, kind, taken, kinds))
    return found


def read_events(
    plan: EventsPlan,
    piece: Piece,
    tables: Sequence[LookupTable],
    since_ms: int | None,
    before_ms: int,
    block_bytes: int = BLOCK_BYTES,
) -> Iterator[tuple[pl.DataFrame, int, int, int]]:
    """Joined rows with every raw column (null where the files do not tell it) and `local_time_ms`, block by block.

    Args:
      plan: where columns come from.
      piece: what to read.
      tables: the lookups.
      since_ms: rows before this local time are left out; None: none.
      before_ms: rows of this local time and later are left out.
      block_bytes: bytes of csv in one block.

    Yields:
      The rows, how many were left out as too early and as too late, and how many are unusable: a value that does not
      fit its type, no time, or neither the user nor the item.
    """
    declaration = plan.reading.declaration
    roles = [role for role in (declaration.user, declaration.item) if role in plan.sources]
    for block in blocks_of(plan.reading.files, piece, block_bytes):
        clock = to_local_ms(block.frame[plan.clock.column], plan.clock.unit, declaration.time_zone)
        bad = clock.bad | clock.values.is_null()
        columns = {LOCAL_TIME: clock.values}
        for name, source in plan.sources.items():
            kind = plan.reading.log_columns[name]
            typed = typed_as_declared(block.frame[source], name, kind, declaration)
            columns[name] = typed.values
            bad = bad | typed.bad
        rows = pl.DataFrame(columns)
        whose = pl.DataFrame([rows[role].is_null() for role in roles])
        bad = bad | whose.select(pl.all_horizontal(pl.all())).to_series()
        late = (rows[LOCAL_TIME] >= before_ms).fill_null(False) & ~bad
        early = (rows[LOCAL_TIME] < (since_ms if since_ms is not None else _EVER)).fill_null(False) & ~bad
        joined, _ = join(rows.filter(~bad & ~late & ~early), plan.reading, tables)
        for name, source in plan.renamed.items():
            joined = joined.with_columns(joined[source].alias(name))
        yield joined, int(early.sum()), int(late.sum()), int(bad.sum()) + len(block.bad)
