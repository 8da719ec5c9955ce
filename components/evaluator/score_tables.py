"""Scores and labels by group, mergeable in any order and bounded in memory: what every AUC here is made of.

AUC = P(score of a click > score of a non-click) + P(equal) / 2, the Mann-Whitney statistic: exact, ties counted half.
A grid of thresholds would not do: click probabilities of a domain with 1 % clicks crowd in a few of its cells.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from components.evaluator.held import Held
from models.arrays import Array

LIMIT = 1 << 22
# Below this many rows a table is not worth sorting.
_BUFFER = 1 << 16
# At the finest level a bin of the logit is 2^-12 wide: ties that it makes move an AUC by less than 1e-4.
_FINEST = 12
_LOGIT_LIMIT = 40.0

_Columns = tuple[Array, Array, Array, Array]


@dataclass(frozen=True)
class GroupAUC:
    """The AUC of each group.

    Attributes:
      group: int64 (groups,), ascending.
      negatives, positives: int64 (groups,), rows without and with a click.
      auc: float64 (groups,); NaN where one of the two is 0.
      standard_error: float64 (groups,), DeLong's estimate (Biometrics 44, 1988), which takes the rows as
        independent; NaN with fewer than two clicks or two non-clicks.
    """

    group: Array
    negatives: Array
    positives: Array
    auc: Array
    standard_error: Array

    @property
    def rows(self) -> Array:
        """Rows of each group, int64 (groups,)."""
        return self.negatives + self.positives


class ScoreTable(Held):
    """Counts of non-clicks and clicks for each (group, score).

    Up to `limit` distinct pairs the table is exact. Beyond, it is made coarser until it fits, and how coarse
    depends only on all rows together: the result is the same for any order and bundling. Here coarser means
    that scores fall into bins of the logit, which are twice as wide at each level.

    Args:
      limit: most distinct pairs to keep.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._level = 0
        self._chunks: list[_Columns] = []
        self._pending = 0

    def add(self, group: Array, score: Array, label: Array) -> None:
        """Adds rows.

        Args:
          group: int64 (rows,).
          score: (rows,), finite and within 0 and 1.
          label: (rows,), 0 or 1.
        """
        clicked = np.asarray(label, np.int64)
        group, score = self._coarser(np.asarray(group, np.int64), np.asarray(score, np.float64), 0)
        self._append(group, score, 1 - clicked, clicked)

    def merge(self, other: ScoreTable) -> None:
        """Adds the rows of another table of the same kind; the other one may not be used any more."""
        if other._level > self._level:
            self._raise_level(other._level)
        for group, score, negatives, positives in other._chunks:
            kept = self._kept(group)
            group, score = self._coarser(group, score, other._level)
            self._append(group, score, negatives[kept], positives[kept])

    def group_auc(self) -> GroupAUC:
        """The AUC of each group that has rows."""
        self._compact()
        if not self._chunks or not len(self._chunks[0][0]):
            empty = np.zeros(0)
            return GroupAUC(*(empty.astype(np.int64),) * 3, empty, empty)
        group, _, negatives, positives = self._chunks[0]
        return _group_auc(group, negatives, positives)

    def _append(self, group: Array, score: Array, negatives: Array, positives: Array) -> None:
        self._chunks.append((group, score, negatives, positives))
        self._pending += len(group)
        compacted = len(self._chunks[0][0])
        if self._pending > max(_BUFFER, 2 * compacted) or len(self._chunks) > 4096:
            self._compact()

    def _compact(self) -> None:
        if not self._chunks:
            return
        group, score, negatives, positives = (np.concatenate(c) for c in zip(*self._chunks, strict=True))
        self._chunks = [_distinct(group, score, negatives, positives)]
        while len(self._chunks[0][0]) > self._limit and self._level < _FINEST + 6:
            self._raise_level(self._level + 1)
            self._chunks = [_distinct(*self._chunks[0])]
        self._pending = len(self._chunks[0][0])

    def _raise_level(self, level: int) -> None:
        before, self._level = self._level, level
        raised: list[_Columns] = []
        for group, score, negatives, positives in self._chunks:
            kept = self._kept(group)
            raised.append((*self._coarser(group, score, before), negatives[kept], positives[kept]))
        self._chunks = raised

    def _kept(self, group: Array) -> Array | slice:
        """Which rows remain at the current level."""
        return slice(None)

    def _coarser(self, group: Array, score: Array, level: int) -> tuple[Array, Array]:
        """Rows of a level at the current one: (group, score), only those kept."""
        if level == self._level:
            return group, score
        if level == 0:
            with np.errstate(divide="ignore"):
                logit = np.log(score) - np.log1p(-score)
            score = np.floor(np.clip(logit, -_LOGIT_LIMIT, _LOGIT_LIMIT) * (1 << _FINEST))
            level = 1
        return group, np.floor(score / (1 << (self._level - level)))


