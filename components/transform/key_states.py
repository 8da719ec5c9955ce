"""The decayed sums of all keys, continued from a state by the sums of further rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from components.transform import chunks
from components.transform.chunks import Chunk
from components.transform.moving_averages import decayed_sums
from components.transform.target_encoding import KeyTable
from components.transform.transform_plan import TransformPlan


@dataclass(frozen=True)
class KeyStates:
    """All keys as of every bucket.

    Attributes:
      table: for lookups.
      keys, open_keys: what a state keeps, see `state.BehaviourState`.
      report: for each key of the plan how many values are kept, how many, with how many rows, were dropped for want
        of room, and how many were not seen for too long.
    """

    table: KeyTable
    keys: Chunk
    open_keys: Chunk
    report: list[dict[str, Any]]


def fold_keys(
    plan: TransformPlan,
    before: Chunk,
    sums: Mapping[int, Chunk],
    dropped: Sequence[tuple[int, int]],
    buckets: np.ndarray,
    averages: np.ndarray,
    domain_hashes: np.ndarray,
    latest: int,
) -> KeyStates:
    """Folds sums per (key, bucket, domain) into the state of every key after every bucket.

    Args:
      plan: the plan.
      before: `BehaviourState.keys`: they are the keys' states after bucket 0, which stands for all of the past.
      sums: by index of the key, as `chunks.merge_sums` makes them.
      dropped: by index of the key, the values that were left out of the sums, and their rows.
      buckets: the buckets' numbers, int64 (T,).
      averages: what a row of each domain is expected to do as of each bucket, float64 (T + 1, D + 1, F).
      domain_hashes: of the domains, int64 (D,).
      latest: local time of the newest row in ms.
    """
    behaviours = len(plan.behaviours)
    parts = [{**part, "kind": np.full(len(part["key"]), index)} for index, part in sums.items()]
    chunk = chunks.concatenate(parts)
    at = np.searchsorted(buckets, chunk["bucket"])
    expected = averages[at + 1, chunks.positions(domain_hashes, chunk["domain"]) + 1]
    counted, missing_rows = chunk["values"][:, :behaviours], chunk["values"][:, behaviours:]
    above = counted - (chunk["rows"][:, None] - missing_rows) * expected
    lacking = np.flatnonzero(missing_rows.any(axis=0) | before["missing"].any(axis=0))
    columns = [above, chunk["rows"][:, None], missing_rows[:, lacking]]
    known = np.concatenate([before["state"], before["missing"][:, lacking]], axis=1)
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
    states = decayed_sums(total["key"], total["values"], decay)
    ends = _ends(total["key"])
    expired = _expired(plan, before, total, ends, buckets, latest)
    stays, report = _choose(plan, total, states, ends, dropped, expired)
    kept = stays[np.searchsorted(ends, np.arange(len(states)))]
    total, states = {name: column[kept] for name, column in total.items()}, states[kept]
    opened = (chunk["bucket"] == buckets[-1]) & np.isin(chunk["key"], total["key"])
    missing = np.full(behaviours, -1)
    missing[lacking] = behaviours + 1 + np.arange(len(lacking))
    return KeyStates(
        _table(total, states, missing, len(buckets)),
        _closed(before, total, states, missing, buckets),
        {name: column[opened] for name, column in chunk.items()},
        report,
    )


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
    plan: TransformPlan,
    total: Chunk,
    states: np.ndarray,
    ends: np.ndarray,
    dropped: Sequence[tuple[int, int]],
    expired: np.ndarray,
) -> tuple[np.ndarray, list[dict[str, Any]]]:
    """Which keys stay, bool (keys,): of every kind the `max_keys` with the largest decayed count."""
    stays, report = ~expired, []
    weight, kind, keys = states[ends, len(plan.behaviours)], total["kind"][ends], total["key"][ends]
    for index, key in enumerate(plan.keys):
        mine = np.flatnonzero((kind == index) & ~expired)
        chosen = chunks.largest(weight[mine], keys[mine], plan.max_keys)
        out = np.delete(mine, chosen)
        stays[out] = False
        values, rows = dropped[index]
        if len(out):
            rows += int(total["rows"][np.isin(total["key"], keys[out])].sum())
        report.append(
            {
                "key": key.name,
                "values": len(chosen),
                "dropped_values": values + len(out),
                "dropped_rows": rows,
                "expired_values": int(expired[kind == index].sum()),
            }
        )
    return stays, report


def _table(total: Chunk, states: np.ndarray, missing: np.ndarray, buckets: int) -> KeyTable:
    if len(states) == 0:
        return empty_table(len(missing), buckets)
    keys, position = np.unique(total["key"], return_inverse=True)
    key_buckets = position * (buckets + 1) + total["bucket"]
    return KeyTable(keys, key_buckets, states.astype(np.float32), missing, buckets)


def empty_table(behaviours: int, buckets: int) -> KeyTable:
    """A table in which nothing is found.

    >>> table = empty_table(behaviours=2, buckets=3)
    >>> table.state_as_of(np.array([[7]]), np.array([3]))
    array([[0., 0., 0.]])
    """
    lowest, nothing = np.array([np.iinfo(np.int64).min]), np.zeros((1, behaviours + 1), np.float32)
    return KeyTable(lowest, np.array([-1]), nothing, np.full(behaviours, -1), buckets)


def _closed(
    before: Chunk, total: Chunk, states: np.ndarray, missing: np.ndarray, buckets: np.ndarray
) -> Chunk:
    """Every key's state before the newest bucket."""
    behaviours = len(missing)
    closed = np.flatnonzero(total["bucket"] < len(buckets) - 1)
    last = closed[_ends(total["key"][closed])]
    chosen = {name: total[name][last] for name in ("key", "kind", "bucket")}
    number = _last_buckets(before, chosen["key"], chosen["bucket"], buckets)
    lacking = np.zeros((len(last), behaviours))
    lacking[:, missing >= 0] = states[last, behaviours + 1 :]
    return {**chosen, "bucket": number, "state": states[last, : behaviours + 1], "missing": lacking}
