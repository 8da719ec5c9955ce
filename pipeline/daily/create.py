"""The pipeline of one day: judged by the model in service, learned from its weights, judged again, finished, pushed."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from tfx.components.evaluator.component import Evaluator
from tfx.components.schema_gen.import_schema_gen.component import ImportSchemaGen
from tfx.components.statistics_gen.component import StatisticsGen
from tfx.dsl.components.base.base_node import BaseNode
from tfx.dsl.components.common.importer import Importer
from tfx.orchestration.pipeline import Pipeline
from tfx.proto import pusher_pb2
from tfx.types import standard_artifacts

from components.dataset.declaration import Declaration
from components.drift.component import DataGates
from components.drift.progressive import ProgressiveGate
from components.evaluator import extractors
from components.evaluator.config import eval_config
from components.example_gen.component import DeclaredExampleGen
from components.example_validator.strict import StrictExampleValidator
from components.pusher.atomic import AtomicPusher
from components.signature_check.component import SignatureCheck
from components.trainer.component import ContinuedTrainer
from components.transform.component import BehaviourStateArtifact, StatefulTransform
from pipeline import views
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


@dataclasses.dataclass(frozen=True)
class DaySettings:
    """What a day's pipeline is made of, whichever runner runs it.

    Attributes:
      declaration: of the day (`pipeline.daily.declared.for_day`).
      day: ISO.
      data_dir: where the files are.
      fingerprint: of the day's rows and of the lookups; with what else must make the day run again.
      carry: what the day before handed over.
      rebase: whether the training begins from nothing.
      accepted: whether the day's data are taken as they are.
      schema_file: the TFMD schema to validate against.
      pipeline_root: where the artifacts go.
      serving_dir: the directory that TF Serving watches for this model.
      work_dir: scratch space that outlives a killed Trainer.
      beam_args: Beam's pipeline options.
      metadata: the metadata store's connection.
    """

    declaration: Declaration
    day: str
    data_dir: str
    fingerprint: str
    carry: Carry
    rebase: bool
    accepted: bool
    schema_file: str
    pipeline_root: str
    serving_dir: str
    work_dir: str
    beam_args: Sequence[str] = ()
    metadata: Any = None


def create_day_pipeline(settings: DaySettings) -> Pipeline:
    """Chains the components of a day.

    The first day ends with its state: of its own rows none sees a past, so a model of them would not know what to
    make of the averages that it is served with.

    Args:
      settings: the day, what it starts from, the places.

    Returns:
      The pipeline, named `dfei-<data set>-daily`.
    """
    declaration, carry = settings.declaration, settings.carry
    gates = declaration.daily.gates
    example_gen = DeclaredExampleGen(
        declaration=views.for_ingestion(declaration),
        data_dir=settings.data_dir,
        fingerprint=f"{settings.fingerprint}-{code_hash('example_gen')}",
    )
    examples = example_gen.outputs["examples"]
    statistics_gen = StatisticsGen(examples=examples)
    schema_gen = ImportSchemaGen(schema_file=settings.schema_file)
    schema = schema_gen.outputs["schema"]
    statistics = statistics_gen.outputs["statistics"]
    validator = StrictExampleValidator(statistics=statistics, schema=schema)
    data_gates = DataGates(
        examples=examples,
        statistics=statistics,
        schema=schema,
        declaration=views.for_gates(declaration),
        day=settings.day,
        baseline=carry.measured[: gates.baseline_days],
        known=carry.learned[0].transform_graph if carry.learned else "",
        accepted=settings.accepted,
        code=code_hash("drift"),
    )
    data_gates.add_upstream_node(validator)
    nodes: list[BaseNode] = [example_gen, statistics_gen, schema_gen, validator, data_gates]
    last: BaseNode = data_gates
    service = None
    if carry.service is not None:
        service = Importer(source_uri=carry.service.model, artifact_type=standard_artifacts.Model).with_id(
            "InService"
        )
        progressive = _progressive(settings, examples, schema, service)
        progressive[0].add_upstream_node(data_gates)
        nodes += [service, *progressive]
        last = progressive[-1]
    prior_state = _imported(carry.state, BehaviourStateArtifact, "PriorState", nodes)
    transform = StatefulTransform(
        examples=examples,
        schema=schema,
        declaration=views.for_transform(declaration),
        code=code_hash("transform"),
        prior_state=prior_state,
        one_day=True,
    )
    transform.add_upstream_node(last)
    nodes.append(transform)
    if prior_state is not None:
        nodes += _learning(settings, examples, schema, service, transform, nodes)
    return Pipeline(
        pipeline_name=f"dfei-{declaration.name}-daily",
        pipeline_root=settings.pipeline_root,
        components=nodes,
        enable_cache=True,
        metadata_connection_config=settings.metadata,
        beam_pipeline_args=list(settings.beam_args),
    )


def _learning(
    settings: DaySettings,
    examples: Any,
    schema: Any,
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
    }
    candidate = ContinuedTrainer(
        examples=transformed,
        transform_graph=graph,
        schema=schema,
        split="train",
        custom_config={**config, **replay(declaration, carry, rebase=settings.rebase)},
        earlier_run=earlier_run,
    ).with_id("Candidate")
    evaluator = Evaluator(
        examples=examples,
        example_splits=["eval"],
        model=candidate.outputs["model"],
        baseline_model=service.outputs["result"] if service is not None else None,
        schema=schema,
        eval_config=eval_config(declaration, code=code_hash("evaluator")),
        module_path=extractors.MODULE,
    )
    trainer = ContinuedTrainer(
        examples=transformed,
        transform_graph=graph,
        schema=schema,
        split="eval",
        custom_config={**config, "calibrate": declaration.daily.calibrate, "newest_state": True},
        earlier_run=candidate.outputs["model_run"],
    ).with_id("Trainer")
    trainer.add_upstream_node(evaluator)
    signature_check = SignatureCheck(
        model=trainer.outputs["model"],
        examples=examples,
        transform_graph=graph,
        declaration=views.for_signatures(declaration),
        code=code_hash("signature_check"),
    )
    pusher = AtomicPusher(
        model=trainer.outputs["model"],
        model_blessing=evaluator.outputs["blessing"],
        infra_blessing=signature_check.outputs["blessing"],
        push_destination=pusher_pb2.PushDestination(
            filesystem=pusher_pb2.PushDestination.Filesystem(base_directory=settings.serving_dir)
        ),
    )
    return [candidate, evaluator, trainer, signature_check, pusher]


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


def _progressive(settings: DaySettings, examples: Any, schema: Any, service: Importer) -> list[BaseNode]:
    """The model in service on the whole day, before it learns any of it, and the gate that looks at its ranking."""
    gates = settings.declaration.daily.gates
    evaluator = Evaluator(
        examples=examples,
        example_splits=["train", "eval"],
        model=service.outputs["result"],
        schema=schema,
        eval_config=eval_config(settings.declaration, code=code_hash("evaluator")),
        module_path=extractors.MODULE,
    ).with_id("Progressive")
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
