"""The decayed sums of all keys, continued from a state by the sums of further rows: some keys after others.

There is a sum for every pair of a key and a bucket, nearly as many as rows times keys of the plan where each has few
rows a bucket. So the keys are folded in stretches; what each gives lies in a store until it is decided which keys stay,
and the table is written in parts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from components.peak_memory import give_back
from components.transform import chunks
from components.transform.chunks import Chunk
from components.transform.collect import Partial
from components.transform.key_table import Store, part_name
from components.transform.moving_averages import decayed_sums
from components.transform.spilled import SpilledColumns
from components.transform.state import BehaviourState
from components.transform.target_encoding import KeyTable, SampledStates, state_width
from components.transform.transform_plan import DOMAIN_PARENT, TransformPlan

STRETCH = 1 << 17
"""Sums that are folded at a time at least, up to as many as one partition has more."""


@dataclass(frozen=True)
class KeySums:
    """The sums of the averages' keys, by partition, and what is known before them.

    Attributes:
      plan: the keys.
      store: has each partition's merged partial results under its `sums_name`.
      partitions: how many there are.
      prior: what is known.
    """

    plan: TransformPlan
    store: Store
    partitions: int
    prior: BehaviourState

    def partials(self) -> Iterator[list[Partial]]:
        """Those of one partition after another."""
        for partition in range(self.partitions if self.plan.keys else 0):
            yield self.store[sums_name(partition)]

    def look(self) -> Look:
        """What must be known of all before any is folded."""
        behaviours = len(self.plan.behaviours)
        buckets = np.zeros(0, np.int64)
        missing = self.prior.open_keys["values"][:, behaviours:].any(axis=0)
        missing |= self.prior.keys["missing"].any(axis=0)
        dropped = [(0, 0)] * len(self.plan.keys)
        for partials in self.partials():
            for partial in partials:
                buckets = np.union1d(buckets, partial.chunk["bucket"])
                missing |= partial.chunk["values"][:, behaviours:].any(axis=0)
                values, rows = dropped[partial.index]
                dropped[partial.index] = values + partial.dropped[0], rows + partial.dropped[1]
        columns = np.full(behaviours, -1)
        columns[missing] = behaviours + 1 + np.arange(missing.sum())
        return Look(buckets, columns, dropped)

    def stretches(self) -> Iterator[tuple[Chunk, Chunk]]:
        """Sums with their `kind`, and the prior state's keys, of one stretch of the keys after another."""
        held: list[Chunk] = []
        known, opened = self.prior.keys, self._opened()
        for partition, partials in enumerate(self.partials()):
            last = chunks.last_key(partition, self.partitions)
            for index, later in enumerate(opened):
                older, opened[index] = _until(later, last)
                parts = [older, *(partial.chunk for partial in partials if partial.index == index)]
                parts = [part for part in parts if len(part["key"])] or parts[:1]
                chunk = parts[0] if len(parts) == 1 else chunks.merge_sums(parts)
                held.append({**chunk, "kind": np.full(len(chunk["key"]), index)})
            if sum(len(chunk["key"]) for chunk in held) >= STRETCH:
                before, known = _until(known, last)
                yield chunks.concatenate(held), before
                held = []
        if held:
            yield chunks.concatenate(held), known

    def _opened(self) -> list[Chunk]:
        """By index of the key: the sums of the prior state's newest bucket."""
        opened, found = self.prior.open_keys, []
        for index in range(len(self.plan.keys)):
            rows = slice(*np.searchsorted(opened["kind"], [index, index + 1]))
            found.append({name: column[rows] for name, column in opened.items() if name != "kind"})
        return found


@dataclass(frozen=True)
class Look:
    """What is known of all sums.

    Attributes:
      buckets: numbers of the rows' buckets, sorted.
      missing: as in `KeyTable`; what the prior state misses is counted.
      dropped: by index of the key, the values that were left out of the sums, and their rows.
    """

    buckets: np.ndarray
    missing: np.ndarray
    dropped: list[tuple[int, int]]


