"""The search: which settings are tried, and how many of them, for every model alike.

The first trial is the declaration as it is, so that no model is tuned to something that validates worse. Optuna's TPE
draws the others. A trial's draw depends on the seed, its number and the results before it: a search that was killed
goes on as if it had not been.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from components.dataset.declaration import Declaration
from models.registry import TREES, options_of

_SETTINGS = "settings"
_ERROR = "error"
# The same for every network: what anchors the comparison is that none has a search of its own.
NETWORKS: Mapping[str, BaseDistribution] = {
    "training.learning_rate": FloatDistribution(5e-4, 1e-2, log=True),
    "model.dropout": FloatDistribution(0.0, 0.4, step=0.1),
    "model.id_dropout": FloatDistribution(0.0, 0.6, step=0.1),
    "training.batch_size": CategoricalDistribution(["auto", 32, 64, 128, 256]),
}
FOREST: Mapping[str, BaseDistribution] = {
    "model.options.tree_learning_rate": FloatDistribution(0.02, 0.2, log=True),
    "model.options.leaves": IntDistribution(7, 63, log=True),
    "model.options.min_leaf_rows": IntDistribution(20, 500, log=True),
    "model.options.category_smoothing": FloatDistribution(1.0, 100.0, log=True),
    "model.options.most_categories": CategoricalDistribution([30, 100, 10_000]),
}


@dataclasses.dataclass(frozen=True)
class Reached:
    """What settings reached on the validation rows.

    Attributes:
      value: the average AUC.
      error: standard error, over the users, of its difference from the declaration's; None: not known.
    """

    value: float
    error: float | None = None


@dataclasses.dataclass(frozen=True)
class Trial:
    """One set of settings.

    Attributes:
      settings: `a.b=value` texts; none is the declaration as it is.
      value: the average AUC of the validation rows; None when training diverged.
      error: standard error, over the users, of its difference from the declaration's; None: not known.
    """

    settings: list[str]
    value: float | None
    error: float | None = None


def search_space(model: str) -> Mapping[str, BaseDistribution]:
    """What is searched for a model, by dotted name."""
    return FOREST if model == TREES else NETWORKS


def search(
    declaration: Declaration,
    trials: int,
    evaluate: Callable[[list[str]], Reached | None],
    journal: Path | None = None,
) -> list[Trial]:
    """Tries settings.

    Args:
      declaration: as declared; its seed is the search's.
      trials: how many to try, that of the declaration as it is included.
      evaluate: from settings to what they reach on the validation rows; None: training diverged. Called for the
        declaration before all others.
      journal: a file that outlives a kill; None to keep nothing.

    Returns:
      The trials in their order.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    space = dict(search_space(declaration.model.name))
    storage = None
    if journal is not None:
        journal.parent.mkdir(parents=True, exist_ok=True)
        storage = JournalStorage(JournalFileBackend(str(journal)))
    study = optuna.create_study(
        storage=storage, study_name="search", direction="maximize", load_if_exists=True
    )
    for stale in study.get_trials(states=[TrialState.RUNNING]):
        # Its process was killed.
        study.tell(stale.number, state=TrialState.FAIL)
    for number in range(len(_evaluated(study)), trials):
        # A sampler of its own for each trial: its draws do not depend on what this process has drawn before.
        study.sampler = optuna.samplers.TPESampler(seed=1000 * declaration.seed + number, n_startup_trials=4)
        # Killed before it was asked for, it waits still; killed later, it is asked for once more.
        if number == 0 and not study.get_trials(states=[TrialState.WAITING]):
            study.enqueue_trial(_declared(declaration, space))
        trial = study.ask(space)
        settings = [] if number == 0 else settings_of(trial.params)
        evaluated = evaluate(settings)
        trial.set_user_attr(_SETTINGS, settings)
        if evaluated is None:
            study.tell(trial, state=TrialState.FAIL)
        else:
            trial.set_user_attr(_ERROR, evaluated.error)
            study.tell(trial, evaluated.value)
    return [
        Trial(
            list(trial.user_attrs[_SETTINGS]),
            trial.value if trial.values else None,
            trial.user_attrs.get(_ERROR),
        )
        for trial in _evaluated(study)[:trials]
    ]


def _evaluated(study: optuna.Study) -> list[FrozenTrial]:
    """The trials that came to an end; not those whose process was killed."""
    return [trial for trial in study.trials if _SETTINGS in trial.user_attrs]


def best_of(trials: list[Trial]) -> Trial:
    """The best trial that gains more over the declaration than the gain's standard error; else the declaration.

    The average AUC of a validation day rests on a few small domains: the highest of several trials is as likely to be
    lucky as to be good, and what is declared was chosen on more than one day. (The rule of one standard error,
    Breiman et al., Classification and Regression Trees, 1984.)

    Args:
      trials: the declaration first. Where its training diverged the others compete by their values alone; a gain whose
        error is not known is none.
    """
    declared = trials[0]
    if declared.value is None:
        return max(trials, key=lambda trial: float("-inf") if trial.value is None else trial.value)
    beyond = [
        trial
        for trial in trials[1:]
        if trial.value is not None and trial.error is not None and trial.value - declared.value > trial.error
    ]
    return max(beyond, key=lambda trial: trial.value or 0.0, default=declared)


def settings_of(parameters: Mapping[str, Any]) -> list[str]:
    """Drawn values as settings, rounded to what a person would write down."""
    return [f"{name}={_rounded(value)}" for name, value in sorted(parameters.items())]


def _rounded(value: Any) -> Any:
    return float(f"{value:.3g}") if isinstance(value, float) else value


def _declared(declaration: Declaration, space: Mapping[str, BaseDistribution]) -> dict[str, Any]:
    """The declaration's own values, moved to the nearest that the search could draw: what the sampler learns from."""
    values: dict[str, Any] = {}
    for name, distribution in space.items():
        section, _, field = name.partition(".")
        if field.startswith("options."):
            option = field.removeprefix("options.")
            value = options_of(declaration.model.name)[option].read(option, declaration.model.options)
        else:
            value = getattr(getattr(declaration, section), field)
        values[name] = _nearest(value, distribution)
    return values


def _nearest(value: Any, distribution: BaseDistribution) -> Any:
    if isinstance(distribution, CategoricalDistribution):
        if value in distribution.choices:
            return value
        return min(
            (choice for choice in distribution.choices if choice != "auto"),
            key=lambda choice: abs(float(str(choice)) - float(value)),
        )
    assert isinstance(distribution, (FloatDistribution, IntDistribution))
    inside = min(max(value, distribution.low), distribution.high)
    if distribution.step is not None and isinstance(distribution, FloatDistribution):
        steps = round((inside - distribution.low) / distribution.step)
        return round(distribution.low + steps * distribution.step, 10)
    return inside
