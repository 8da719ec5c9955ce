"""How exact a metric is, users taken as drawn by chance: without resampling, from what each row contributes.

To first order a metric of n rows moves by `psi_i` if row i is drawn once more. Rows of a user come together, so

    variance of the metric = sum over users of (sum of psi over the user's rows)^2,

which is what a bootstrap over users tends to; of the difference between two models, with the difference of their psi
(for the AUC: Obuchowski, Biometrics 53, 1997).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from models.arrays import Array
from models.metrics import decides, log_losses


@dataclass(frozen=True)
class JudgedRows:
    """Rows and one model's predictions.

    Attributes:
      label: 0 or 1, (n,).
      domain, user: ids, int64 (n,).
      prediction: (n,), within 0 and 1.
      min_rows: rows that a domain needs to decide (`models.metrics.decides`).
      only: the domain that a bound on a single domain is about; None: all.
    """

    label: Array
    domain: Array
    user: Array
    prediction: Array
    min_rows: int = 1
    only: int | None = None


@dataclass(frozen=True)
class Estimate:
    """A metric of some rows.

    Attributes:
      value: NaN where it is undefined.
      influence: of each row, (n,).
    """

    value: float
    influence: Array

    def error(self, user: Array) -> float:
        """Standard error of the value, users (n,) taken as drawn by chance."""
        return clustered_error(self.influence, user)


def clustered_error(influence: Array, user: Array) -> float:
    """Root of the summed squares of the users' influences."""
    _, place = np.unique(user, return_inverse=True)
    return float(np.sqrt((np.bincount(place, influence) ** 2).sum()))


def estimate(metric: str, rows: JudgedRows) -> Estimate:
    """A metric, by the name that a declaration has for it, or `domain_auc`, with what each row contributes."""
    return _METRICS[metric](rows)


def _undefined(rows: JudgedRows) -> Estimate:
    return Estimate(np.nan, np.zeros(len(rows.label)))


def _auc(label: Array, score: Array) -> tuple[float, Array]:
    """AUC, and (V - AUC) / rows of the class, V a row's share of the other class that it is in order with."""
    positive = label > 0
    count = int(positive.sum())
    if count in (0, len(label)):
        return np.nan, np.zeros(len(label))
    clicked, other = np.sort(score[positive]), np.sort(score[~positive])
    share = np.empty(len(label))
    for rows, against, sign in ((positive, other, 0.0), (~positive, clicked, 1.0)):
        below = np.searchsorted(against, score[rows], "left")
        beaten = (below + np.searchsorted(against, score[rows], "right")) / (2 * len(against))
        share[rows] = np.abs(sign - beaten)
    auc = float(share[positive].mean())
    return auc, (share - auc) / np.where(positive, count, len(label) - count)


def _overall_auc(rows: JudgedRows) -> Estimate:
    return Estimate(*_auc(rows.label, rows.prediction))


def _average_auc(rows: JudgedRows) -> Estimate:
    """Mean over the domains that decide; where none does, as in a few hours of a small feed, of all rows together."""
    aucs, influence = [], np.zeros(len(rows.label))
    for domain in np.unique(rows.domain):
        here = np.flatnonzero(rows.domain == domain)
        if decides(len(here), int(rows.label[here].sum()), rows.min_rows):
            auc, influence[here] = _auc(rows.label[here], rows.prediction[here])
            aucs.append(auc)
    return Estimate(float(np.mean(aucs)), influence / len(aucs)) if aucs else _overall_auc(rows)


def _domain_auc(rows: JudgedRows) -> Estimate:
    """Of the one domain, if it decides."""
    here = np.flatnonzero(rows.domain == rows.only)
    influence = np.zeros(len(rows.label))
    if not decides(len(here), int(rows.label[here].sum()), rows.min_rows):
        return _undefined(rows)
    auc, influence[here] = _auc(rows.label[here], rows.prediction[here])
    return Estimate(auc, influence)


def _gauc(rows: JudgedRows) -> Estimate:
    order = np.argsort(rows.user, kind="stable")
    own = np.full(len(order), np.nan)
    for here in np.split(order, np.flatnonzero(np.diff(rows.user[order])) + 1):
        own[here] = _auc(rows.label[here], rows.prediction[here])[0]
    both = ~np.isnan(own)
    if not both.any():
        return _undefined(rows)
    value = float(own[both].mean())
    return Estimate(value, np.where(both, own - value, 0.0) / both.sum())


def _log_loss(rows: JudgedRows) -> Estimate:
    losses = log_losses(rows.label, rows.prediction)
    value = float(losses.mean()) if len(losses) else np.nan
    return Estimate(value, (losses - value) / max(1, len(losses)))


def _normalized_entropy(rows: JudgedRows) -> Estimate:
    rate = float(rows.label.mean()) if len(rows.label) else 0.0
    if rate in (0.0, 1.0):
        return _undefined(rows)
    loss = _log_loss(rows)
    entropy = -(rate * np.log(rate) + (1 - rate) * np.log1p(-rate))
    of_rate = np.log1p(-rate) - np.log(rate)
    moved = loss.value / entropy**2 * of_rate * (rows.label - rate) / len(rows.label)
    return Estimate(loss.value / entropy, loss.influence / entropy - moved)


def _calibration(rows: JudgedRows) -> Estimate:
    clicks = float(rows.label.sum())
    if not clicks:
        return _undefined(rows)
    value = float(rows.prediction.sum() / clicks)
    return Estimate(value, (rows.prediction - value * rows.label) / clicks)


def _calibration_error(rows: JudgedRows) -> Estimate:
    found = _calibration(rows)
    return Estimate(abs(found.value - 1), found.influence * np.sign(found.value - 1))


_METRICS: dict[str, Callable[[JudgedRows], Estimate]] = {
    "overall_auc": _overall_auc,
    "average_auc": _average_auc,
    "domain_auc": _domain_auc,
    "gauc": _gauc,
    "log_loss": _log_loss,
    "normalized_entropy": _normalized_entropy,
    "calibration": _calibration,
    "calibration_error": _calibration_error,
}