class SampledScoreTable(ScoreTable):
    """A table whose groups are many (users): beyond the limit it keeps a random half of the groups, and so on.

    Groups are hashes, so their leading bits choose; the kept groups stay exact.
    """

    def _kept(self, group: Array) -> Array | slice:
        if self._level == 0:
            return slice(None)
        return group.view(np.uint64) >> np.uint64(64 - self._level) == 0

    def _coarser(self, group: Array, score: Array, level: int) -> tuple[Array, Array]:
        kept = self._kept(group)
        return group[kept], score[kept]

    def add(self, group: Array, score: Array, label: Array) -> None:
        """Adds rows; see `ScoreTable.add`. Groups must be hashes."""
        group = np.asarray(group, np.int64)
        clicked = np.asarray(label, np.int64)[self._kept(group)]
        group, score = self._coarser(group, np.asarray(score, np.float64), 0)
        self._append(group, score, 1 - clicked, clicked)


def group_ids(values: Array) -> Array:
    """64-bit hashes of ids, int64 (rows,): the same for the same value on every machine.

    Args:
      values: integers, bytes or text (rows,).
    """
    values = np.asarray(values)
    if values.dtype == object and len(values) and isinstance(values[0], (int, np.integer)):
        values = values.astype(np.int64)
    if values.dtype.kind in "iub":
        with np.errstate(over="ignore"):
            z = (values.astype(np.int64).view(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
            z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return (z ^ (z >> np.uint64(31))).view(np.int64)
    distinct, position = np.unique(values.astype(object), return_inverse=True)
    hashes = [_text_hash(value) for value in distinct]
    return np.array(hashes, np.int64)[position.reshape(-1)] if hashes else np.zeros(0, np.int64)


def _text_hash(value: bytes | str) -> int:
    data = value if isinstance(value, bytes) else str(value).encode()
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little", signed=True)


def _distinct(group: Array, score: Array, negatives: Array, positives: Array) -> _Columns:
    if not len(group):
        return group, score, negatives, positives
    order = np.lexsort((score, group))
    group, score = group[order], score[order]
    new = np.empty(len(group), bool)
    new[0] = True
    new[1:] = (group[1:] != group[:-1]) | (score[1:] != score[:-1])
    first = np.flatnonzero(new)
    return (
        group[first],
        score[first],
        np.add.reduceat(negatives[order], first),
        np.add.reduceat(positives[order], first),
    )


def _group_auc(group: Array, negatives: Array, positives: Array) -> GroupAUC:
    """AUC of sorted distinct (group, score) counts."""
    first = np.flatnonzero(np.concatenate([[True], group[1:] != group[:-1]]))
    member = np.repeat(np.arange(len(first)), np.diff(np.append(first, len(group))))
    total_negatives = np.add.reduceat(negatives, first)
    total_positives = np.add.reduceat(positives, first)
    n, p = total_negatives[member], total_positives[member]
    with np.errstate(divide="ignore", invalid="ignore"):
        # Share of non-clicks that a click of this score beats, and of clicks that beat such a non-click.
        wins = (_before(negatives, first, member) + negatives / 2) / n
        losses = 1 - (_before(positives, first, member) + positives / 2) / p
        auc = np.add.reduceat(np.where(positives > 0, positives * wins, 0.0), first) / total_positives
        spread = [
            np.add.reduceat(np.where(count > 0, count * (share - auc[member]) ** 2, 0.0), first)
            / (total - 1)
            / total
            for count, share, total in (
                (positives, wins, total_positives),
                (negatives, losses, total_negatives),
            )
        ]
        enough = (total_negatives > 1) & (total_positives > 1)
        error = np.where(enough, np.sqrt(spread[0] + spread[1]), np.nan)
    defined = (total_negatives > 0) & (total_positives > 0)
    return GroupAUC(group[first], total_negatives, total_positives, np.where(defined, auc, np.nan), error)


def _before(count: Array, first: Array, member: Array) -> Array:
    """Sum of `count` over the lower scores of the same group."""
    below = np.cumsum(count) - count
    return below - below[first][member]
