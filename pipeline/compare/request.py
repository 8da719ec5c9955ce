"""`dfei compare`: what was asked for, checked before anything heavy is imported."""

from __future__ import annotations

import dataclasses
import os

from components.dataset.declaration import Declaration
from components.errors import InputError
from pipeline.compare.variants import Variant, chosen
from pipeline.request import RunRequest, declared

MOST_JOBS = 8


@dataclasses.dataclass(frozen=True)
class CompareRequest(RunRequest):
    """What the user asked for.

    Attributes:
      models: names of `pipeline.compare.variants`; none: the nine systems and gradient-boosted trees.
      seeds: trainings of each model.
      jobs: trainings at once; None for one per core.
      trials: settings that are tried for each model; 0: the declared ones are used.
      push: whether the champion is pushed.
      champion: which of the models may be it; empty: the one that validates best.
      latency: whether each model's serving latency is measured.
      evaluator: whether TFMA's Evaluator judges each exported model too, and its gates bless.
    """

    models: tuple[str, ...] = ()
    seeds: int = 3
    jobs: int | None = None
    trials: int = 0
    push: bool = False
    champion: str = ""
    latency: bool = True
    evaluator: bool = True


def default_jobs() -> int:
    """One training per core: small models gain more from that than from threads."""
    return min(len(os.sched_getaffinity(0)), MOST_JOBS)


def checked(request: CompareRequest) -> tuple[list[Variant], Declaration]:
    """What is compared, and the declaration with the command line's settings.

    Raises:
      InputError: the declaration, a model's name, a number or a setting is wrong.
    """
    variants = chosen(request.models)
    jobs = default_jobs() if request.jobs is None else request.jobs
    for option, value, least in (
        ("--seeds", request.seeds, 1),
        ("--jobs", jobs, 1),
        ("--trials", request.trials, 0),
    ):
        if value < least:
            raise InputError(f"{option} {value}: give a number of at least {least}")
    names = [variant.name for variant in variants]
    if request.champion and request.champion not in names:
        raise InputError(f"--champion {request.champion}: is none of the compared models: {', '.join(names)}")
    if request.champion and not request.push:
        raise InputError(f"--champion {request.champion}: says what is pushed: add --push")
    declaration: Declaration = declared(
        request.dataset, request.overrides, None, [variant.model for variant in variants]
    )
    if declaration.moving_average.eval_state != "frozen":
        raise InputError(
            f"moving_average.eval_state is {declaration.moving_average.eval_state}: a comparison judges models as they "
            "are served, with the averages at the end of training; add --set moving_average.eval_state=frozen"
        )
    return variants, declaration
