"""Moving averages row by row, straight from their definition: slow, in plain Python, sharing no code with the product.

A row is a dictionary of raw columns with `local_time_ms` and `behaviour.<name>`; `None` is missing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]


def bucket_of(row: Row, bucket_ms: int) -> int:
    """The time bucket of a row."""
    return int(row["local_time_ms"]) // bucket_ms


def parts_of(row: Row, columns: Sequence[str]) -> list[tuple[Any, ...]]:
    """The values of a key that a row belongs to; none where a column is missing; several for a list."""
    found: list[tuple[Any, ...]] = [()]
    for column in columns:
        value = row.get(column)
        values = [] if value is None else list(value) if isinstance(value, list) else [value]
        found = [(*head, v) for head in found for v in values]
    return found


def domain_state(
    train: Sequence[Row], domain: str, value: Any, behaviour: str, before: float, decay: float, bucket_ms: int
) -> float | None:
    """`m` of one domain after its last bucket before `before`; `None` without one."""
    state = None
    for bucket in sorted({bucket_of(row, bucket_ms) for row in train}):
        if bucket >= before:
            break
        values = [
            row[f"behaviour.{behaviour}"]
            for row in train
            if bucket_of(row, bucket_ms) == bucket
            and row.get(domain) == value
            and row[f"behaviour.{behaviour}"] is not None
        ]
        if values:
            mean = sum(values) / len(values)
            state = mean if state is None else decay * state + (1 - decay) * mean
    return state


def overall(
    train: Sequence[Row], domain: str, behaviour: str, before: float, decay: float, bucket_ms: int
) -> float:
    """Mean of the known domains' states, weighted by their impressions so far; 0 when none is known."""
    total = weight = 0.0
    for value in {row[domain] for row in train if row.get(domain) is not None}:
        state = domain_state(train, domain, value, behaviour, before, decay, bucket_ms)
        rows = sum(1 for r in train if r.get(domain) == value and bucket_of(r, bucket_ms) < before)
        if state is not None:
            total, weight = total + rows * state, weight + rows
    return total / weight if weight else 0.0


def spread(train: Sequence[Row], domain: str, behaviour: str, before: float, bucket_ms: int) -> float:
    """Standard deviation of the behaviour over all earlier rows with a domain; 1 where it is none."""
    values = [
        row[f"behaviour.{behaviour}"]
        for row in train
        if bucket_of(row, bucket_ms) < before
        and row.get(domain) is not None
        and row[f"behaviour.{behaviour}"] is not None
    ]
    if not values:
        return 1.0
    mean = sum(values) / len(values)
    variance = sum((v - mean) ** 2 for v in values) / len(values)
    return math.sqrt(variance) if variance > 1e-12 else 1.0


def expected(
    train: Sequence[Row], row: Row, domain: str, behaviour: str, before: float, decay: float, bucket_ms: int
) -> float:
    """The moving average of the row's domain as of a bucket; the overall mean for a domain without one."""
    state, value = None, row.get(domain)
    if value is not None:
        state = domain_state(train, domain, value, behaviour, before, decay, bucket_ms)
    return overall(train, domain, behaviour, before, decay, bucket_ms) if state is None else state


def decayed(
    train: Sequence[Row],
    columns: Sequence[str],
    row: Row,
    before: float,
    behaviour: str,
    *,
    domain: str,
    decay: float,
    key_decay: float,
    bucket_ms: int,
    without: int | None = None,
) -> tuple[float, float, float]:
    """Decayed sum of the behaviour above its domain's average, decayed count of rows in which it is known, and of
    all rows. `decay` is that of the domain's average; a bucket may be left out."""
    total = known = every = 0.0
    for part in parts_of(row, columns):
        sum_, count, rows = 0.0, 0.0, 0.0
        for bucket in sorted({bucket_of(r, bucket_ms) for r in train}):
            mine = [(r, parts_of(r, columns).count(part)) for r in train if bucket_of(r, bucket_ms) == bucket]
            mine = [(r, times) for r, times in mine if times]
            if bucket < before and bucket != without and mine:
                above = count_now = 0.0
                for r, times in mine:
                    value = r[f"behaviour.{behaviour}"]
                    if value is not None:
                        mean = expected(train, r, domain, behaviour, bucket + 1, decay, bucket_ms)
                        above += times * (value - mean)
                        count_now += times
                sum_ = key_decay * sum_ + above
                count = key_decay * count + count_now
                rows = key_decay * rows + sum(times for _, times in mine)
        total, known, every = total + sum_, known + count, every + rows
    return total, known, every


def estimate(
    train: Sequence[Row],
    chain: Sequence[tuple[Sequence[str], float]],
    row: Row,
    before: float,
    behaviour: str,
    *,
    domain: str,
    strength: float,
    decay: float,
    bucket_ms: int,
    without: int | None = None,
) -> float:
    """How far the first key of `chain` lies above the domain, shrunk to the next key and so on, in the end to 0.

    `chain` gives each key's columns and its decay, `decay` is the domain's.
    """
    if not chain:
        return 0.0
    settings = {"domain": domain, "decay": decay, "bucket_ms": bucket_ms, "without": without}
    parent = estimate(train, chain[1:], row, before, behaviour, strength=strength, **settings)
    columns, key_decay = chain[0]
    total, known, _ = decayed(train, columns, row, before, behaviour, key_decay=key_decay, **settings)
    weight = known + strength
    return (total + strength * parent) / weight if weight > 0 else parent