def split_keys(partials: Sequence[Partial]) -> tuple[list[Partial], list[Partial]]:
    """The sums of the averages' keys, and all other partial results."""
    of_keys = [p for p in partials if p.name == "average" and p.index != DOMAIN_PARENT]
    return of_keys, [p for p in partials if p.name != "average" or p.index == DOMAIN_PARENT]


def sums_name(partition: int) -> str:
    """What the partial results of a partition are called in their store."""
    return f"sums-{partition:03d}"


def _until(chunk: Chunk, last: np.int64) -> tuple[Chunk, Chunk]:
    """What has a key up to `last`, and the rest, of a chunk that is sorted by its key."""
    end = np.searchsorted(chunk["key"], last, side="right")
    return (
        {name: column[:end] for name, column in chunk.items()},
        {name: column[end:] for name, column in chunk.items()},
    )


@dataclass(frozen=True)
class KeyStates:
    """All keys as of every bucket.

    Attributes:
      sizes: keys and entries of each part of the table, int64 (P, 2); the parts are in the store.
      keys, open_keys: what a state keeps, see `state.BehaviourState`.
      report: for each key of the plan how many values are kept, how many, with how many rows, were dropped for want
        of room, and how many were not seen for too long.
    """

    sizes: np.ndarray
    keys: Chunk
    open_keys: Chunk
    report: list[dict[str, Any]]


@dataclass(frozen=True)
class _Stretch:
    """Some keys, those included that will not stay; sorted by key."""

    table: KeyTable
    closed: Chunk
    opened: Chunk

    def kept(self, stays: np.ndarray) -> _Stretch:
        """Those of the keys that stay, bool (keys,)."""
        keys, width = self.table.keys, self.table.buckets + 1
        position, bucket = np.divmod(self.table.key_buckets, width)
        entries = stays[position]
        moved = (np.cumsum(stays) - 1)[position[entries]] * width + bucket[entries]
        table = KeyTable(
            keys[stays], moved, self.table.states[entries], self.table.missing, self.table.buckets
        )
        parts = (
            {name: column[stays[np.searchsorted(keys, part["key"])]] for name, column in part.items()}
            for part in (self.closed, self.opened)
        )
        return _Stretch(table, *parts)


def fold_keys(
    sums: KeySums,
    look: Look,
    buckets: np.ndarray,
    first: int,
    averages: np.ndarray,
    domain_hashes: np.ndarray,
    latest: int,
    sampled: SampledStates,
) -> KeyStates:
    """Folds sums per (key, bucket, domain) into the state of every key after every bucket, and stores the table.

    Args:
      sums: of the rows. The states of its prior state are those after bucket 0, which stands for all of the past.
      look: what `sums.look` says.
      buckets: the buckets' numbers, int64 (T,).
      first: index of the first bucket that the table tells apart, see `KeyTable.since`.
      averages: what a row of each domain is expected to do as of each bucket, float64 (T + 1, D + 1, F).
      domain_hashes: of the domains, int64 (D,).
      latest: local time of the newest row in ms.
      sampled: is told every key's states.
    """
    choice = [
        _fold_stretch(sums, look, buckets, averages, domain_hashes, latest, number, *stretch)
        for number, stretch in enumerate(sums.stretches())
    ]
    give_back()
    stays, report = _choose(sums.plan, chunks.concatenate(choice), look.dropped)
    edges = np.cumsum([0, *(len(keys["key"]) for keys in choice)])
    del choice
    give_back()
    sizes, closed = list[tuple[int, int]](), SpilledColumns()
    opened = [SpilledColumns() for _ in range(len(sums.plan.keys))]
    for number, stays_here in enumerate(np.split(stays, edges[1:-1])):
        stretch = sums.store[_folded_name(number)].kept(stays_here)
        if len(stretch.table.keys):
            sampled.look_up(stretch.table)
            sizes.append(_write(sums.store, len(sizes), stretch.table.since(first)))
        closed.add(stretch.closed)
        for index, of_kind in enumerate(opened):
            mine = stretch.opened["kind"] == index
            of_kind.add({name: column[mine] for name, column in stretch.opened.items()})
    if not sizes:
        sizes.append(_write(sums.store, 0, empty_table(look.missing, len(buckets) - first + 1)))
    by_kind = SpilledColumns()
    for of_kind in opened:
        by_kind.add(of_kind.columns())
    keys = closed.columns()
    # Most behaviours are known of every row; zeros that nobody writes take no memory.
    missing = np.zeros((len(keys["key"]), len(look.missing)))
    missing[:, look.missing >= 0] = keys["missing"]
    return KeyStates(np.array(sizes), {**keys, "missing": missing}, by_kind.columns(), report)


