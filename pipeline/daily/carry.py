"""What a day hands to the next: a pure step."""

from __future__ import annotations

import dataclasses

from components.dataset.sections import Daily
from pipeline.daily.ledger import Carry, LearnedDay, Service


@dataclasses.dataclass(frozen=True)
class Made:
    """What the pipeline of a day whose data were good has made; URIs of artifacts.

    Attributes:
      day: ISO.
      state: the behaviour state after the day.
      examples, transform_graph: its transformed rows.
      measured: its figures.
      progressive: the evaluation of the model that judged it; empty where none did.
      service: the model that was pushed; None where a gate refused it, and on the first day.
      rebased: whether the training began from nothing.
    """

    day: str
    state: str
    examples: str
    transform_graph: str
    measured: str
    progressive: str = ""
    service: Service | None = None
    rebased: bool = False


def after(prior: Carry, made: Made | None, daily: Daily) -> Carry:
    """What the next day gets.

    Args:
      prior: what the day got.
      made: what it made; None where its data were refused or are missing: all stays as it was.
      daily: how many days are kept for replay and as a baseline.

    >>> after(Carry(), None, Daily()) == Carry()
    True
    """
    if made is None:
        return prior.model_copy(deep=True, update={"incumbent": ""})
    learned = [LearnedDay(day=made.day, examples=made.examples, transform_graph=made.transform_graph)]
    learned += prior.learned
    pushed = made.service is not None
    baseline = daily.gates.baseline_days
    # The first model of a feed is not held against how well another's ranked.
    ranked = [] if pushed and prior.service is None else [made.progressive, *prior.progressive]
    return Carry(
        state=made.state,
        service=made.service or prior.service,
        learned=learned[: max(daily.replay_days, daily.rebase_days)],
        unlearned=[] if pushed else [made.day, *prior.unlearned],
        measured=[made.measured, *prior.measured][:baseline],
        progressive=[uri for uri in ranked if uri][:baseline],
        trained=(0 if made.rebased else prior.trained + 1) if pushed else prior.trained,
    )
