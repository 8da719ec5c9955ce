"""Target encoding as of any time: decayed sums of behaviour for every kept key, shrunk to the average of its parent.

What is summed is how far a behaviour lies above the moving average of its own domain, so that a user who is seen
where everybody clicks is not taken for a clicker: `R_t = a R_{t-1} + sum_t (y - m_domain,t)`,
`W_t = a W_{t-1} + rows_t`. The estimate of a key is `r = (R + k r_parent) / (W + k)`, the parent of the topmost
keys being the domain, whose own `r` is 0; `m_domain + r` is the key's average as it is to be expected in the row's
domain. For a key within one domain whose average stands still this is `(S + k m) / (W + k)` of its plain sums.

All keys of a plan live in one sorted table, so that one search finds a row's values for every key.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from components.transform import hashing
from components.transform.transform_plan import DOMAIN_PARENT, TransformPlan

STRENGTHS = 2.0 ** np.arange(-1, 13)
DEFAULT_STRENGTH = 20.0
PENALTY = 0.5
_STEP = 2.0**-26


@dataclass(frozen=True)
class KeyTable:
    """States of keys after each bucket in which they have rows; `T` is the number of buckets.

    Attributes:
      keys: sorted, int64 (K,).
      key_buckets: sorted `position of the key * (T + 1) + bucket`, int64 (M,).
      states: `[R_1 .. R_F, W, missing ...]` after that bucket, float32 (M, v). `missing` are decayed counts of rows
        in which a behaviour was missing, for those behaviours that are missing anywhere.
      missing: index of each behaviour's column of missing rows, -1 for none, int64 (F,).
      buckets: T.

    >>> table = KeyTable(
    ...     keys=np.array([7]), key_buckets=np.array([0, 1]), states=np.array([[1, 4], [3, 8]], np.float32),
    ...     missing=np.array([-1]), buckets=2,
    ... )
    >>> table.state_as_of(np.array([[7], [7], [7]]), np.array([0, 1, 2]))
    array([[0., 0.], [1., 4.], [3., 8.]])
    """

    keys: np.ndarray
    key_buckets: np.ndarray
    states: np.ndarray
    missing: np.ndarray
    buckets: int

    def state_as_of(self, keys: np.ndarray, bucket: np.ndarray) -> np.ndarray:
        """State of each key after its latest bucket before `bucket`; zeros for a key without one.

        Args:
          keys: int64 (n, L).
          bucket: bucket indices, T for "after the end", (n,).

        Returns:
          Summed over L, float64 (n, v).
        """
        position = np.searchsorted(self.keys, keys)
        known = self.keys[np.minimum(position, len(self.keys) - 1)] == keys
        first = position * (self.buckets + 1)
        at = np.searchsorted(self.key_buckets, first + bucket[:, None]) - 1
        at = np.maximum(at, 0)
        found = known & (self.key_buckets[at] >= first) & (self.key_buckets[at] < first + bucket[:, None])
        return np.where(found[..., None], self.states[at], 0.0).sum(axis=1, dtype=np.float64)

    def since(self, first: int) -> KeyTable:
        """The table of the buckets from `first` on; of what came before only each key's state stays, as bucket 0."""
        position, bucket = np.divmod(self.key_buckets, self.buckets + 1)
        last = np.r_[position[1:] != position[:-1], True]
        kept = (bucket >= first) | last | np.r_[bucket[1:] >= first, True]
        buckets = self.buckets - first + 1
        moved = position * (buckets + 1) + np.maximum(bucket - first + 1, 0)
        return dataclasses.replace(self, key_buckets=moved[kept], states=self.states[kept], buckets=buckets)


