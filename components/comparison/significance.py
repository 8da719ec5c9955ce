"""Is one model better than another, or was it luck? Paired, over seeds and over users."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
from scipy import stats

from components.comparison.scores import Scored

FEWEST_SEEDS = 3


@dataclasses.dataclass(frozen=True)
class SeedTest:
    """Paired t-test over seeds of a champion against another model.

    Attributes:
      difference: mean of champion minus other.
      p_value: two-sided; `None` with fewer than three seeds, whose two differences tell little of their own spread, or
        without any variation.
      seeds: how many.
      agree: whether none of them has the other model ahead of the one that is ahead on the mean.
    """

    difference: float
    p_value: float | None
    seeds: int
    agree: bool


@dataclasses.dataclass(frozen=True)
class UserTest:
    """Paired bootstrap over users.

    Attributes:
      difference: champion minus other, on the rows as they are.
      low, high: the middle 95 % of the differences over the samples.
      standard_error: their standard deviation.
      wins: share of the samples in which the champion is ahead.
    """

    difference: float
    low: float
    high: float
    standard_error: float
    wins: float


def seed_test(champion: Sequence[float], other: Sequence[float]) -> SeedTest:
    """Compares two models seed by seed.

    Args:
      champion: its metric for each seed.
      other: the other's for the same seeds, in the same order.
    """
    differences = np.asarray(champion) - np.asarray(other)
    p_value = None
    if len(differences) >= FEWEST_SEEDS and np.ptp(differences) > 0:
        p_value = float(stats.ttest_rel(champion, other).pvalue)
    mean = float(differences.mean())
    return SeedTest(mean, p_value, len(differences), bool((differences * mean >= 0).all()))


def mean_average_auc(runs: Sequence[Scored], weight: npt.NDArray[np.float64] | None = None) -> float:
    """Mean over seeds of the average AUC: the expected metric of one model, not that of an ensemble."""
    values = [run.average_auc(weight) for run in runs]
    return float(np.mean([value for value in values if value is not None]))


def domain_bootstrap(
    runs: Sequence[Scored], weights: Iterable[npt.NDArray[np.float64]]
) -> npt.NDArray[np.float64]:
    """A model's mean AUC of each domain that counts, on each of the resampled sets of users.

    Args:
      runs: its scores for each seed.
      weights: row weights of each bootstrap sample (`scores.user_weights`).

    Returns:
      (samples, counted domains), in the order of `EvaluationRows.counted`; NaN where a sample has one class.
    """
    counted = runs[0].rows.counted()
    aucs = [[[run.domain_auc(domain, weight) for domain in counted] for run in runs] for weight in weights]
    return np.asarray(np.array(aucs, float).reshape(len(aucs), len(runs), len(counted)).mean(axis=1))


def bootstrap(runs: Sequence[Scored], weights: Iterable[npt.NDArray[np.float64]]) -> npt.NDArray[np.float64]:
    """A model's mean average AUC on each of the resampled sets of users, (samples,); see `domain_bootstrap`."""
    return average_of(domain_bootstrap(runs, weights))


def average_of(domains: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The average AUC of each sample, (samples,), from what `domain_bootstrap` gave: of the domains that have one."""
    known = ~np.isnan(domains)
    total, count = np.where(known, domains, 0.0).sum(axis=1), known.sum(axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def paired_test(
    difference: float, champion: npt.NDArray[np.float64], other: npt.NDArray[np.float64]
) -> UserTest:
    """Compares two models on the same resampled users.

    Args:
      difference: champion minus other, on the rows as they are.
      champion, other: what `bootstrap` gave for the same weights. Samples without a value are left out.
    """
    differences = champion - other
    differences = differences[~np.isnan(differences)]
    low, high = np.percentile(differences, [2.5, 97.5])
    return UserTest(
        difference=difference,
        low=float(low),
        high=float(high),
        standard_error=float(differences.std(ddof=1)),
        wins=float((differences > 0).mean()),
    )


def user_test(
    champion: Sequence[Scored], other: Sequence[Scored], weights: Sequence[npt.NDArray[np.float64]]
) -> UserTest:
    """`paired_test` from the scores of two models for each seed."""
    return paired_test(
        mean_average_auc(champion) - mean_average_auc(other),
        bootstrap(champion, weights),
        bootstrap(other, weights),
    )


@dataclasses.dataclass(frozen=True)
class CombinedTest:
    """Whether one model is better than another beyond what both other seeds and other users might have told.

    Attributes:
      difference: mean over the seeds.
      standard_error: of both together; 0 where nothing varies.
      low, high: 95 %.
      p_value: two-sided; None where nothing varies.
    """

    difference: float
    standard_error: float
    low: float
    high: float
    p_value: float | None


def combined_test(differences: Sequence[float], resampled: npt.NDArray[np.float64]) -> CombinedTest:
    """A paired test over seeds and over users together.

        Var = Var over users of the mean over seeds + (variance over seeds) / n

    Student's t, with Satterthwaite's degrees of freedom: few seeds that differ much prove little, many users or not.
    With one seed, or seeds that agree exactly, the users alone decide.

    Args:
      differences: of one model's metric minus the other's, one per seed (n,).
      resampled: the mean over the seeds of the same difference on each resampled set of users; NaN is left out.
    """
    seeds = np.asarray(differences, np.float64)
    users = resampled[~np.isnan(resampled)]
    of_users = float(users.var(ddof=1)) if len(users) > 1 else 0.0
    of_seeds = float(seeds.var(ddof=1)) / len(seeds) if len(seeds) > 1 else 0.0
    difference, variance = float(seeds.mean()), of_users + of_seeds
    if variance <= 0:
        return CombinedTest(difference, 0.0, difference, difference, None)
    freedom = np.inf if of_seeds == 0 else variance**2 / (of_seeds**2 / (len(seeds) - 1))
    error = variance**0.5
    half = float(stats.t.ppf(0.975, freedom)) * error
    p_value = 2 * float(stats.t.sf(abs(difference) / error, freedom))
    return CombinedTest(difference, error, difference - half, difference + half, p_value)


def holm(p_values: Sequence[float]) -> list[float]:
    """P values of a family of tests, each as large as it has to be for all of them together (Holm, 1979).

    The smallest is multiplied by the number of tests, the next by one less, and so on; none is less than one before it.

    >>> [round(p, 3) for p in holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    """
    p = np.asarray(p_values, np.float64)
    order = np.argsort(p, kind="stable")
    adjusted = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    found = np.empty(len(p))
    found[order] = np.minimum(adjusted, 1.0)
    return found.tolist()
