"""Scores of groups of evaluation rows, on the rows as they are and on resampled sets of users."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from components.comparison.scores import Scored, user_weights
from components.comparison.significance import CombinedTest, combined_test, holm
from models.metrics import GroupedScores, log_losses
from pipeline.compare.result import Spread
from pipeline.study.expected import ExpectedPairs, expected_log_losses
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
            value = [_metric(metric, group, run) for run in runs]
            drawn = np.array([[one(w[at]) for w in weights] for one in value])
            seeds = np.array([one(np.ones(len(at))) for one in value])
            found[name, model] = Curve(seeds, drawn.mean(axis=0))
    return found


def _metric(metric: str, group: Group, run: Scored) -> Callable[[Floats], float]:
    """The metric of the rows of a group by their weights; NaN where there is none."""
    at = np.flatnonzero(group.rows)
    if metric == LOG_LOSS:
        losses = _losses(group, run)
        return lambda weight: -float(weight @ losses) / weight.sum() if weight.sum() else np.nan
    score, domain = run.score[at], run.rows.domain[at]
    ranked: GroupedScores | ExpectedPairs
    if group.probability is None:
        ranked = GroupedScores(run.rows.label[at], score, domain)
    else:
        ranked = ExpectedPairs(group.probability, score, domain)
    return lambda weight: _value(ranked.auc(weight))


def _losses(group: Group, run: Scored) -> Floats:
    score = run.score[group.rows]
    if group.probability is None:
        return np.asarray(log_losses(run.rows.label[group.rows], score))
    return expected_log_losses(group.probability, score)


def measured(
    point: str, scored: Mapping[str, Sequence[Scored]], groups: Mapping[str, Group], found: Curves
) -> list[Measured]:
    """Every model on every group, over seeds."""
    rows = next(iter(scored.values()))[0].rows
    results = []
    for name, group in groups.items():
        clicks = float(
            (rows.label[group.rows] == 1).sum() if group.probability is None else group.probability.sum()
        )
        for model, runs in scored.items():
            results.append(
                Measured(
                    point=point,
                    group=name,
                    model=model,
                    auc=Spread.of([None if np.isnan(v) else float(v) for v in found[name, model].seeds]),
                    log_loss=Spread.of([float(_losses(group, run).mean()) for run in runs]),
                    calibration=Spread.of(
                        [float(run.score[group.rows].sum()) / clicks if clicks else None for run in runs]
                    ),
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
