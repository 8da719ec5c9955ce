"""Folding partial sums in time order into moving averages: plain NumPy, all keys at once.

Two forms, both moved only by buckets that have rows:

* the domain's `m_t = a m_{t-1} + (1 - a) mean_t`, the first bucket with rows setting it;
* any other key's decayed sums `S_t = a S_{t-1} + sum_t` and counts `W_t = a W_{t-1} + rows_t`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from components.transform.decay_choice import DecayState


def _positions(keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First row of each key's run in sorted `keys`, and each row's place within its run."""
    if len(keys) == 0:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    starts = np.flatnonzero(np.r_[True, keys[1:] != keys[:-1]])
    lengths = np.diff(np.r_[starts, len(keys)])
    return starts, np.arange(len(keys)) - np.repeat(starts, lengths)


def _steps(place: np.ndarray) -> Iterator[np.ndarray]:
    """Rows that are their key's second bucket, then those that are the third, and so on."""
    order = np.argsort(place, kind="stable")
    edges = np.searchsorted(place[order], np.arange(1, place.max(initial=0) + 2))
    for step in range(len(edges) - 1):
        yield order[edges[step] : edges[step + 1]]


def decayed_sums(keys: np.ndarray, values: np.ndarray, decay: np.ndarray | float) -> np.ndarray:
    """`S_t = a S_{t-1} + values_t` within each key.

    Args:
      keys: sorted by key and time, (n,).
      values: sums per (key, bucket), float64 (n, v).
      decay: a, one number or one per row, (n,).

    Returns:
      The state after each row, float64 (n, v).

    Key 1 has rows in three buckets, key 2 in one:

    >>> decayed_sums(np.array([1, 1, 1, 2]), np.array([[4.0], [2.0], [0.0], [5.0]]), 0.5)[:, 0]
    array([4., 4., 2., 5.])
    """
    state = values.astype(np.float64, copy=True)
    _, place = _positions(keys)
    factors = np.broadcast_to(np.asarray(decay, np.float64), keys.shape)[:, None]
    for rows in _steps(place):
        state[rows] += factors[rows] * state[rows - 1]
    return state


@dataclass(frozen=True)
class DomainStart:
    """What is known before the first bucket.

    Attributes:
      averages: float64 (D, F), NaN for none.
      rows: impressions of each domain, float64 (D,).
      totals: sums, squares and counts of the behaviours, float64 (3, F).
      decays: what the domains' decays are chosen from; None where one is declared.
    """

    averages: np.ndarray
    rows: np.ndarray
    totals: np.ndarray
    decays: DecayState | None = None


@dataclass(frozen=True)
class DomainAverages:
    """Moving averages of every domain as of every bucket; `T` buckets, `D` domains, `F` behaviours.

    Attributes:
      after: state after each bucket, float64 (T, D, F); NaN before a domain's first value.
      rows: impressions of each domain in each bucket, float64 (T, D).
      seen: impressions of each domain before each bucket, float64 (T + 1, D).
      totals: sums, squares and counts before each bucket, float64 (3, T + 1, F).
      as_of: what a row of bucket t sees, float64 (T + 1, D + 1, F): index 0 of the second axis is a domain never
        seen; index T of the first axis is the state at the end. Domains unknown as of t carry the mean of the
        known ones, weighted by their impressions so far; 0 before anything is known.
      known: whether the domain has a state as of t, bool (T + 1, D + 1).
      overall: the weighted mean itself, float64 (T + 1, F).
      spread: standard deviation of a single impression's behaviour so far, float64 (T + 1, F); 1 where unknown.
      decays: what the decays are chosen from before the last bucket and after it; None where one is declared.
    """

    after: np.ndarray
    rows: np.ndarray
    seen: np.ndarray
    totals: np.ndarray
    as_of: np.ndarray
    known: np.ndarray
    overall: np.ndarray
    spread: np.ndarray
    decays: tuple[DecayState, DecayState] | None = None


def domain_averages(
    domain: np.ndarray,
    bucket: np.ndarray,
    rows: np.ndarray,
    sums: np.ndarray,
    squares: np.ndarray,
    counts: np.ndarray,
    shape: tuple[int, int],
    decay: float | None,
    start: DomainStart | None = None,
) -> DomainAverages:
    """Folds sums per (domain, bucket).

    Args:
      domain, bucket: indices, int (n,); each pair at most once.
      rows: impressions (n,).
      sums, squares, counts: of the values that are not missing, float64 (n, F).
      shape: (T, D).
      decay: a; None: each domain's is chosen (`decay_choice`).
      start: what is known before the first bucket; by default nothing.

    One domain, clicks in 2 of 4 rows and then in all of 4; with a = .5 a row after the second bucket sees
    .5 * .5 + .5 * 1:

    >>> bucket, rows, clicks = np.array([0, 1]), np.array([4.0, 4.0]), np.array([[2.0], [4.0]])
    >>> found = domain_averages(
    ...     np.array([0, 0]), bucket, rows, clicks, squares=clicks, counts=rows[:, None], shape=(2, 1), decay=0.5
    ... )
    >>> found.as_of[:, 1, 0]
    array([0.  , 0.5 , 0.75])
    """
    buckets, domains = shape
    behaviours = sums.shape[1]
    impressions = np.zeros((buckets, domains))
    impressions[bucket, domain] = rows
    total, square, count = np.zeros((3, buckets, domains, behaviours))
    total[bucket, domain], square[bucket, domain], count[bucket, domain] = sums, squares, counts
    after = np.empty((buckets, domains, behaviours))
    if start is None:
        nothing = np.full((domains, behaviours), np.nan)
        start = DomainStart(nothing, np.zeros(domains), np.zeros((3, behaviours)))
    state, decays = start.averages, None
    if decay is None:
        decays = (start.decays or DecayState.empty(domains, behaviours),) * 2
    for t in range(buckets):
        mean = total[t] / np.maximum(count[t], 1.0)
        if decays is not None:
            decays = decays[1], decays[1].moved(mean, count[t])
            state = decays[1].current()
        elif decay is not None:
            moved = np.where(np.isnan(state), mean, decay * state + (1 - decay) * mean)
            state = np.where(count[t] > 0, moved, state)
        after[t] = state
    before = np.concatenate([start.averages[None], after])
    seen = np.concatenate([start.rows[None], impressions]).cumsum(axis=0)
    weight = np.where(np.isnan(before), 0.0, seen[:, :, None])
    overall = (weight * np.nan_to_num(before)).sum(axis=1) / np.maximum(weight.sum(axis=1), 1.0)
    own = np.where(np.isnan(before), overall[:, None, :], before)
    as_of = np.concatenate([overall[:, None, :], own], axis=1)
    known = np.concatenate([np.zeros((buckets + 1, 1), bool), seen > 0], axis=1)
    new = np.stack([values.sum(axis=1) for values in (total, square, count)])
    totals = np.concatenate([start.totals[:, None], new], axis=1).cumsum(axis=1)
    return DomainAverages(after, impressions, seen, totals, as_of, known, overall, _spread(*totals), decays)


def _spread(sums: np.ndarray, squares: np.ndarray, counts: np.ndarray) -> np.ndarray:
    counts = np.maximum(counts, 1.0)
    variance = squares / counts - np.square(sums / counts)
    return np.where(variance > 1e-12, np.sqrt(np.maximum(variance, 1e-12)), 1.0)
