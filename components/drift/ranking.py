"""How the model in service ranks a day, against how it ranked those before."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from components.evaluator.results import EvaluationResult

_CHANCE = 3.0


def ranks_worse(history: Sequence[EvaluationResult], today: EvaluationResult, drop: float) -> str:
    """Why a day is refused by how the model in service ranks it, in words; empty where it is not.

    Args:
      history: how it ranked the last good days, before it learned them.
      today: how it ranks the day.
      drop: of the mean AUC within domains, weighted by rows; it must be beyond chance and habit, too.
    """
    before = [figure for figure in map(_within, history) if figure is not None]
    now = _within(today)
    if not before or now is None:
        return ""
    usual = sum(auc for auc, _ in before) / len(before)
    auc, error = now
    chance = sum(error**2 for _, error in before) / len(before)
    # What it moves from day to day beyond chance.
    moves = max(0.0, statistics.variance([auc for auc, _ in before]) - chance) if len(before) > 2 else 0.0
    spread = math.sqrt(error**2 + moves + (chance + moves) / len(before))
    if usual - auc <= max(drop, _CHANCE * spread):
        return ""
    return (
        f"the model in service ranks the day's rows within their domains with an AUC of {auc:.4f}, where {usual:.4f} "
        f"was usual on the last {len(before)} good days ({(usual - auc) / spread:.0f} standard deviations): do the "
        "labels still belong to their rows, and do the columns mean what they did?"
    )


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
