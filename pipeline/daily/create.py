"""The pipeline of one day: judged by the model in service, learned from its weights, judged again, finished, pushed."""

from __future__ import annotations

import dataclasses
from typing import Any

from tfx.dsl.components.base.base_node import BaseNode
from tfx.dsl.components.common.importer import Importer
from tfx.orchestration.pipeline import Pipeline
from tfx.types import standard_artifacts

from components.dataset.declaration import Declaration
from components.drift.component import DataGates
from components.drift.progressive import ProgressiveGate
from components.trainer.component import ContinuedTrainer
from components.transform.component import BehaviourStateArtifact, StatefulTransform
from pipeline import views
from pipeline.chain import Chain, ChainSettings
from pipeline.code_hash import code_hash
from pipeline.daily.ledger import Carry, LearnedDay

DATA = (
    "DeclaredExampleGen",
    "StatisticsGen",
    "StrictExampleValidator",
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
    """

    day: str
    carry: Carry
    rebase: bool
    accepted: bool


def create_day_pipeline(settings: DaySettings) -> Pipeline:
    """Chains the components of a day.

    The first day ends with its state: of its own rows none sees a past, so a model of them would not know what to
    make of the averages that it is served with.

    Args:
      settings: the day, what it starts from, the places.

    Returns:
      The pipeline, named `dfei-<data set>-daily`.
    """
    declaration, carry, chain = settings.declaration, settings.carry, Chain(settings)
    gates = declaration.daily.gates
    data_gates = DataGates(
        examples=chain.examples,
        statistics=chain.statistics,
        schema=chain.schema,
        declaration=views.for_gates(declaration),
        day=settings.day,
        baseline=carry.measured[: gates.baseline_days],
        known=carry.learned[0].transform_graph if carry.learned else "",
        accepted=settings.accepted,
        code=code_hash("drift"),
    )
    data_gates.add_upstream_node(chain.validator)
    nodes: list[BaseNode] = [*chain.front, data_gates]
    last: BaseNode = data_gates
    service = None
    if carry.service is not None:
        service = Importer(source_uri=carry.service.model, artifact_type=standard_artifacts.Model).with_id(
            "InService"
        )
        progressive = _progressive(settings, chain, service)
        progressive[0].add_upstream_node(data_gates)
        nodes += [service, *progressive]
        last = progressive[-1]
    prior_state = _imported(carry.state, BehaviourStateArtifact, "PriorState", nodes)
    transform = StatefulTransform(
        examples=chain.examples,
        schema=chain.schema,
        declaration=views.for_transform(declaration),
        code=code_hash("transform"),
        prior_state=prior_state,
        one_day=True,
    )
    transform.add_upstream_node(last)
    nodes.append(transform)
    if prior_state is not None:
        nodes += _learning(settings, chain, service, transform, nodes)
    return chain.pipeline(f"dfei-{declaration.name}-daily", nodes)


def _learning(
    settings: DaySettings,
    chain: Chain,
    service: Importer | None,
    transform: StatefulTransform,
    nodes: list[BaseNode],
) -> list[BaseNode]:
    """Candidate, Evaluator, Trainer, signature check, Pusher."""
    declaration, carry = settings.declaration, settings.carry
    graph = transform.outputs["transform_graph"]
    transformed = transform.outputs["transformed_examples"]
    earlier_run = None
    if carry.service is not None and not settings.rebase:
        earlier_run = _imported(carry.service.model_run, standard_artifacts.ModelRun, "EarlierRun", nodes)
    config = {
        "declaration": views.for_trainer(declaration),
        "code": code_hash("trainer"),
        "work_dir": settings.work_dir,
        "continues": True,
        "calibrate": declaration.daily.calibrate,
    }
    candidate = ContinuedTrainer(
        examples=transformed,
        transform_graph=graph,
        schema=chain.schema,
        split="train",
        custom_config={**config, **replay(declaration, carry, rebase=settings.rebase)},
        earlier_run=earlier_run,
    ).with_id("Candidate")
    evaluator = chain.evaluator(
        candidate.outputs["model"],
        baseline=service.outputs["result"] if service is not None else None,
        deviations=declaration.daily.deviations,
    )
    trainer = ContinuedTrainer(
        examples=transformed,
        transform_graph=graph,
        schema=chain.schema,
        split="eval",
        custom_config={**config, "newest_state": True},
        earlier_run=candidate.outputs["model_run"],
    ).with_id("Trainer")
    trainer.add_upstream_node(evaluator)
    pushed = chain.push(trainer.outputs["model"], evaluator.outputs["blessing"], graph)
    return [candidate, evaluator, trainer, *pushed]


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


def _progressive(settings: DaySettings, chain: Chain, service: Importer) -> list[BaseNode]:
    """The model in service on the whole day, before it learns any of it, and the gate that looks at its ranking."""
    gates = settings.declaration.daily.gates
    evaluator = chain.evaluator(service.outputs["result"], splits=("train", "eval")).with_id("Progressive")
    gate = ProgressiveGate(
        evaluation=evaluator.outputs["evaluation"],
        day=settings.day,
        baseline=settings.carry.progressive[: gates.baseline_days],
        drop=gates.auc_drop,
        accepted=settings.accepted,
        code=code_hash("drift"),
    )
    return [evaluator, gate]


def _imported(uri: str, kind: Any, node: str, nodes: list[BaseNode]) -> Any:
    """A channel of an artifact that an earlier day made; None where there is none."""
    if not uri:
        return None
    importer = Importer(source_uri=uri, artifact_type=kind).with_id(node)
    nodes.append(importer)
    return importer.outputs["result"]