def _fold_stretch(
    sums: KeySums,
    look: Look,
    buckets: np.ndarray,
    averages: np.ndarray,
    domain_hashes: np.ndarray,
    latest: int,
    number: int,
    chunk: Chunk,
    before: Chunk,
) -> Chunk:
    """Folds some keys and stores what it gives; returns what tells which of the keys stay."""
    plan = sums.plan
    at = np.searchsorted(buckets, chunk["bucket"])
    expected = averages[at + 1, chunks.positions(domain_hashes, chunk["domain"]) + 1]
    total, states = _fold(plan, chunk, before, at, expected, look.missing)
    ends = _ends(total["key"])
    opened = chunk["bucket"] == buckets[-1]
    sums.store[_folded_name(number)] = _Stretch(
        _table(total, states, look.missing, len(buckets)),
        _closed(before, total, states, look.missing, buckets),
        {name: column[opened] for name, column in chunk.items()},
    )
    return {
        "key": total["key"][ends],
        "kind": total["kind"][ends],
        "weight": states[ends, len(plan.behaviours)],
        "rows": np.add.reduceat(total["rows"], np.append(0, ends[:-1] + 1)) if len(ends) else np.zeros(0),
        "expired": _expired(plan, before, total, ends, buckets, latest),
    }


def no_keys(sums: KeySums, look: Look, buckets: int) -> KeyStates:
    """Of a plan without keys: what was known stays, and a table of `buckets` buckets is empty."""
    size = _write(sums.store, 0, empty_table(look.missing, buckets))
    return KeyStates(np.array([size]), sums.prior.keys, sums.prior.open_keys, [])


def _folded_name(number: int) -> str:
    return f"folded-{number:06d}"


def _write(store: Store, number: int, table: KeyTable) -> tuple[int, int]:
    store[part_name(number)] = table
    return len(table.keys), len(table.key_buckets)


def _fold(
    plan: TransformPlan,
    chunk: Chunk,
    before: Chunk,
    at: np.ndarray,
    expected: np.ndarray,
    missing: np.ndarray,
) -> tuple[Chunk, np.ndarray]:
    """Sums per (key, bucket) of a stretch, and the states after each, float64 (n, v)."""
    behaviours = len(plan.behaviours)
    counted, missing_rows = chunk["values"][:, :behaviours], chunk["values"][:, behaviours:]
    above = counted - (chunk["rows"][:, None] - missing_rows) * expected
    columns = [above, chunk["rows"][:, None], missing_rows[:, missing >= 0]]
    known = np.concatenate([before["state"], before["missing"][:, missing >= 0]], axis=1)
    total = chunks.sum_by(
        {
            "key": np.concatenate([before["key"], chunk["key"]]),
            "bucket": np.concatenate([np.zeros_like(before["key"]), at]),
            "kind": np.concatenate([before["kind"], chunk["kind"]]),
        },
        np.concatenate([np.zeros(len(before["key"])), chunk["rows"]]),
        np.concatenate([known, np.concatenate(columns, axis=1)]),
    )
    decay = np.array([key.decay for key in plan.keys])[total["kind"]]
    return total, decayed_sums(total["key"], total["values"], decay)


