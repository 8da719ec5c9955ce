"""Where an untrained model's logits start: at the click rate of each domain, shrunk. NumPy only."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

RARER_ROWS = 10.0
"""Rows of the rarer class with which a domain's own click rate counts as much as that of all domains."""


def shrunk_rates(rows: npt.ArrayLike, clicks: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Click rate of each domain, the nearer to that of all domains the fewer rows it has.

        p_d = (clicks_d + m mu) / (rows_d + m)
        mu  = sum_d w_d clicks_d / rows_d,   w_d proportional to rows_d / (rows_d + m)

    With this mean mu (Buehlmann and Straub's estimator of credibility) predictions sum to the clicks exactly:
    `sum_d rows_d p_d = sum_d clicks_d`. `m` is so many rows that `RARER_ROWS` of the rarer class are among them.

    Args:
        rows: `(D,)` rows of each domain; a domain without any gets mu.
        clicks: `(D,)` of them positive.

    Returns:
        `(D,)`, within (0, 1): with one class alone half a row of the other is taken as seen.

    Raises:
        ValueError: if there is no row.

    >>> shrunk_rates([900, 100], [90, 30]).round(3).tolist()
    [0.106, 0.243]
    """
    count, ones = np.asarray(rows, np.float64), np.asarray(clicks, np.float64)
    total = count.sum()
    if total <= 0:
        raise ValueError("there are no rows to take click rates from")
    overall = np.clip(ones.sum(), 0.5, total - 0.5) / total if total > 1 else 0.5
    strength = RARER_ROWS / min(overall, 1 - overall)
    weight = count / (count + strength)
    rate = np.divide(ones, count, out=np.zeros_like(count), where=count > 0)
    mean = (weight * rate).sum() / weight.sum()
    mean = np.clip(mean, 0.5 / total, 1 - 0.5 / total) if total > 1 else 0.5
    return np.asarray((ones + strength * mean) / (count + strength))


def logit(rate: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Log-odds of rates within (0, 1)."""
    probability = np.asarray(rate, np.float64)
    return np.asarray(np.log(probability) - np.log1p(-probability))
