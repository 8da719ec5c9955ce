"""How the model in service ranks a day, against how it ranked those before."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Callable, Sequence

from components.evaluator.results import EvaluationResult

_CHANCE = 3.0


def ranks_worse(history: Sequence[EvaluationResult], today: EvaluationResult, drop: float) -> str:
    """Why a day is refused by how the model in service ranks it, in words; empty where it is not.

    Args:
      history: how it ranked the last good days, before it learned them, the newest first.
      today: how it ranks the day.
      drop: of the mean AUC within domains, weighted by rows, or of the AUC of all rows, which tells more where each
        domain has few; it must be beyond chance and habit, too.
    """
    for where, figure in _FIGURES.items():
        before = [found for found in map(figure, history) if found is not None]
        now = figure(today)
        if not before or now is None:
            continue
        usual, spread = _usual(before, now[1])
        if usual - now[0] > max(drop, _CHANCE * spread):
            return (
                f"the model in service ranks the day's rows {where} with an AUC of {now[0]:.4f}, where {usual:.4f} was "
                f"usual on the last {len(before)} good days ({(usual - now[0]) / spread:.0f} standard deviations): do "
                "the labels still belong to their rows, and do the columns mean what they did?"
            )
    return ""


def _usual(before: Sequence[tuple[float, float]], error: float) -> tuple[float, float]:
    """The mean of earlier figures, each counting half of the next, and the standard deviation of a day's distance.

    What they move from day to day beyond chance is told by neighbours: half of the squared distance of two, less their
    chance. The deviation from a mean would count what a young feed gains day by day as its habit, too.

    Args:
      before: figures with their standard errors, the newest first.
      error: that of the day's.
    """
    weights = [0.5**position for position in range(len(before))]
    total = sum(weights)
    usual = sum(weight * auc for weight, (auc, _) in zip(weights, before, strict=True)) / total
    chance = sum(own**2 for _, own in before) / len(before)
    squares = [(later - earlier) ** 2 / 2 for (later, _), (earlier, _) in itertools.pairwise(before)]
    moves = max(0.0, statistics.fmean(squares) - chance) if len(squares) > 1 else 0.0
    exactly = sum(weight**2 for weight in weights) / total**2
    return usual, math.sqrt(error**2 + moves + (chance + moves) * exactly)


def _within(result: EvaluationResult) -> tuple[float, float] | None:
    """The mean AUC within domains, weighted by rows, and its standard error."""
    domains = [
        (domain.rows, domain.auc, domain.auc_standard_error)
        for domain in result.domains.values()
        if domain.auc is not None and domain.auc_standard_error is not None
    ]
    rows = sum(count for count, _, _ in domains)
    if not rows:
        return None
    mean = sum(count * (auc or 0.0) for count, auc, _ in domains) / rows
    error = math.sqrt(sum((count * (error or 0.0)) ** 2 for count, _, error in domains)) / rows
    return mean, error


def _over_all(result: EvaluationResult) -> tuple[float, float] | None:
    """The AUC of all rows together, and its standard error."""
    overall = result.overall
    if overall.auc is None or overall.auc_standard_error is None:
        return None
    return overall.auc, overall.auc_standard_error


_FIGURES: dict[str, Callable[[EvaluationResult], tuple[float, float] | None]] = {
    "within their domains (a mean weighted by rows)": _within,
    "of all domains together": _over_all,
}
