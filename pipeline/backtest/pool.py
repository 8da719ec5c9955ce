"""From the comparisons of several periods to one: means over the periods, tests over seeds and over users.

A user who was there in several periods is one user: the bootstrap draws users once, and each period's rows weigh as
often as their user was drawn. A period counts as much as any other, however many rows it has.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from components.judging.significance import bootstrap, paired_test, seed_test
from pipeline.backtest.result import Backtested
from pipeline.compare.collect import Evidence
from pipeline.compare.result import Comparison, Spread, Trained, Versus

SAMPLES = 500

Weights = list[npt.NDArray[np.float64]]


def shared_user_weights(
    users: Sequence[npt.NDArray[np.str_]], samples: int, seed: int
) -> tuple[list[Weights], int]:
    """Row weights of a bootstrap over the users of all periods together, and how many users there are.

    Args:
      users: who saw each row, as text, one array (rows of the period,) per period.
      samples: resampled sets of users.
      seed: of the drawing.

    Returns:
      For each period, `samples` arrays (rows of the period,): how often each row's user was drawn.
    """
    everyone, index = np.unique(np.concatenate(list(users)), return_inverse=True)
    ends = np.cumsum([len(period) for period in users])
    by_period = np.split(index, ends[:-1])
    generator = np.random.default_rng(seed)
    weights: list[Weights] = [[] for _ in users]
    for _ in range(samples):
        drawn = np.bincount(generator.integers(0, len(everyone), len(everyone)), minlength=len(everyone))
        for period, rows in zip(weights, by_period, strict=True):
            period.append(drawn.astype(float)[rows])
    return weights, len(everyone)


def pooled(
    comparisons: Sequence[Comparison],
    evidences: Sequence[Evidence],
    weights: Sequence[Weights],
) -> list[Backtested]:
    """Every model over all periods, best average AUC first.

    Args:
      comparisons: one per period, of the same models and seeds.
      evidences: their scores.
      weights: of `shared_user_weights`.
    """
    models = [_model(name, comparisons) for name in evidences[0].scored]
    reference = evidences[0].reference
    _test(models, reference, comparisons, evidences, weights)
    models.sort(key=lambda m: -(m.average_auc.mean if m.average_auc.mean is not None else float("-inf")))
    for rank, model in enumerate(models, 1):
        model.rank = rank
    return models


def _model(name: str, comparisons: Sequence[Comparison]) -> Backtested:
    found = [comparison.model(name) for comparison in comparisons]

    def over_periods(metric: Callable[[Trained], float | None]) -> Spread:
        return Spread.of(_seed_means([[metric(run) for run in model.trained] for model in found]))

    return Backtested(
        name=name,
        title=found[0].title,
        average_auc=over_periods(lambda run: run.average_auc),
        overall_auc=over_periods(lambda run: run.overall_auc),
        gauc=over_periods(lambda run: run.gauc),
        log_loss=over_periods(lambda run: run.log_loss),
        periods=[model.average_auc for model in found],
        chosen=[model.tuned for model in found],
    )


def _seed_means(values: Sequence[Sequence[float | None]]) -> list[float | None]:
    """The mean over the periods (rows) for each seed (column); None where a period has no value."""
    return [
        None if None in column else float(np.mean([value for value in column if value is not None]))
        for column in zip(*values, strict=True)
    ]


def _test(
    models: Sequence[Backtested],
    reference: str,
    comparisons: Sequence[Comparison],
    evidences: Sequence[Evidence],
    weights: Sequence[Weights],
) -> None:
    """Fills in `versus` and `ahead`."""
    by_name = {model.name: model for model in models}
    own = by_name[reference]
    if own.average_auc.mean is None:
        return
    samples = _bootstrap(reference, evidences, weights)
    seeds = _averages(reference, comparisons)
    for model in models:
        if model is own or model.average_auc.mean is None:
            continue
        over_seeds = seed_test(seeds, _averages(model.name, comparisons))
        over_users = paired_test(over_seeds.difference, samples, _bootstrap(model.name, evidences, weights))
        model.versus = Versus.of(over_seeds, over_users)
        model.ahead = sum(
            (a.mean or 0.0) > (b.mean or 0.0) for a, b in zip(own.periods, model.periods, strict=True)
        )


def _averages(name: str, comparisons: Sequence[Comparison]) -> list[float]:
    trained = [[run.average_auc for run in comparison.model(name).trained] for comparison in comparisons]
    return [value for value in _seed_means(trained) if value is not None]


def _bootstrap(
    name: str, evidences: Sequence[Evidence], weights: Sequence[Weights]
) -> npt.NDArray[np.float64]:
    """The model's mean over the periods on each resampled set of users, (samples,)."""
    by_period = [
        bootstrap(found.scored[name], period) for found, period in zip(evidences, weights, strict=True)
    ]
    return np.asarray(np.mean(by_period, axis=0))
