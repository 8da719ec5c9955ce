"""Models' scores of the rows that all of them are evaluated on, for any weights of the rows.

A bootstrap over users is the same code with the number of times each user was drawn.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

from models.metrics import RankedScores, decides

Floats = npt.NDArray[np.floating[Any]]


@dataclasses.dataclass(frozen=True)
class EvaluationRows:
    """The rows that every model is evaluated on, in one order.

    Attributes:
      label: 0 or 1, (rows,).
      domain: domain index, (rows,).
      user: who saw the row, (rows,); a row without a user is one of its own.
      domains: names of the domain indices.
      min_rows: rows that a domain needs to count in the average AUC (`models.metrics.decides`).
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
            if decides(len(label), int((label == 1).sum()), self.min_rows):
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
