"""The pipeline: every component and how they are chained. It knows no runner."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from tfx.components.evaluator.component import Evaluator
from tfx.components.schema_gen.import_schema_gen.component import ImportSchemaGen
from tfx.components.statistics_gen.component import StatisticsGen
from tfx.components.trainer.component import Trainer
from tfx.dsl.components.base.base_node import BaseNode
from tfx.dsl.components.common.resolver import Resolver, ResolverStrategy
from tfx.dsl.input_resolution.strategies.latest_blessed_model_strategy import LatestBlessedModelStrategy
from tfx.orchestration.pipeline import Pipeline
from tfx.proto import pusher_pb2, trainer_pb2
from tfx.types import Channel, standard_artifacts

from components.baseline.previous_blessed import PreviousBlessedModelStrategy
from components.dataset.declaration import Declaration
from components.evaluator import extractors
from components.evaluator.config import eval_config
from components.example_gen.component import DeclaredExampleGen
from components.example_validator.strict import StrictExampleValidator
from components.pusher.atomic import AtomicPusher
from components.signature_check.component import SignatureCheck
from components.transform.component import StatefulTransform
from pipeline import views
from pipeline.code_hash import code_hash

RUN_FN = "components.trainer.run_fn.run_fn"


@dataclasses.dataclass(frozen=True)
class PipelineSettings:
    """What a pipeline is made of, whichever runner runs it.

    Attributes:
      declaration: the data set, the model and every setting of the run.
      data_dir: where the impression files and lookup tables are; may be a runtime parameter of a runner.
      data_fingerprint: changes when the data changes; part of ExampleGen's cache key.
      schema_file: the TFMD schema to validate against.
      pipeline_root: where the artifacts go.
      serving_dir: the directory that TF Serving watches for this model.
      work_dir: scratch space that outlives a killed Trainer; `None`: a temporary folder, no resuming.
      beam_args: Beam's pipeline options.
      metadata: the metadata store's connection; `None` where the runner has its own.
      resolve_latest_blessed: judge against the latest blessed model with TFX's own strategy, the only one that
        compiles for Kubeflow, instead of the latest blessed model other than the one being evaluated.
    """

    declaration: Declaration
    data_dir: Any
    data_fingerprint: str
    schema_file: str
    pipeline_root: str
    serving_dir: str
    work_dir: str | None = None
    beam_args: Sequence[str] = ()
    metadata: Any = None
    resolve_latest_blessed: bool = False


def create_pipeline(settings: PipelineSettings) -> Pipeline:
    """Chains ExampleGen, validation, Transform, Trainer, Evaluator, signature check and Pusher.

    Args:
      settings: the data, the model, the places.

    Returns:
      The pipeline, named `dfei-<data set>`.
    """
    declaration = settings.declaration
    example_gen = DeclaredExampleGen(
        declaration=views.for_ingestion(declaration),
        data_dir=settings.data_dir,
        fingerprint=f"{settings.data_fingerprint}-{code_hash('example_gen')}",
    )
    examples = example_gen.outputs["examples"]
    statistics_gen = StatisticsGen(examples=examples, exclude_splits=["events"] if declaration.events else [])
    schema_gen = ImportSchemaGen(schema_file=settings.schema_file)
    validator = StrictExampleValidator(
        statistics=statistics_gen.outputs["statistics"], schema=schema_gen.outputs["schema"]
    )
    transform = StatefulTransform(
        examples=examples,
        schema=schema_gen.outputs["schema"],
        declaration=views.for_transform(declaration),
        code=code_hash("transform"),
        analyze_eval=declaration.moving_average.eval_state == "daily",
        events=bool(declaration.events),
    )
    transform.add_upstream_node(validator)
    trainer = Trainer(
        run_fn=RUN_FN,
        examples=transform.outputs["transformed_examples"],
        transform_graph=transform.outputs["transform_graph"],
        schema=schema_gen.outputs["schema"],
        train_args=trainer_pb2.TrainArgs(splits=["train"]),
        eval_args=trainer_pb2.EvalArgs(splits=["eval"]),
        custom_config={
            "declaration": views.for_trainer(declaration),
            "code": code_hash("trainer", declaration.model.name),
            "work_dir": settings.work_dir,
        },
    )
    model = trainer.outputs["model"]
    baseline = _baseline(settings, model)
    evaluator = Evaluator(
        examples=examples,
        example_splits=["eval"],
        model=model,
        baseline_model=baseline.outputs["model"],
        schema=schema_gen.outputs["schema"],
        eval_config=eval_config(declaration, code=code_hash("evaluator")),
        module_path=extractors.MODULE,
    )
    signature_check = SignatureCheck(
        model=model,
        examples=examples,
        transform_graph=transform.outputs["transform_graph"],
        declaration=views.for_signatures(declaration),
        code=code_hash("signature_check"),
    )
    pusher = AtomicPusher(
        model=model,
        model_blessing=evaluator.outputs["blessing"],
        infra_blessing=signature_check.outputs["blessing"],
        push_destination=pusher_pb2.PushDestination(
            filesystem=pusher_pb2.PushDestination.Filesystem(base_directory=settings.serving_dir)
        ),
    )
    nodes: list[BaseNode] = [
        example_gen,
        statistics_gen,
        schema_gen,
        validator,
        transform,
        trainer,
        baseline,
        evaluator,
        signature_check,
        pusher,
    ]
    return Pipeline(
        pipeline_name=f"dfei-{declaration.name}",
        pipeline_root=settings.pipeline_root,
        components=nodes,
        enable_cache=True,
        metadata_connection_config=settings.metadata,
        beam_pipeline_args=list(settings.beam_args),
    )


def _baseline(settings: PipelineSettings, model: Channel) -> Resolver:
    strategy: type[ResolverStrategy] = PreviousBlessedModelStrategy
    channels = {
        "model": Channel(type=standard_artifacts.Model),
        "model_blessing": Channel(type=standard_artifacts.ModelBlessing),
    }
    if settings.resolve_latest_blessed:
        strategy = LatestBlessedModelStrategy
    else:
        channels["current_model"] = model
    return Resolver(strategy_class=strategy, **channels).with_id("baseline")
