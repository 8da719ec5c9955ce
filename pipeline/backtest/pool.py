"""From the comparisons of several periods to one: means over the periods, tests over seeds and over users.

A user who was there in several periods is one user: the bootstrap draws users once, and each period's rows weigh as
often as their user was drawn. A period counts as much as any other, however many rows it has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from components.comparison.significance import (
    average_of,
    domain_bootstrap,
    paired_test,
    seed_test,
)
from pipeline.backtest.result import Backtested
from pipeline.compare.collect import Evidence
from pipeline.compare.result import Comparison, Spread, Trained, Versus


class SharedUsers:
    """A bootstrap over the users of all periods together.

    How often each user was drawn is kept, and each row's user; row weights are made when they are asked for.

    Args:
      users: who saw each row, as text, one array (rows of the period,) per period.
      samples: resampled sets of users.
      seed: of the drawing.

    Attributes:
      count: different users.
    """

    def __init__(self, users: Sequence[npt.NDArray[np.str_]], samples: int, seed: int) -> None:
        everyone, index = np.unique(np.concatenate(list(users)), return_inverse=True)
        self.count = len(everyone)
        self._rows = np.split(index, np.cumsum([len(period) for period in users])[:-1])
        generator = np.random.default_rng(seed)
        self._drawn = np.stack(
            [
                np.bincount(generator.integers(0, self.count, self.count), minlength=self.count).astype(
                    np.uint16
                )
                for _ in range(samples)
            ]
        )

    def weights(self, period: int) -> Iterator[npt.NDArray[np.float64]]:
        """For each sample how often the user of each row of a period was drawn, (rows of the period,)."""
        for drawn in self._drawn:
            yield drawn[self._rows[period]].astype(float)


def rows_as_users(users: Sequence[npt.NDArray[np.str_]]) -> list[npt.NDArray[np.str_]]:
    """For a data set without users, whose comparisons number the rows: each row of each period is a user of its own.

    Args:
      users: the rows' numbers, one array per period.
    """
    return [np.char.add(f"{period}:", rows) for period, rows in enumerate(users)]


def pooled(
    comparisons: Sequence[Comparison],
    evidences: Sequence[Evidence],
    users: SharedUsers,
) -> list[Backtested]:
    """Every model over all periods, best average AUC first.

    Args:
      comparisons: one per period, of the same models and seeds.
      evidences: their scores.
      users: of all periods, resampled.
    """
    models = [_model(name, comparisons) for name in evidences[0].scored]
    reference = evidences[0].reference
    _test(models, reference, comparisons, evidences, users)
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
    users: SharedUsers,
) -> None:
    """Fills in `versus` and `ahead`."""
    by_name = {model.name: model for model in models}
    own = by_name[reference]
    if own.average_auc.mean is None:
        return
    samples = _bootstrap(reference, evidences, users)
    shared = _shared_domains(evidences)
    seeds = _averages(reference, comparisons)
    for model in models:
        if model is own or model.average_auc.mean is None:
            continue
        over_seeds = seed_test(seeds, _averages(model.name, comparisons))
        theirs = _bootstrap(model.name, evidences, users)
        over_users = paired_test(over_seeds.difference, _averages_of(samples), _averages_of(theirs))
        within = {
            name: paired_test(
                _domain_mean(own.name, name, comparisons) - _domain_mean(model.name, name, comparisons),
                _of_domain(samples, columns),
                _of_domain(theirs, columns),
            )
            for name, columns in shared.items()
        }
        model.versus = Versus.of(over_seeds, over_users, within)
        model.ahead = sum(
            (a.mean or 0.0) > (b.mean or 0.0) for a, b in zip(own.periods, model.periods, strict=True)
        )


def _averages(name: str, comparisons: Sequence[Comparison]) -> list[float]:
    trained = [[run.average_auc for run in comparison.model(name).trained] for comparison in comparisons]
    return [value for value in _seed_means(trained) if value is not None]


def _bootstrap(name: str, evidences: Sequence[Evidence], users: SharedUsers) -> list[npt.NDArray[np.float64]]:
    """The model's AUC in each domain that counts, on each resampled set of users: (samples, domains) per period."""
    return [
        domain_bootstrap(found.scored[name], users.weights(period)) for period, found in enumerate(evidences)
    ]


def _averages_of(samples: Sequence[npt.NDArray[np.float64]]) -> npt.NDArray[np.float64]:
    """The mean of the average AUC over the periods in which the sample has one, (samples,)."""
    return average_of(np.stack([average_of(period) for period in samples], axis=1))


def _shared_domains(evidences: Sequence[Evidence]) -> dict[str, list[int]]:
    """The domains that count in every period, in the first one's order: their columns in each period's samples."""
    counted = [[found.rows.domains[d] for d in found.rows.counted()] for found in evidences]
    return {
        name: [names.index(name) for names in counted]
        for name in counted[0]
        if all(name in names for names in counted)
    }


def _of_domain(samples: Sequence[npt.NDArray[np.float64]], columns: Sequence[int]) -> npt.NDArray[np.float64]:
    """A domain's AUC as the mean over the periods in which the sample has one, (samples,).

    Over many periods there may be no sample that has one in all of them.
    """
    by_period = [period[:, column] for period, column in zip(samples, columns, strict=True)]
    return average_of(np.stack(by_period, axis=1))


def _domain_mean(name: str, domain: str, comparisons: Sequence[Comparison]) -> float:
    """The model's AUC in a domain, as the mean over seeds and periods."""
    return float(np.mean([comparison.model(name).domain_auc[domain] or 0.0 for comparison in comparisons]))
