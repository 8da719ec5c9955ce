"""What is to be expected of scores where the true click probabilities are known.

A domain of 40 rows has a few clicks, and which rows they are is mostly luck. Where the chance of each is known, every
figure can be taken over all clicks that could have been: what is left to chance are the rows themselves.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from models.metrics import EPSILON, GroupedScores

Floats = npt.NDArray[np.float64]


class ExpectedPairs:
    """`GroupedScores` of clicks that are only known by their probabilities.

    A pair of rows of a group weighs the probability that the one is clicked and the other is not; no row is a pair
    with itself. With probabilities of 0 and 1 the AUC is that of `GroupedScores`.

    Args:
        probability: `(n,)`, the true one of a click.
        score: `(n,)`.
        group: `(n,)`.

    >>> pairs = ExpectedPairs(np.array([0.9, 0.2]), np.array([2.0, 1.0]), np.array([0, 0]))
    >>> round(pairs.auc(), 4) == round(0.9 * 0.8 / (0.9 * 0.8 + 0.1 * 0.2), 4)
    True
    """

    def __init__(
        self, probability: npt.ArrayLike, score: npt.ArrayLike, group: npt.NDArray[np.generic]
    ) -> None:
        self._probability = np.asarray(probability, np.float64)
        twice = np.repeat([1, 0], len(self._probability))
        self._ranked = GroupedScores(twice, np.tile(np.asarray(score), 2), np.tile(group, 2))

    def auc(self, weight: Floats | None = None) -> float | None:
        """Expected pairs in order, of all expected pairs; None where no group can have both classes.

        Args:
            weight: of each row, `(n,)`; all 1 by default.
        """
        chance = self._probability
        weight = np.ones(len(chance)) if weight is None else np.asarray(weight, np.float64)
        won, negatives, positives = self._ranked.counts(
            np.concatenate([weight * chance, weight * (1 - chance)])
        )
        itself = float((weight**2 * chance * (1 - chance)).sum())
        every = float((negatives * positives).sum())
        pairs = every - itself
        return (float(won.sum()) - itself / 2) / pairs if pairs > 1e-9 * every else None


def expected_log_losses(probability: npt.ArrayLike, score: npt.ArrayLike) -> Floats:
    """The mean of `models.metrics.log_losses` over the clicks of these probabilities, `(n,)`."""
    chance, score = np.asarray(probability, np.float64), np.asarray(score, np.float64)
    yes, no = (np.log(np.maximum(p, EPSILON)) for p in (score, 1 - score))
    return np.asarray(-(chance * yes + (1 - chance) * no))
