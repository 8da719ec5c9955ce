"""Scores of groups of evaluation rows, on the rows as they are and on resampled sets of users."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from components.comparison.scores import Scored, user_weights
from components.comparison.significance import CombinedTest, combined_test, holm
from models.metrics import GroupedScores, log_loss, log_losses
from pipeline.compare.result import Spread
from pipeline.study.plan import AUC, LOG_LOSS, Group
from pipeline.study.result import Measured, Tested

SAMPLES = 200
SEED = 1

Floats = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Curve:
    """A metric of one model on one group; more is better.

    Attributes:
      seeds: one per seed (n,); NaN where there is none.
      resampled: their mean on each resampled set of users (samples,).
    """

    seeds: Floats
    resampled: Floats

    def minus(self, other: Curve) -> CombinedTest | None:
        """The test of this against another of as many seeds; None where one has no AUC."""
        differences = self.seeds - other.seeds
        if np.isnan(differences).any():
            return None
        return combined_test(differences.tolist(), self.resampled - other.resampled)


Curves = Mapping[tuple[str, str], Curve]


def curves(
    scored: Mapping[str, Sequence[Scored]],
    groups: Mapping[str, Group],
    metric: str = AUC,
    samples: int = SAMPLES,
) -> Curves:
    """By group and model. The same users are drawn for all.

    Args:
      scored: each model's scores of the same rows, one per seed.
      groups: of these rows.
      metric: `AUC`, or `LOG_LOSS`, whose sign is turned.
      samples: resampled sets of users.
    """
    rows = next(iter(scored.values()))[0].rows
    weights = np.array(user_weights(rows.user, samples, SEED)).reshape(samples, -1)
    found = {}
    for name, group in groups.items():
        at = np.flatnonzero(group.rows)
        for model, runs in scored.items():
            value = [_metric(metric, rows.label[at], run.score[at], rows.domain[at]) for run in runs]
            drawn = np.array([[one(w[at]) for w in weights] for one in value])
            seeds = np.array([one(np.ones(len(at))) for one in value])
            found[name, model] = Curve(seeds, drawn.mean(axis=0))
    return found


def _metric(
    metric: str, label: npt.NDArray[Any], score: npt.NDArray[Any], domain: npt.NDArray[Any]
) -> Callable[[Floats], float]:
    """The metric of some rows by their weights; NaN where there is none."""
    if metric == LOG_LOSS:
        losses = log_losses(label, score)
        return lambda weight: -float(weight @ losses) / weight.sum() if weight.sum() else np.nan
    ranked = GroupedScores(label, score, domain)
    return lambda weight: _value(ranked.auc(weight))


def measured(
    point: str, scored: Mapping[str, Sequence[Scored]], groups: Mapping[str, Group], found: Curves
) -> list[Measured]:
    """Every model on every group, over seeds."""
    rows = next(iter(scored.values()))[0].rows
    results = []
    for name, group in groups.items():
        label = rows.label[group.rows]
        clicks = float((label == 1).sum())
        for model, runs in scored.items():
            given = [run.score[group.rows] for run in runs]
            results.append(
                Measured(
                    point=point,
                    group=name,
                    model=model,
                    auc=Spread.of([None if np.isnan(v) else float(v) for v in found[name, model].seeds]),
                    log_loss=Spread.of([log_loss(label, p) if len(label) else None for p in given]),
                    calibration=Spread.of([float(p.sum()) / clicks if clicks else None for p in given]),
                )
            )
    return results


def against(
    point: str,
    group: str,
    reference: tuple[str, Curve],
    others: Iterable[tuple[str, Curve]],
    metric: str = AUC,
) -> list[Tested]:
    """The reference against each of the others, by name."""
    tests = []
    for name, curve in others:
        test = reference[1].minus(curve)
        if test is not None:
            tests.append(
                Tested(
                    point=point,
                    group=group,
                    metric=metric,
                    reference=reference[0],
                    other=name,
                    difference=test.difference,
                    low=test.low,
                    high=test.high,
                    p_value=test.p_value,
                )
            )
    return tests


def adjust(tests: Sequence[Tested]) -> None:
    """Fills in `adjusted` for the family of all tests that have a p value."""
    family = [test for test in tests if test.p_value is not None]
    for test, value in zip(family, holm([t.p_value for t in family if t.p_value is not None]), strict=True):
        test.adjusted = value


def _value(auc: float | None) -> float:
    return np.nan if auc is None else auc
