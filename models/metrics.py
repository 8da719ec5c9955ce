"""How well rows are ranked: exact AUC by ranks, and its mean over domains. NumPy only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


def auc(label: np.ndarray, score: np.ndarray) -> float | None:
    """Area under the ROC curve, exactly: the share of (positive, negative) pairs in order, ties counting half.

    Args:
        label: `(n,)` 0 or 1.
        score: `(n,)`, higher for more likely.

    Returns:
        None where it does not exist: with one class, or no rows.
    """
    positive = np.asarray(label) > 0
    positives = int(positive.sum())
    negatives = len(positive) - positives
    if positives == 0 or negatives == 0:
        return None
    _, place, count = np.unique(score, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(count) - (count - 1) / 2)[place]
    return float((ranks[positive].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def log_loss(label: np.ndarray, logit: np.ndarray) -> float:
    """Mean negative log likelihood of labels `(n,)` under logits `(n,)`, computed without overflow."""
    logit = np.asarray(logit, np.float64)
    return float(np.mean(np.maximum(logit, 0) - logit * label + np.log1p(np.exp(-np.abs(logit)))))


@dataclass(frozen=True)
class Scores:
    """How a model does on some rows.

    Attributes:
        average_auc: unweighted mean of AUC over the domains that qualify: both classes and at least the
            configured number of rows. None if no domain does.
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
        """What training is stopped by: average AUC; else overall AUC; else minus the log loss."""
        value = criterion(self.average_auc, self.overall_auc, self.log_loss)
        assert value is not None
        return value


def criterion(average_auc: float | None, overall_auc: float | None, log_loss: float | None) -> float | None:
    """The first that is known of average AUC, overall AUC and minus the log loss: more is better; None without any."""
    values = (average_auc, overall_auc, None if log_loss is None else -log_loss)
    return next((value for value in values if value is not None), None)


def score(domain: np.ndarray, label: np.ndarray, logit: np.ndarray, min_rows: int) -> Scores:
    """Scores of logits `(n,)` for rows of these domains and labels.

    Args:
        domain: `(n,)`.
        label: `(n,)`.
        logit: `(n,)`.
        min_rows: rows a domain needs to count in the average.
    """
    order = np.argsort(domain, kind="stable")
    domains, begins = np.unique(domain[order], return_index=True)
    domain_auc: dict[int, float] = {}
    qualified = []
    for d, rows in zip(domains, np.split(order, begins[1:]), strict=True):
        value = auc(label[rows], logit[rows])
        if value is not None:
            domain_auc[int(d)] = value
            if len(rows) >= min_rows:
                qualified.append(value)
    return Scores(
        average_auc=float(np.mean(qualified)) if qualified else None,
        overall_auc=auc(label, logit),
        log_loss=log_loss(label, logit),
        domain_auc=domain_auc,
        rows=len(label),
    )