def row_keys(plan: TransformPlan, index: int, hashes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A key's values for rows.

    Args:
      plan: the plan.
      index: of the key; `DOMAIN_PARENT` for the domain itself.
      hashes: hashes of the sources, `MISSING` where a row has none, int64 (n, H).

    Returns:
      Keys int64 (n, L), and whether each exists: all its columns are present, bool (n, L).

    Two rows, of which the second has no user:

    >>> from components.dataset.loader import load_declaration
    >>> from components.transform.transform_plan import make_plan
    >>> plan = make_plan(load_declaration("simulated"))
    >>> hashes = np.full((2, plan.hashed_columns), hashing.MISSING)
    >>> hashes[0, plan.sources[plan.keys[0].sources[0]].offset] = 123
    >>> plan.keys[0].name, row_keys(plan, 0, hashes)[1].tolist()
    ('user', [[True], [False]])
    """
    if index == DOMAIN_PARENT:
        sources: tuple[int, ...] = (plan.vocabularies[0].source,)
    else:
        sources = plan.keys[index].sources
    parts = []
    for source in (plan.sources[position] for position in sources):
        parts.append(hashes[:, source.offset : source.offset + source.width])
    keys = hashing.combine_numpy(hashing.average_family(index), parts)
    present = np.logical_and.reduce([np.broadcast_to(part != hashing.MISSING, keys.shape) for part in parts])
    return keys, present


class SampledStates:
    """What the keys of sampled rows had before each row's bucket, looked up in one part of the table after another.

    Args:
      plan: the keys.
      hashes: of the rows, int64 (n, H).
      bucket: bucket index of each row, (n,).
      buckets: `T`. missing: as in `KeyTable`.
    """

    def __init__(
        self, plan: TransformPlan, hashes: np.ndarray, bucket: np.ndarray, buckets: int, missing: np.ndarray
    ) -> None:
        self.buckets, self._missing, self._bucket = buckets, missing, bucket
        self._widths = [key.width for key in plan.keys]
        found = [row_keys(plan, index, hashes) for index in range(len(plan.keys))]
        keys = [np.where(present, values, ABSENT) for values, present in found]
        wanted = np.concatenate([np.zeros((len(bucket), 0), np.int64), *keys], axis=1)
        self._shape = wanted.shape
        self._order = np.argsort(wanted, axis=None)
        self._wanted = wanted.reshape(-1)[self._order]
        self._states = np.zeros((wanted.size, state_width(missing)), np.float32)

    def look_up(self, table: KeyTable) -> None:
        """Takes what a part of the table knows; the parts of a table have no key in common."""
        start = np.searchsorted(self._wanted, table.keys[0])
        end = np.searchsorted(self._wanted, table.keys[-1], side="right")
        places = self._order[start:end]
        rows = places // max(self._shape[1], 1)
        self._states[places] = table.state_as_of(self._wanted[start:end, None], self._bucket[rows])

    def of(self, index: int) -> np.ndarray:
        """The states of a key summed over its values, float64 (n, v)."""
        first = sum(self._widths[:index])
        states = self._states.reshape(*self._shape, self._states.shape[1])
        return states[:, first : first + self._widths[index]].sum(axis=1, dtype=np.float64)

    def sums_and_counts(self, state: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """`R` and `W` per behaviour, each (..., F), from states (..., v)."""
        behaviours = len(self._missing)
        counts = state[..., behaviours : behaviours + 1]
        lacking = np.where(self._missing >= 0, state[..., np.maximum(self._missing, 0)], 0.0)
        return state[..., :behaviours], counts - lacking


def state_width(missing: np.ndarray) -> int:
    """Numbers of a state, see `KeyTable`.

    >>> state_width(np.array([-1, 3]))
    4
    """
    return len(missing) + 1 + int((missing >= 0).sum())


@dataclass(frozen=True)
class Shrinkage:
    """How strongly a key's own averages are pulled to its parent's.

    Attributes:
      strength: impressions that the parent counts for as of each bucket, float64 (keys, T + 1, F).
      count_scale: root mean square of `log(1 + W)` over rows, float64 (keys,).
      losses: squared error of every candidate over the rows before the newest bucket, float64 (keys, candidates, F).
      log_counts: sum of `log(1 + W)^2` over these rows, and their number, float64 (keys, 2).
    """

    strength: np.ndarray
    count_scale: np.ndarray
    losses: np.ndarray
    log_counts: np.ndarray


def shrink(sums: np.ndarray, counts: np.ndarray, parent: np.ndarray, strength: np.ndarray) -> np.ndarray:
    """`(R + k * parent) / (W + k)`; the parent where both W and k are 0.

    A user with 3 clicks above expectation in 10 impressions, one with none, and one never seen, all of them with
    a parent of 0.1 that counts for 20 impressions:

    >>> sums, counts = np.array([3.0, 0.0, 0.0]), np.array([10.0, 10.0, 0.0])
    >>> shrink(sums, counts, np.array(0.1), np.array(20.0)).round(3)
    array([0.167, 0.067, 0.1  ])
    """
    weight = counts + strength
    return np.where(weight > 0, (sums + strength * parent) / np.where(weight > 0, weight, 1.0), parent)


def learn_shrinkage(
    plan: TransformPlan,
    sampled: SampledStates,
    bucket: np.ndarray,
    behaviours: np.ndarray,
    domain: np.ndarray,
    spread: np.ndarray,
    losses: np.ndarray,
    log_counts: np.ndarray,
) -> Shrinkage:
    """Chooses the strength that would have predicted best, as of every bucket, from a sample of training rows.

    For every key from the top of the hierarchy down, each candidate strength predicts the behaviours of the sampled
    rows from what was known before their bucket. As of bucket t the strength with the least squared error over rows
    of buckets before t is taken, so no strength depends on a label of its own or a later bucket. A penalty of
    `PENALTY * log(k / 20)^2` single-impression variances keeps it near 20 while there is little evidence.

    Args:
      plan: the keys. sampled: their states.
      bucket: bucket index of each row (n,).
      behaviours: float (n, F), NaN where missing.
      domain: the domain's moving average as of each row, (n, F).
      spread: standard deviation of one impression as of each bucket, (T + 1, F).
      losses, log_counts: those of the rows before these, as in `Shrinkage`.
    """
    order = np.argsort(bucket, kind="stable")
    bucket, behaviours, domain = bucket[order], behaviours[order], domain[order]
    before = np.searchsorted(bucket, np.arange(sampled.buckets + 1))
    closed = before[-2]
    strength = np.empty((len(plan.keys), sampled.buckets + 1, behaviours.shape[1]))
    losses, log_counts = losses.copy(), log_counts.copy()
    scale = np.ones(len(plan.keys))
    estimates: dict[int, np.ndarray] = {DOMAIN_PARENT: np.zeros_like(domain)}
    penalty = PENALTY * np.square(np.log(STRENGTHS / DEFAULT_STRENGTH))[:, None, None] * np.square(spread)
    for index, key in enumerate(plan.keys):
        state = sampled.of(index)[order]
        sums, counts = sampled.sums_and_counts(state)
        parent = estimates[key.parent]
        if plan.prior_strength is not None:
            strength[index] = plan.prior_strength
        else:
            total = losses[index][:, None] + _losses(sums, counts, parent, behaviours - domain, before)
            strength[index] = STRENGTHS[np.argmin(penalty + total, axis=0)]
            losses[index] = total[:, -2]
        estimates[index] = shrink(sums, counts, parent, strength[index][bucket])
        # In whole multiples of a small number their sum has the same bits whichever way it is taken.
        squares = np.round(np.square(np.log1p(state[:, behaviours.shape[1]])) / _STEP) * _STEP
        known = log_counts[index] + [squares.sum(), len(squares)]
        scale[index] = np.sqrt(known[0] / known[1]) if known[0] > 0 else 1.0
        log_counts[index] += [squares[:closed].sum(), closed]
    return Shrinkage(strength, scale, losses, log_counts)


ABSENT = np.int64(np.iinfo(np.int64).max)


def _losses(
    sums: np.ndarray, counts: np.ndarray, parent: np.ndarray, truth: np.ndarray, before: np.ndarray
) -> np.ndarray:
    """Squared error of every candidate over the rows before each bucket, (candidates, T + 1, F)."""
    informative = ~np.isnan(truth) & (counts > 0)
    truth = np.where(informative, truth, 0.0)
    losses = np.empty((len(STRENGTHS), len(before), truth.shape[1]))
    for candidate, strength in enumerate(STRENGTHS):
        error = np.where(informative, truth - (sums + strength * parent) / (counts + strength), 0.0)
        total = np.concatenate([np.zeros((1, truth.shape[1])), np.square(error).cumsum(axis=0)])
        losses[candidate] = total[before]
    return losses
