"""Exact metrics of scores, row by row: what a comparison needs that sketches and thresholds do not give.

All of them take row weights, so that a bootstrap over users is the same code with the number of times each user
was drawn.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating]


class RankedScores:
    """Scores of some rows, sorted once, whose AUC can be had for any row weights.

    `AUC = P(score of a positive > score of a negative) + P(equal) / 2`.

    Args:
      label: 0 or 1, (rows,).
      score: (rows,).
    """

    def __init__(self, label: npt.NDArray[np.generic], score: Floats) -> None:
        self._order = np.argsort(score, kind="stable")
        self._positive = np.asarray(label)[self._order] == 1
        ordered = np.asarray(score)[self._order]
        self._starts = (
            np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]]) if len(ordered) else np.array([0])
        )

    def auc(self, weight: Floats | None = None) -> float | None:
        """The AUC, or `None` when one class has no weight.

        Args:
          weight: of each row, (rows,); all 1 by default.
        """
        if not len(self._order):
            return None
        weights = np.ones(len(self._order)) if weight is None else np.asarray(weight, float)[self._order]
        positive = np.add.reduceat(weights * self._positive, self._starts)
        negative = np.add.reduceat(weights * ~self._positive, self._starts)
        pairs = positive.sum() * negative.sum()
        if pairs <= 0:
            return None
        below = np.cumsum(negative) - negative
        return float((positive * (below + negative / 2)).sum() / pairs)


def log_loss(label: npt.NDArray[np.generic], score: Floats) -> float:
    """Mean of `-y log p - (1 - y) log(1 - p)`, with p kept 1e-7 away from 0 and 1."""
    probability = np.clip(np.asarray(score, float), 1e-7, 1 - 1e-7)
    return float(-np.mean(np.where(np.asarray(label) == 1, np.log(probability), np.log1p(-probability))))


def gauc(label: npt.NDArray[np.generic], score: Floats, user: npt.NDArray[np.generic]) -> float | None:
    """AUC per user, weighted by the user's impressions; users with one class are left out.

    Args:
      label: 0 or 1, (rows,).
      score: (rows,).
      user: who saw the row, (rows,), any comparable type.
    """
    _, group = np.unique(user, return_inverse=True)
    order = np.lexsort((score, group))
    positive = (np.asarray(label) == 1)[order].astype(float)
    group, ordered = group[order], np.asarray(score)[order]
    ranks = _average_ranks(group, ordered)
    rows = np.bincount(group).astype(float)
    positives = np.bincount(group, positive)
    negatives = rows - positives
    both = (positives > 0) & (negatives > 0)
    if not both.any():
        return None
    rank_sum = np.bincount(group, positive * ranks)
    auc = (rank_sum[both] - positives[both] * (positives[both] + 1) / 2) / (positives[both] * negatives[both])
    return float(np.average(auc, weights=rows[both]))


def _average_ranks(group: npt.NDArray[np.int64], score: Floats) -> Floats:
    """Rank of each row within its group from 1, ties sharing their mean; rows sorted by group and score."""
    position = np.arange(len(group))
    new_group = np.r_[True, group[1:] != group[:-1]]
    new_value = new_group | np.r_[True, score[1:] != score[:-1]]
    first_of_group = position[new_group][np.cumsum(new_group) - 1]
    run = np.cumsum(new_value) - 1
    first_of_run = position[new_value]
    run_length = np.diff(np.r_[first_of_run, len(group)])
    return first_of_run[run] - first_of_group + (run_length[run] + 1) / 2


@dataclasses.dataclass(frozen=True)
class EvaluationRows:
    """The rows that every model is evaluated on, in one order.

    Attributes:
      label: 0 or 1, (rows,).
      domain: domain index, (rows,).
      user: who saw the row, (rows,); a row without a user is one of its own.
      domains: names of the domain indices.
      min_rows: rows that a domain needs, with both classes, to count in the average AUC.
    """

    label: npt.NDArray[np.generic]
    domain: npt.NDArray[np.generic]
    user: npt.NDArray[np.generic]
    domains: tuple[str, ...]
    min_rows: int

    def counted(self) -> list[int]:
        """Indices of the domains that count in the average AUC."""
        found = []
        for domain in range(len(self.domains)):
            label = self.label[self.domain == domain]
            if len(label) >= self.min_rows and 0 < (label == 1).sum() < len(label):
                found.append(domain)
        return found


class Scored:
    """A model's scores of the evaluation rows.

    Args:
      rows: what was scored.
      score: click probabilities, (rows,).
    """

    def __init__(self, rows: EvaluationRows, score: Floats) -> None:
        self.rows = rows
        self.score = score
        self._counted = rows.counted()
        self._overall = RankedScores(rows.label, score)
        self._at = [np.flatnonzero(rows.domain == domain) for domain in range(len(rows.domains))]
        self._ranked = [RankedScores(rows.label[at], score[at]) for at in self._at]

    def domain_auc(self, domain: int, weight: Floats | None = None) -> float | None:
        """AUC within one domain."""
        return self._ranked[domain].auc(None if weight is None else weight[self._at[domain]])

    def average_auc(self, weight: Floats | None = None) -> float | None:
        """Unweighted mean AUC of the domains that count."""
        aucs = [self.domain_auc(domain, weight) for domain in self._counted]
        known = [auc for auc in aucs if auc is not None]
        return float(np.mean(known)) if known else None

    def overall_auc(self, weight: Floats | None = None) -> float | None:
        """AUC of all rows together."""
        return self._overall.auc(weight)


def user_weights(user: npt.NDArray[np.generic], samples: int, seed: int) -> list[npt.NDArray[np.float64]]:
    """Row weights of a bootstrap over users: how often each row's user was drawn, one array per sample."""
    _, group = np.unique(user, return_inverse=True)
    users = int(group.max()) + 1 if len(group) else 0
    generator = np.random.default_rng(seed)
    return [
        np.bincount(generator.integers(0, users, users), minlength=users).astype(float)[group]
        for _ in range(samples)
    ]
