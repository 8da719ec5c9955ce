"""The metrics, each defined once on arrays: AUC, GAUC, log loss, calibration, what training is stopped by,
and which domains decide.

NumPy only. TFMA's form of the same definitions, for rows that arrive in pieces, is `components.evaluator`; a property
test holds the two equal.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from models.arrays import Array

# A certain answer that turns out wrong costs -log(1e-7), as in Keras.
EPSILON = 1e-7

ROWS_PER_RARER = 10
"""Of so many rows that a domain needs to decide, one is to be of its rarer class: it says how exact an AUC is."""


def rarer_rows(min_rows: int) -> int:
    """Rows of each class that a domain of at least `min_rows` rows needs to decide; 1 at least."""
    return max(1, math.ceil(min_rows / ROWS_PER_RARER))


def decides(rows: Any, positives: Any, min_rows: int) -> Any:
    """Whether a domain may decide: `min_rows` rows, a tenth of that number of each class. Numbers or arrays.

    The standard error of an AUC is about .3 / sqrt(rows of the rarer class), however many others there are.

    >>> decides(5_000, 30, 500), decides(500, 250, 500)
    (False, True)
    """
    rarer = np.minimum(positives, rows - positives)
    found = (rows >= min_rows) & (rarer >= rarer_rows(min_rows))
    return bool(found) if np.ndim(found) == 0 else found


def telling_rows(rows: Any, positives: Any) -> Any:
    """The highest `min_rows` at which a domain of so many rows decides. Numbers or arrays.

    >>> telling_rows(5_000, 30)
    300
    """
    found = np.minimum(rows, ROWS_PER_RARER * np.minimum(positives, rows - positives))
    return int(found) if np.ndim(found) == 0 else found


def rarer_of(label: Array) -> int:
    """Rows of the rarer class among labels `(n,)`."""
    positives = int((label > 0).sum())
    return min(positives, len(label) - positives)


def needed(min_rows: int) -> str:
    """What a domain needs to decide, in words."""
    return f"at least {min_rows:,} rows, {rarer_rows(min_rows):,} of each class"


def too_few_words(rows: int, positives: int, least: int) -> str | None:
    """That evaluation rows hold too few of the rarer class to judge a model by, and how many would do.

    Args:
        rows, positives: evaluated, and of them clicked.
        least: rows of the rarer class that are needed.

    Returns:
        None where they hold as many.

    >>> words = too_few_words(71, 4, 10)
    >>> words.split(",")[0], words.split(": ")[1]
    ('the evaluation has 4 clicks in 71 rows', 'about 178 such rows would do, 2.5 times as many')
    >>> too_few_words(200, 10, 10)
    """
    rarer = min(positives, rows - positives)
    if rarer >= least:
        return None
    what = " without a click" if positives > rows - positives else ""
    noun = ("row" if what else "click") + ("s" if rarer != 1 else "")
    enough = ""
    if rarer:
        times = least / rarer
        enough = f": about {math.ceil(rows * times):,} such rows would do, {times:.1f} times as many"
    return (
        f"the evaluation has {rarer:,} {noun}{what} in {rows:,} rows, and of fewer than {least:,} "
        f"no gate can tell a good model from a bad one{enough}"
    )


def auc_of_counts(negatives: Array, positives: Array) -> float | None:
    """Area under the ROC curve of scores that were counted; all others here come down to this one.

        AUC = P(score of a positive > score of a negative) + P(equal) / 2

    Args:
        negatives, positives: rows, or their weight, of each distinct score from low to high, `(S,)`.

    Returns:
        None where it does not exist: with one class, or no rows.

    >>> auc_of_counts(np.array([1, 1, 0]), np.array([0, 1, 1]))
    0.875
    """
    pairs = float(negatives.sum()) * float(positives.sum())
    if pairs <= 0:
        return None
    below = np.cumsum(negatives) - negatives
    return float(((below + negatives / 2) * positives).sum() / pairs)


class RankedScores:
    """Scores of some rows, sorted once, whose AUC can be had for any row weights, as a bootstrap needs it.

    Args:
        label: `(n,)` 0 or 1.
        score: `(n,)`, higher for more likely.
    """

    def __init__(self, label: Array, score: Array) -> None:
        self._order = np.argsort(score, kind="stable")
        self._positive = np.asarray(label)[self._order] > 0
        ordered = np.asarray(score)[self._order]
        self._starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])

    def auc(self, weight: Array | None = None) -> float | None:
        """The AUC, or None when one class has no weight.

        Args:
            weight: of each row, `(n,)`; all 1 by default.
        """
        if not len(self._order):
            return None
        weights = np.ones(len(self._order)) if weight is None else np.asarray(weight, float)[self._order]
        negatives, positives = (
            np.add.reduceat(weights * of_class, self._starts)
            for of_class in (~self._positive, self._positive)
        )
        return auc_of_counts(negatives, positives)


def auc(label: Array, score: Array) -> float | None:
    """Area under the ROC curve, exactly: the share of (positive, negative) pairs in order, ties counting half.

    Args:
        label: `(n,)` 0 or 1.
        score: `(n,)`, higher for more likely.

    Returns:
        None where it does not exist: with one class, or no rows.

    >>> auc(np.array([0, 1, 1, 0]), np.array([0.5, 0.5, 0.7, 0.6]))
    0.625
    """
    return RankedScores(label, score).auc()


class GroupedScores:
    """Scores of some rows, sorted once within groups, whose ranked pairs can be counted for any row weights.

    A pair is a positive and a negative of the same group; it counts as won where the positive has the higher score,
    half where the scores are equal.

    Args:
        label: `(n,)` 0 or 1.
        score: `(n,)`, higher for more likely.
        group: `(n,)`, of any comparable type.

    Attributes:
        groups: the `K` different groups, sorted.
    """

    def __init__(self, label: Array, score: Array, group: Array) -> None:
        self.groups, index = np.unique(group, return_inverse=True)
        self._order = np.lexsort((score, index))
        self._positive = np.asarray(label)[self._order] > 0
        index, ordered = index[self._order], np.asarray(score)[self._order]
        changes = (index[1:] != index[:-1]) | (ordered[1:] != ordered[:-1])
        self._starts = np.flatnonzero(np.r_[True, changes][: len(index)])
        self._group = index[self._starts]

    def counts(self, weight: Array | None = None) -> tuple[Array, Array, Array]:
        """Weights `(K,)` of the pairs won, of the negatives and of the positives of each group.

        Args:
            weight: of each row, `(n,)`; all 1 by default. A pair weighs the product of its rows.
        """
        size = len(self.groups)
        if not len(self._order):
            return np.zeros(size), np.zeros(size), np.zeros(size)
        weights = np.ones(len(self._order)) if weight is None else np.asarray(weight, float)[self._order]
        negatives, positives = (
            np.add.reduceat(weights * of_class, self._starts)
            for of_class in (~self._positive, self._positive)
        )
        first = np.flatnonzero(np.r_[True, self._group[1:] != self._group[:-1]])
        below = np.cumsum(negatives) - negatives
        below -= np.repeat(below[first], np.diff(np.r_[first, len(below)]))
        won = np.add.reduceat((below + negatives / 2) * positives, first)
        return won, np.add.reduceat(negatives, first), np.add.reduceat(positives, first)

    def auc(self, weight: Array | None = None) -> float | None:
        """`within_auc` with row weights."""
        won, negatives, positives = self.counts(weight)
        pairs = float((negatives * positives).sum())
        return float(won.sum()) / pairs if pairs > 0 else None


def within_auc(label: Array, score: Array, group: Array) -> float | None:
    """AUC of the pairs within groups, pooled: of domains too small to have an AUC of their own.

        AUC = sum_g won_g / sum_g (positives_g negatives_g)

    over all groups: the share of the pairs of a positive and a negative of the same group that are in order, ties
    counting half. Each pair counts alike, so a group counts by its pairs. With one group it is `auc`. It is not the
    AUC of the rows together: a score that only tells the groups' rates apart reaches .5.

    Args:
        label: `(n,)` 0 or 1.
        score: `(n,)`.
        group: `(n,)`, the domain of each row, of any comparable type.

    Returns:
        None where it does not exist: no group has both classes.

    >>> within_auc(np.array([0, 1, 0, 1, 1]), np.array([0.1, 0.9, 0.8, 0.2, 0.5]), np.array([1, 1, 2, 2, 2]))
    0.3333333333333333
    """
    return GroupedScores(label, score, group).auc()


SIZE_CLASSES = ("head", "middle", "tail")


def size_classes(rows: Array) -> Array:
    """The class of each domain by its training rows: 0 head, 1 middle, 2 tail, `(D,)` int.

    With the domains in the order of their rows, most first, the head are the first ones with half of all rows, up to
    the one that reaches it; the tail those behind nine tenths of all rows. A domain without rows is of the tail.

    Args:
        rows: `(D,)` training rows of each domain, in any order.

    >>> size_classes(np.array([10, 600, 300, 90, 0])).tolist()
    [2, 0, 1, 2, 2]
    """
    count = np.asarray(rows, np.int64)
    order = np.argsort(-count, kind="stable")
    before = np.cumsum(count[order]) - count[order]
    total = count.sum()
    found = np.where(2 * before < total, 0, np.where(10 * before < 9 * total, 1, 2))
    classes = np.empty(len(count), int)
    classes[order] = np.where(count[order] > 0, found, 2)
    return classes


def gauc(label: Array, score: Array, user: Array) -> float | None:
    """AUC per user, weighted by the user's rows; users with one class are left out.

        GAUC = sum_u n_u AUC_u / sum_u n_u    over users u with both clicks and non-clicks

    Zhu et al., Optimized Cost per Click in Taobao Display Advertising, KDD 2017.

    Args:
        label: `(n,)` 0 or 1.
        score: `(n,)`.
        user: `(n,)`, who saw the row, of any comparable type.

    >>> gauc(np.array([0, 1, 0, 1, 1]), np.array([0.1, 0.9, 0.8, 0.2, 0.5]), np.array([1, 1, 2, 2, 2]))
    0.4
    """
    won, negatives, positives = GroupedScores(label, score, user).counts()
    both = (negatives > 0) & (positives > 0)
    if not both.any():
        return None
    aucs = won[both] / (negatives[both] * positives[both])
    return float(np.average(aucs, weights=(negatives + positives)[both]))


def log_losses(label: Array, probability: Array) -> Array:
    """`-log p(observed)` of each row `(n,)`, with `p` at least `EPSILON`."""
    probability = np.asarray(probability, np.float64)
    observed = np.where(np.asarray(label) > 0, probability, 1 - probability)
    return np.asarray(-np.log(np.maximum(observed, EPSILON)))


def log_loss(label: Array, probability: Array) -> float:
    """Mean of `-log p(observed)` over rows `(n,)`; see `log_losses`."""
    return float(log_losses(label, probability).mean())


def log_loss_of_logits(label: Array, logit: Array) -> float:
    """Mean negative log likelihood of labels `(n,)` under logits `(n,)`, computed without overflow."""
    logit = np.asarray(logit, np.float64)
    return float(np.mean(np.logaddexp(0, logit) - logit * label))


def calibration(label: Array, probability: Array) -> float | None:
    """Mean prediction / mean label of rows `(n,)`; None without a click."""
    clicks = float((np.asarray(label) > 0).sum())
    return float(np.asarray(probability, np.float64).sum()) / clicks if clicks else None


def normalized_entropy(log_loss: float | None, rows: int, positives: int) -> float | None:
    """Log loss as a multiple of the entropy of the rows' own click rate (He et al., ADKDD 2014).

    Above 1 the one constant that fits the rows best does better.

    Args:
        log_loss: mean over the rows; None where it is undefined.
        rows: how many.
        positives: of them clicked.

    Returns:
        None with one class, or without a log loss.
    """
    if log_loss is None or not 0 < positives < rows:
        return None
    rate = positives / rows
    return log_loss / -(rate * math.log(rate) + (1 - rate) * math.log(1 - rate))


@dataclass(frozen=True)
class Scores:
    """How a model does on some rows.

    Attributes:
        average_auc: unweighted mean of AUC over the domains that decide (`decides`). None if none does.
        overall_auc: of all rows together; None with one class.
        log_loss: of all rows.
        domain_auc: by domain index, of every domain with both classes, few rows or many.
        rows: how many.
    """

    average_auc: float | None
    overall_auc: float | None
    log_loss: float
    domain_auc: dict[int, float]
    rows: int

    @property
    def criterion(self) -> float:
        """What training is stopped by: average AUC, where a domain decides; else minus the log loss."""
        value = criterion(self.average_auc, self.log_loss)
        assert value is not None
        return value


def criterion(average_auc: float | None, log_loss: float | None) -> float | None:
    """The average AUC, or where no domain decides minus the log loss: more is better; None without any.

    Where few of a class are there to be ranked the log loss differs less by chance between epochs, and sees a
    prediction that is off for all rows alike.
    """
    return average_auc if average_auc is not None else None if log_loss is None else -log_loss


def score(domain: Array, label: Array, logit: Array, min_rows: int) -> Scores:
    """Scores of logits `(n,)` for rows of these domains and labels.

    Args:
        domain: `(n,)`.
        label: `(n,)`.
        logit: `(n,)`.
        min_rows: rows a domain needs to count in the average (`decides`).
    """
    order = np.argsort(domain, kind="stable")
    domains, begins = np.unique(domain[order], return_index=True)
    domain_auc: dict[int, float] = {}
    qualified = []
    for d, rows in zip(domains, np.split(order, begins[1:]), strict=True):
        value = auc(label[rows], logit[rows])
        if value is not None:
            domain_auc[int(d)] = value
            if decides(len(rows), int(np.sum(label[rows] > 0)), min_rows):
                qualified.append(value)
    return Scores(
        average_auc=float(np.mean(qualified)) if qualified else None,
        overall_auc=auc(label, logit),
        log_loss=log_loss_of_logits(label, logit),
        domain_auc=domain_auc,
        rows=len(label),
    )
