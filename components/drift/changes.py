"""Whether a figure that moves from day to day has moved by more than it usually does.

With `y_t` the logarithm of a number of rows, or the log-odds of a click, of day `t`, what is expected is the mean of
the days before, each counting half of the next:

    m_t = sum_k 2^-k y_{t-k} / sum_k 2^-k.

`y_t - m_t` has a variance `s^2 + v_t + v_m`: what the figure moves beyond chance, estimated from the days before over
all domains together and held back by a guess that counts as three observations, and chance itself. That is 1/rows and
1/(rows p (1 - p)) where these are many; of a day it is the `v_t` for which `(y_t - m_t)^2 / v_t` is the deviance of
what was counted, which holds for the few clicks of a small domain, too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from components.drift.figures import Counts
from components.example_gen.scales import Scale

# Usual change from day to day where little is known of it: 15 % of the rows, and of the odds.
_GUESS = 0.15
_GUESS_COUNTS = 3.0
_FLOOR = 0.05
# Variance of log|x| where all values are one.
_SAME = 1e-4
_T = TypeVar("_T", Counts, Scale)


@dataclass(frozen=True)
class Change:
    """How a figure has moved.

    Attributes:
      expected: the figure's mean over the days before, as rows or as a rate.
      found: what it is now.
      factor: found / expected, of rows or of odds.
      deviations: the change in standard deviations.
      days: on which the figure was there, of those before.
      spread: the standard deviation of the change, of the logarithm of the factor.
    """

    expected: float
    found: float
    factor: float
    deviations: float
    days: int = 0
    spread: float = 0.0

    def exceeds(self, deviations: float, factor: float) -> bool:
        """Whether the change is beyond chance and habit, and large."""
        return abs(self.deviations) > deviations and max(self.factor, 1 / self.factor) > factor


@dataclass(frozen=True)
class _Expected:
    mean: float
    variance: float


def row_changes(history: Sequence[Mapping[str, Counts]], today: Mapping[str, Counts]) -> dict[str, Change]:
    """How the rows of each domain have moved; a domain that has been there has 0 rows on the days without it since.

    Args:
      history: the last good days, the newest first; every domain's counts.
      today: the day's.
    """
    history = [
        {name: day.get(name, Counts()) for older in history[at:] for name in older}
        for at, day in enumerate(history)
    ]
    return _changes(
        history, today, _log_rows, lambda counts, mean: math.exp(-mean), _rows_of, _rows_deviance, Counts()
    )


def rate_changes(history: Sequence[Mapping[str, Counts]], today: Mapping[str, Counts]) -> dict[str, Change]:
    """How the click rate of each domain has moved; a domain without rows has none."""
    present = {name: counts for name, counts in today.items() if counts.rows}
    return _changes(
        history, present, _log_odds, _odds_variance, _rate_of, _clicks_deviance, Counts(), absent=False
    )


def scale_changes(history: Sequence[Mapping[str, Scale]], today: Mapping[str, Scale]) -> dict[str, Change]:
    """How large the numbers of each column are beside what was usual; a column without a number but 0 has no change.

    What usually moves is each column's own. The mean of log|x| has the variance that the values have within a day.
    """
    found: dict[str, Change] = {}
    for name, scale in today.items():
        past = [{name: day[name]} for day in history if name in day and day[name].rows]
        if not past or not scale.rows:
            continue
        days = [scale, *(day[name] for day in past)]
        within = sum(day.squares for day in days) / max(1, sum(day.rows - 1 for day in days))

        def variance(one: Scale, mean: float, within: float = within) -> float:
            return max(within, _SAME) / one.rows

        def deviance(one: Scale, mean: float, within: float = within) -> float:
            return (one.mean - mean) ** 2 / variance(one, mean, within)

        found |= _changes(past, {name: scale}, _mean, variance, math.exp, deviance, Scale(), absent=False)
    return found


def _mean(scale: Scale) -> float:
    return scale.mean


def _changes(
    history: Sequence[Mapping[str, _T]],
    today: Mapping[str, _T],
    value: Callable[[_T], float],
    variance: Callable[[_T, float], float],
    shown: Callable[[float], float],
    deviance: Callable[[_T, float], float],
    empty: _T,
    *,
    absent: bool = True,
) -> dict[str, Change]:
    names = [name for name in {name for day in history for name in day} if absent or name in today]
    usual = _usual(history, names, value, variance)
    found = {}
    for name in sorted(names):
        past = [day[name] for day in history if name in day]
        expected = _expected(past, value, variance)
        counts = today.get(name, empty)
        moved = value(counts) - expected.mean
        far = deviance(counts, expected.mean)
        # Close to what is expected the two agree, and the ratio is noise.
        chance = moved**2 / far if far > 1 else variance(counts, expected.mean)
        spread = math.sqrt(usual + chance + expected.variance)
        days = sum(day.rows > 0 for day in past)
        found[name] = Change(
            shown(expected.mean), shown(value(counts)), math.exp(moved), moved / spread, days, spread
        )
    return found


def _usual(
    history: Sequence[Mapping[str, _T]],
    names: Sequence[str],
    value: Callable[[_T], float],
    variance: Callable[[_T, float], float],
) -> float:
    """The variance of a usual change from the days before to a day, beyond chance."""
    total, weight = _GUESS_COUNTS * _GUESS**2, _GUESS_COUNTS
    for name in names:
        days = [day[name] for day in history if name in day and day[name].rows]
        for position in range(len(days) - 1):
            expected = _expected(days[position + 1 :], value, variance)
            chance = variance(days[position], expected.mean) + expected.variance
            moved = value(days[position]) - expected.mean
            # A domain of few rows tells little of what is beyond chance.
            counts = _GUESS**2 / (_GUESS**2 + chance)
            total += counts * (moved**2 - chance)
            weight += counts
    return max(_FLOOR**2, total / weight)


def _expected(
    days: Sequence[_T], value: Callable[[_T], float], variance: Callable[[_T, float], float]
) -> _Expected:
    weights = [0.5**position for position in range(len(days))]
    total = sum(weights)
    mean = sum(weight * value(day) for weight, day in zip(weights, days, strict=True)) / total
    spread = sum(weight**2 * variance(day, value(day)) for weight, day in zip(weights, days, strict=True))
    return _Expected(mean, spread / total**2)


def _log_rows(counts: Counts) -> float:
    return math.log(max(counts.rows, 0.5))


def _rows_of(value: float) -> float:
    rows = math.exp(value)
    return 0.0 if rows <= 0.5 else rows


def _log_odds(counts: Counts) -> float:
    return math.log((counts.clicks + 0.5) / (counts.rows - counts.clicks + 0.5))


def _odds_variance(counts: Counts, mean: float) -> float:
    rate = _rate_of(mean)
    return 1 / max(counts.rows * rate * (1 - rate), 0.25)


def _rows_deviance(counts: Counts, mean: float) -> float:
    """Twice the log of how much more likely the rows are at their own rate than at the expected one (Poisson)."""
    expected = math.exp(mean)
    return 2 * (_times_log(counts.rows, expected) - (counts.rows - expected))


def _clicks_deviance(counts: Counts, mean: float) -> float:
    """The same of clicks among rows (binomial)."""
    expected = counts.rows * _rate_of(mean)
    clicked = _times_log(counts.clicks, expected)
    return 2 * (clicked + _times_log(counts.rows - counts.clicks, counts.rows - expected))


def _times_log(count: float, expected: float) -> float:
    return count * math.log(count / expected) if count else 0.0


def _rate_of(value: float) -> float:
    return 1 / (1 + math.exp(-value))
