"""The pipeline of one day: judged by the model in service, learned from its weights, judged again, finished, pushed."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from tfx.dsl.components.base.base_node import BaseNode
from tfx.dsl.components.common.importer import Importer
from tfx.orchestration.pipeline import Pipeline
from tfx.types import BaseChannel, standard_artifacts

from components.dataset.declaration import Declaration
from components.drift.component import DataGates
from components.drift.progressive import ProgressiveGate
from components.trainer.component import ContinuedTrainer
from components.transform.component import BehaviourStateArtifact, StatefulTransform
from pipeline import views
from pipeline.chain import Chain, ChainSettings, if_blessed
from pipeline.code_hash import code_hash
from pipeline.daily.ledger import Carry, LearnedDay
from pipeline.daily.served import pushed_by

VALIDATOR = "StrictExampleValidator"
DATA = (
    "DeclaredExampleGen",
    "StatisticsGen",
    VALIDATOR,
    "DataGates",
    "Progressive",
    "ProgressiveGate",
)
"""The components that look at the data: what they refuse is no part of the state."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class DaySettings(ChainSettings):
    """What a day's pipeline is made of; `declaration` is the day's (`pipeline.daily.declared.for_day`).

    Attributes:
      day: ISO.
      carry: what the day before handed over.
      rebase: whether the training begins from nothing.
      accepted: whether the day's data are taken as they are.
      root: of the feed, for a version to say whose it is.
    """

    day: str
    carry: Carry
    rebase: bool
    accepted: bool
    root: str


@dataclasses.dataclass(frozen=True)
class Given:
    """What a day starts from, as channels of one artifact each; None: there is none.

    Attributes:
      service: the model in service, which judges.
      earlier_run: what the candidate's training goes on from; None: it begins from nothing.
      state: the behaviour state after the day before; None: this is the first day.
      nodes: that give them.
    """

    service: BaseChannel | None = None
    earlier_run: BaseChannel | None = None
    state: BaseChannel | None = None
    nodes: tuple[BaseNode, ...] = ()

    @classmethod
    def by(cls, carry: Carry, *, rebase: bool) -> Given:
        """The artifacts that an earlier day made, from where they lie."""
        nodes: list[BaseNode] = []

        def imported(uri: str, kind: Any, node: str) -> BaseChannel | None:
            if not uri:
                return None
            nodes.append(Importer(source_uri=uri, artifact_type=kind).with_id(node))
            return nodes[-1].outputs["result"]

        service = carry.service
        return cls(
            service=imported(carry.judge, standard_artifacts.Model, "InService"),
            earlier_run=imported(service.model_run, standard_artifacts.ModelRun, "EarlierRun")
            if service is not None and not rebase
            else None,
            state=imported(carry.state, BehaviourStateArtifact, "PriorState"),
            nodes=tuple(nodes),
        )


def create_day_pipeline(
    settings: DaySettings,
    given: Given | None = None,
    close: Callable[[Mapping[str, BaseNode]], BaseNode] | None = None,
) -> Pipeline:
    """Chains the components of a day.

    The first day ends with its state: of its own rows none sees a past, so a model of them would not know what to
    make of the averages that it is served with.

    Args:
      settings: the day, what it starts from, the places.
      given: what it starts from, where a runner gives it otherwise than by `settings.carry`.
      close: makes a last component of all the others, by id; None: there is no such.

    Returns:
      The pipeline, named `dfei-<data set>-daily`.
    """
    declaration, carry, chain = settings.declaration, settings.carry, Chain(settings)
    given = given or Given.by(carry, rebase=settings.rebase)
    gates = declaration.daily.gates
    data_gates = DataGates(
        examples=chain.examples,
        statistics=chain.statistics,
        schema=chain.schema,
        declaration=views.for_gates(declaration),
        day=settings.day,
        baseline=json.dumps(carry.measured[: gates.baseline_days]),
        known=carry.learned[0].transform_graph if carry.learned else "",
        requests=request_log(declaration, settings.data_dir),
        accepted=int(settings.accepted),
        code=code_hash("drift"),
    )
    data_gates.add_upstream_node(chain.validator)
    nodes: list[BaseNode] = [*given.nodes, *chain.front, data_gates]
    last: BaseNode = data_gates
    if given.service is not None:
        progressive = _progressive(settings, chain, given.service)
        progressive[0].add_upstream_node(data_gates)
        nodes += progressive
        last = progressive[-1]
    transform = StatefulTransform(
        examples=chain.examples,
        schema=chain.schema,
        declaration=views.for_transform(declaration),
        code=code_hash("transform"),
        prior_state=given.state,
        events=bool(declaration.events),
        one_day=True,
    )
    transform.add_upstream_node(last)
    nodes.append(transform)
    if given.state is not None:
        nodes += _learning(settings, chain, given, transform, conditions=close is None)
    if close is not None:
        nodes.append(close({node.id: node for node in nodes}))
    return chain.pipeline(f"dfei-{declaration.name}-daily", nodes)


