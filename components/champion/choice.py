"""Which model of a comparison to ship: the one rule that `--push` follows and the advice names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

CHEAPER = 0.5
"""What trains in less than so much of another's time is cheaper beyond the noise of a machine."""


@dataclass(frozen=True)
class Passed:
    """A training that passed every gate.

    Attributes:
      validation: what its validation days said, more is better; None where they said nothing.
      seconds: of its training.
    """

    seed: int
    validation: float | None
    seconds: float


@dataclass(frozen=True)
class Choice:
    """What is shipped.

    Attributes:
      name, seed: of the training.
      best: the name of the model that validates best; another than `name` where that one costs less and the seeds do
        not agree which of the two validates better.
    """

    name: str
    seed: int
    best: str


def choose(trained: Mapping[str, Sequence[Passed]]) -> Choice | None:
    """The model that validates best, or a cheaper one that the seeds do not tell apart from it.

    The model with the highest mean over its seeds that passed. Where another trains in less than half of its time
    (`CHEAPER`, medians over seeds) and with some seed validates no worse, the costlier has nothing to show for its
    cost: of such models the one that validates best is taken. One seed cannot disagree. Of the model's seeds it is the
    one that validates best. The evaluation days have no say: they judge the choice.

    Args:
      trained: by model, its trainings that passed; models without one are left out.

    >>> choose({"dfei": [Passed(1, 0.72, 9), Passed(2, 0.70, 9)], "mlp": [Passed(1, 0.71, 3), Passed(2, 0.705, 3)]})
    Choice(name='mlp', seed=1, best='dfei')
    """
    models = {name: seeds for name, seeds in trained.items() if seeds}
    if not models:
        return None
    mean = {name: float(np.mean([_value(seed) for seed in seeds])) for name, seeds in models.items()}
    best = max(mean, key=lambda name: mean[name])
    cheaper = [name for name in models if _as_good_for_less(models[name], models[best])]
    name = max(cheaper, key=lambda name: mean[name]) if cheaper else best
    return Choice(name, max(models[name], key=_value).seed, best)


def costs_less(seconds: float, than: float) -> bool:
    """Whether a training of so many seconds is cheaper than another beyond the noise of a machine."""
    return seconds < CHEAPER * than


def _as_good_for_less(seeds: Sequence[Passed], best: Sequence[Passed]) -> bool:
    theirs = {seed.seed: _value(seed) for seed in best}
    paired = [(_value(seed), theirs[seed.seed]) for seed in seeds if seed.seed in theirs]
    return costs_less(_cost(seeds), _cost(best)) and any(own >= other for own, other in paired)


def _cost(seeds: Sequence[Passed]) -> float:
    return float(np.median([seed.seconds for seed in seeds]))


def _value(seed: Passed) -> float:
    return float("-inf") if seed.validation is None else seed.validation
