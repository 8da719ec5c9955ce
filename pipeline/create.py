"""The pipeline: every component and how they are chained. It knows no runner."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from contextlib import nullcontext

from tfx.components.trainer.component import Trainer
from tfx.dsl.components.base.base_node import BaseNode
from tfx.dsl.components.common.resolver import Resolver, ResolverStrategy
from tfx.dsl.input_resolution.strategies.latest_blessed_model_strategy import LatestBlessedModelStrategy
from tfx.orchestration.pipeline import Pipeline
from tfx.proto import trainer_pb2
from tfx.types import Channel, standard_artifacts

from components.baseline.previous_blessed import PreviousBlessedModelStrategy
from components.transform.component import StatefulTransform
from pipeline import views
from pipeline.chain import Chain, ChainSettings, if_blessed
from pipeline.code_hash import code_hash

RUN_FN = "components.trainer.run_fn.run_fn"


@dataclasses.dataclass(frozen=True, kw_only=True)
class PipelineSettings(ChainSettings):
    """What a pipeline is made of.

    Attributes:
      resolve_latest_blessed: judge against the latest blessed model with TFX's own strategy, the only one that
        compiles for Kubeflow, instead of the latest blessed model other than the one being evaluated.
    """

    resolve_latest_blessed: bool = False


def create_pipeline(
    settings: PipelineSettings, close: Callable[[Mapping[str, BaseNode]], BaseNode] | None = None
) -> Pipeline:
    """Chains ExampleGen, validation, Transform, Trainer, Evaluator, signature check and Pusher.

    Args:
      settings: the data, the model, the places.
      close: makes a last component of all the others, by id; None: there is no such.

    Returns:
      The pipeline, named `dfei-<data set>`.
    """
    declaration, chain = settings.declaration, Chain(settings)
    transform = StatefulTransform(
        examples=chain.examples,
        schema=chain.schema,
        declaration=views.for_transform(declaration),
        code=code_hash("transform"),
        analyze_eval=declaration.moving_average.eval_state == "daily",
        events=bool(declaration.events),
    )
    transform.add_upstream_node(chain.validator)
    graph = transform.outputs["transform_graph"]
    trainer = Trainer(
        run_fn=RUN_FN,
        examples=transform.outputs["transformed_examples"],
        transform_graph=graph,
        schema=chain.schema,
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
    evaluator = chain.evaluator(model, baseline=baseline.outputs["model"])
    nodes = [*chain.front, transform, trainer, baseline, evaluator]
    blessing = evaluator.outputs["blessing"]
    with if_blessed(blessing) if close is None else nullcontext():
        nodes += chain.push(model, blessing, graph)
    if close is not None:
        nodes.append(close({node.id: node for node in nodes}))
    return chain.pipeline(f"dfei-{declaration.name}", nodes)


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