def _learning(
    settings: DaySettings, chain: Chain, given: Given, transform: StatefulTransform, *, conditions: bool
) -> list[BaseNode]:
    """Candidate, Evaluator, Trainer, signature check, Pusher; with `conditions` a refused candidate ends the day."""
    declaration, carry = settings.declaration, settings.carry
    graph = transform.outputs["transform_graph"]
    transformed = transform.outputs["transformed_examples"]
    config = {
        "declaration": views.for_trainer(declaration),
        "code": code_hash("trainer"),
        "work_dir": settings.work_dir,
        "continues": True,
        **how_to_learn(declaration),
    }
    candidate = ContinuedTrainer(
        examples=transformed,
        transform_graph=graph,
        schema=chain.schema,
        split="train",
        custom_config={**config, **replay(declaration, carry, rebase=settings.rebase)},
        earlier_run=given.earlier_run,
    ).with_id("Candidate")
    evaluator = chain.evaluator(
        candidate.outputs["model"],
        baseline=given.service,
        deviations=declaration.daily.deviations,
        drop_deviations=of_a_drop(carry),
    )
    blessing = evaluator.outputs["blessing"]
    with if_blessed(blessing) if conditions else nullcontext():
        trainer = ContinuedTrainer(
            examples=transformed,
            transform_graph=graph,
            schema=chain.schema,
            split="eval",
            custom_config={**config, "newest_state": True},
            earlier_run=candidate.outputs["model_run"],
        ).with_id("Trainer")
        trainer.add_upstream_node(evaluator)
        told = pushed_by(settings.day, settings.root)
        pushed = chain.push(trainer.outputs["model"], blessing, graph, told)
    return [candidate, evaluator, trainer, *pushed]


def request_log(declaration: Declaration, data_dir: str) -> str:
    """The folder of the server's log of requests; empty where it is not there."""
    folder = Path(data_dir, declaration.daily.requests)
    return str(folder) if folder.is_dir() else ""


def of_a_drop(carry: Carry) -> float | None:
    """Standard errors by which a candidate may be worse than what is served; None: as many as may miss a bound.

    0 where it would take the place of a model that no day has made: that one may have learned much more, and few hours
    of rows would let pass whatever is not sure to be worse.
    """
    return 0.0 if carry.incumbent else None


def how_to_learn(declaration: Declaration) -> dict[str, Any]:
    """What the declaration says of a day's trainings, whatever the day."""
    daily = declaration.daily
    return {"calibrate": daily.calibrate, "learning_rate_scale": daily.learning_rate_scale}


def replay(declaration: Declaration, carry: Carry, *, rebase: bool) -> dict[str, Any]:
    """What the training of a day reads of earlier days.

    From nothing: the last `daily.rebase_days`, whole. Else those that no model in service has learned, whole; without
    such, a share of the last `daily.replay_days`.
    """
    daily = declaration.daily
    share = 1.0
    unlearned = [day for day in carry.learned if day.day in carry.unlearned]
    if rebase or carry.service is None:
        days = carry.learned[: daily.rebase_days - 1]
    elif unlearned:
        days = unlearned[: daily.rebase_days - 1]
    else:
        days, share = carry.learned[: daily.replay_days], daily.replay_share
    if share == 0:
        days = []
    return {"replay": [_earlier(day) for day in reversed(days)], "replay_share": share or 1.0}


def _earlier(day: LearnedDay) -> dict[str, str]:
    return {"examples": day.examples, "transform_graph": day.transform_graph}


def _progressive(settings: DaySettings, chain: Chain, service: BaseChannel) -> list[BaseNode]:
    """The model in service on the whole day, before it learns any of it, and the gate that looks at its ranking."""
    gates = settings.declaration.daily.gates
    evaluator = chain.evaluator(service, splits=("train", "eval")).with_id("Progressive")
    gate = ProgressiveGate(
        evaluation=evaluator.outputs["evaluation"],
        day=settings.day,
        baseline=json.dumps(settings.carry.progressive[: gates.baseline_days]),
        drop=gates.auc_drop,
        accepted=int(settings.accepted),
        code=code_hash("drift"),
    )
    return [evaluator, gate]