def _ends(keys: np.ndarray) -> np.ndarray:
    """The last row of each key in sorted `keys`."""
    if len(keys) == 0:
        return np.zeros(0, np.int64)
    return np.flatnonzero(np.r_[keys[1:] != keys[:-1], True])


def _expired(
    plan: TransformPlan, before: Chunk, total: Chunk, ends: np.ndarray, buckets: np.ndarray, latest: int
) -> np.ndarray:
    """Which keys had no row for too long, bool (keys,)."""
    if plan.expire_ms is None:
        return np.zeros(len(ends), bool)
    last = _last_buckets(before, total["key"][ends], total["bucket"][ends], buckets)
    return (last + 1) * plan.bucket_ms <= latest - plan.expire_ms


def _last_buckets(before: Chunk, keys: np.ndarray, places: np.ndarray, buckets: np.ndarray) -> np.ndarray:
    """Numbers of the buckets at `places`; place 0 stands for the last one that a key had in the state before."""
    numbers = buckets[places]
    untouched = places == 0
    numbers[untouched] = before["bucket"][np.searchsorted(before["key"], keys[untouched])]
    return numbers


def _choose(
    plan: TransformPlan, keys: Chunk, dropped: Sequence[tuple[int, int]]
) -> tuple[np.ndarray, list[dict[str, Any]]]:
    """Which keys stay, bool (keys,): of every kind the `max_keys` with the largest decayed count."""
    expired, kind = keys["expired"], keys["kind"]
    stays, report = ~expired, []
    for index, key in enumerate(plan.keys):
        mine = np.flatnonzero((kind == index) & ~expired)
        chosen = chunks.largest(keys["weight"][mine], keys["key"][mine], plan.max_keys)
        out = np.delete(mine, chosen)
        stays[out] = False
        values, rows = dropped[index]
        report.append(
            {
                "key": key.name,
                "values": len(chosen),
                "dropped_values": values + len(out),
                "dropped_rows": rows + int(keys["rows"][out].sum()),
                "expired_values": int(expired[kind == index].sum()),
            }
        )
    return stays, report


def _table(total: Chunk, states: np.ndarray, missing: np.ndarray, buckets: int) -> KeyTable:
    keys, position = np.unique(total["key"], return_inverse=True)
    key_buckets = position * (buckets + 1) + total["bucket"]
    return KeyTable(keys, key_buckets, states.astype(np.float32), missing, buckets)


def empty_table(missing: np.ndarray, buckets: int) -> KeyTable:
    """A table in which nothing is found.

    >>> table = empty_table(np.array([-1, -1]), buckets=3)
    >>> table.state_as_of(np.array([[7]]), np.array([3]))
    array([[0., 0., 0.]])
    """
    lowest, nothing = np.array([np.iinfo(np.int64).min]), np.zeros((1, state_width(missing)), np.float32)
    return KeyTable(lowest, np.array([-1]), nothing, missing, buckets)


def _closed(
    before: Chunk, total: Chunk, states: np.ndarray, missing: np.ndarray, buckets: np.ndarray
) -> Chunk:
    """Every key's state before the newest bucket; `missing` of the behaviours that are."""
    behaviours = len(missing)
    closed = np.flatnonzero(total["bucket"] < len(buckets) - 1)
    last = closed[_ends(total["key"][closed])]
    chosen = {name: total[name][last] for name in ("key", "kind", "bucket")}
    number = _last_buckets(before, chosen["key"], chosen["bucket"], buckets)
    state, lacking = np.split(states[last], [behaviours + 1], axis=1)
    return {**chosen, "bucket": number, "state": state, "missing": lacking}
