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


def decayed(
    train: Sequence[Row],
    columns: Sequence[str],
    row: Row,
    before: float,
    decay: float,
    bucket_ms: int,
    behaviour: str,
) -> tuple[float, float, float]:
    """Decayed sum, decayed count of rows in which the behaviour is known, and decayed count of all rows."""
    total = known = every = 0.0
    for part in parts_of(row, columns):
        sum_, count, rows = 0.0, 0.0, 0.0
        for bucket in sorted({bucket_of(r, bucket_ms) for r in train}):
            mine = [(r, parts_of(r, columns).count(part)) for r in train if bucket_of(r, bucket_ms) == bucket]
            mine = [(r, times) for r, times in mine if times]
            if bucket < before and mine:
                values = [(r[f"behaviour.{behaviour}"], n) for r, n in mine]
                sum_ = decay * sum_ + sum(v * n for v, n in values if v is not None)
                count = decay * count + sum(n for v, n in values if v is not None)
                rows = decay * rows + sum(n for _, n in mine)
        total, known, every = total + sum_, known + count, every + rows
    return total, known, every


def estimate(
    train: Sequence[Row],
    chain: Sequence[Sequence[str]],
    row: Row,
    before: float,
    behaviour: str,
    *,
    domain: str,
    strength: float,
    decay: float,
    bucket_ms: int,
) -> float:
    """The average of the first key of `chain`, shrunk to the next and so on, in the end to the domain's."""
    if not chain:
        value = row.get(domain)
        state = None
        if value is not None:
            state = domain_state(train, domain, value, behaviour, before, decay, bucket_ms)
        return overall(train, domain, behaviour, before, decay, bucket_ms) if state is None else state
    parent = estimate(
        train,
        chain[1:],
        row,
        before,
        behaviour,
        domain=domain,
        strength=strength,
        decay=decay,
        bucket_ms=bucket_ms,
    )
    total, known, _ = decayed(train, chain[0], row, before, decay, bucket_ms, behaviour)
    weight = known + strength
    return (total + strength * parent) / weight if weight > 0 else parent
