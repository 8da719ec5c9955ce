"""`moving_average.decay: auto`: each domain's decay, from how well its averages would have told its next bucket.

Beside the average with the decay in use there is one for each of a few candidates. Before a bucket moves them, each is
held against that bucket's mean: its one-step-ahead error. Of a domain, with `mse_g` the mean of the squared errors of
candidate `g`, each bucket weighing by its values, over `T` buckets,

    score_g = T times the mean over behaviours of log mse_g,

twice the negative log likelihood of errors of unknown size: large domains and frequent behaviours have no louder say.
A domain takes the candidate with the least

    score_g + PRIOR_BUCKETS * common_g,
    common_g = (T (sum of all domains' scores_g) / (sum of their T) + USUAL_BUCKETS * usual_g) / (T + USUAL_BUCKETS)

with the largest T: a domain of few buckets takes what suits all, and all take the usual decay while nobody has many,
`usual_g` being the log mse expected where that is the best. What is chosen for a bucket knows the buckets before it
alone, so folding a log in pieces gives what one pass does, and no row sees a later one. Of a random walk with noise the
best such average is the steady-state Kalman filter, of decay `1 - K`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

CANDIDATES = (0.1, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98)
USUAL = 0.9
PRIOR_BUCKETS, USUAL_BUCKETS = 20.0, 10.0
_LEAST = 1e-12


def expected_mse(best: float, decay: float) -> float:
    """One-step-ahead mean squared error of an average, over the variance of the noise, where another decay is best.

    Of a random walk with noise whose steady-state Kalman gain is `K = 1 - best`, hence the variance of a step
    `q = K^2 / (1 - K)`; with `k = 1 - decay` it is 1 + (k^2 + q) / (1 - (1 - k)^2).

    >>> round(expected_mse(0.8, 0.8), 3), round(expected_mse(0.8, 0.5), 3)  # the best one's is 1 / best
    (1.25, 1.4)
    """
    gain, own = 1 - best, 1 - decay
    step = gain**2 / (1 - gain)
    return 1 + (own**2 + step) / (1 - (1 - own) ** 2)


_USUAL_SCORE = np.log([expected_mse(USUAL, decay) for decay in CANDIDATES])


@dataclass(frozen=True)
class DecayState:
    """What the choice is made from; `D` domains, `G` candidates, `F` behaviours.

    Attributes:
      averages: of every candidate, float64 (D, G, F), NaN before a domain's first value.
      errors: squared one-step-ahead errors, each times the bucket's values, float64 (D, G, F).
      values, buckets: values and buckets that errors were taken of, float64 (D, F).
    """

    averages: np.ndarray
    errors: np.ndarray
    values: np.ndarray
    buckets: np.ndarray

    @classmethod
    def empty(cls, domains: int, behaviours: int) -> DecayState:
        """Before the first bucket."""
        wide, flat = (domains, len(CANDIDATES), behaviours), (domains, behaviours)
        return cls(np.full(wide, np.nan), np.zeros(wide), np.zeros(flat), np.zeros(flat))

    def moved(self, mean: np.ndarray, count: np.ndarray) -> DecayState:
        """After a bucket.

        Args:
          mean, count: of the values that are not missing, float64 (D, F).
        """
        decay = np.array(CANDIDATES)[None, :, None]
        new, here = np.isnan(self.averages), (count > 0)[:, None]
        told = ~new & here
        error = np.where(told, count[:, None] * np.square(np.nan_to_num(self.averages) - mean[:, None]), 0.0)
        moved = np.where(new, mean[:, None], decay * self.averages + (1 - decay) * mean[:, None])
        counted = told[:, 0]
        return DecayState(
            np.where(here, moved, self.averages),
            self.errors + error,
            self.values + np.where(counted, count, 0.0),
            self.buckets + counted,
        )

    def chosen(self) -> np.ndarray:
        """The place of each domain's decay among the candidates, int (D,)."""
        mse = self.errors / np.maximum(self.values, 1.0)[:, None]
        score = (self.buckets[:, None] * np.log(mse + _LEAST)).mean(axis=2)
        buckets = self.buckets.mean(axis=1)
        most = buckets.max(initial=0.0)
        all_domains = score.sum(axis=0) / max(buckets.sum(), 1e-9)
        common = (most * all_domains + USUAL_BUCKETS * _USUAL_SCORE) / (most + USUAL_BUCKETS)
        return np.asarray((score + PRIOR_BUCKETS * common).argmin(axis=1))

    def current(self) -> np.ndarray:
        """The averages with each domain's own decay, float64 (D, F)."""
        return np.asarray(np.take_along_axis(self.averages, self.chosen()[:, None, None], axis=1)[:, 0])

    def of(self, at: np.ndarray) -> DecayState:
        """Those of some domains in their order; a negative place is a new one."""
        fresh = DecayState.empty(1, self.values.shape[1])
        parts = (
            np.concatenate([own, new])[np.where(at < 0, len(own), at)]
            for own, new in (
                (self.averages, fresh.averages),
                (self.errors, fresh.errors),
                (self.values, fresh.values),
                (self.buckets, fresh.buckets),
            )
        )
        return DecayState(*parts)
