"""The comparison's pipeline: one ExampleGen and Transform, a Tuner, Trainers and Evaluators for each model."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from tfx.components.trainer.component import Trainer
from tfx.dsl.components.base.base_node import BaseNode
from tfx.dsl.components.common.resolver import Resolver
from tfx.orchestration.pipeline import Pipeline
from tfx.proto import trainer_pb2
from tfx.types import channel_utils

from components.champion import strategy
from components.dataset.change import changed
from components.dataset.declaration import Declaration
from components.decoded_rows.component import DecodedRows
from components.latency.component import ServingLatency
from components.transform.component import StatefulTransform
from components.tuner.component import ModelTuner
from models.registry import options_of
from pipeline import views
from pipeline.chain import Chain, ChainSettings
from pipeline.code_hash import code_hash
from pipeline.compare.variants import LIGHTGBM, Variant
from pipeline.create import RUN_FN

TREES_FN = "components.trainer.trees_fn.run_fn"
CHAMPION = "champion"


@dataclasses.dataclass(frozen=True, kw_only=True)
class ComparisonSettings(ChainSettings):
    """What a comparison is made of.

    Attributes:
      variants: what is compared.
      seeds: of the trainings.
      trials: settings tried for each model; 0 for no search.
      push: whether the champion is pushed.
      champion: the name of the variant that may be it; empty: any.
      latency: whether each model's serving latency is measured.
      evaluator: whether the Evaluator judges each training; to push it has to.
    """

    variants: Sequence[Variant]
    seeds: Sequence[int]
    trials: int
    push: bool
    latency: bool
    evaluator: bool = True
    champion: str = ""


def node(component: str, variant: str, seed: int | None = None) -> str:
    """The id of a model's component, such as `Trainer.star.2`."""
    return ".".join([component, variant, *([str(seed)] if seed is not None else [])])


def declared_for(declaration: Declaration, variant: Variant) -> Declaration:
    """The declaration that a variant is trained with: of `model.options`, those that its model has.

    Raises:
      InputError: a setting of the variant does not fit the declaration.
    """
    options = declaration.model.options
    if options:
        options = {name: value for name, value in options.items() if name in options_of(variant.model)}
    named = declaration.model.model_copy(update={"name": variant.model, "options": options})
    # What a single run's report looks into would take as long as the training, for every seed.
    report = declaration.report.model_copy(update={"study": False})
    return changed(declaration.model_copy(update={"model": named, "report": report}), variant.settings)


def create_comparison(settings: ComparisonSettings) -> Pipeline:
    """Chains the components; every model gets the same Transform output.

    Args:
      settings: the data, the models, the places.

    Returns:
      The pipeline, named `dfei-compare-<data set>`.
    """
    shared = _Shared(settings)
    nodes, latencies = shared.nodes(), []
    candidates: list[tuple[Trainer, BaseNode]] = []
    for variant in settings.variants:
        declaration = declared_for(settings.declaration, variant)
        tuner = shared.tuner(variant, declaration) if settings.trials else None
        nodes += [tuner] if tuner is not None else []
        for seed in settings.seeds:
            trainer = shared.trainer(variant, declaration, seed, tuner)
            nodes.append(trainer)
            if settings.evaluator or settings.push:
                evaluator = shared.evaluator(variant, seed, trainer)
                nodes.append(evaluator)
                if settings.champion in ("", variant.name):
                    candidates.append((trainer, evaluator))
            if settings.latency and seed == settings.seeds[0]:
                latencies.append(shared.latency(variant, trainer))
    nodes += latencies
    if settings.push:
        nodes += shared.push(candidates)
    return shared.chain.pipeline(f"dfei-compare-{settings.declaration.name}", nodes)


class _Shared:
    """The components that all models share, and what hangs on them for each."""

    def __init__(self, settings: ComparisonSettings) -> None:
        self._settings = settings
        declaration = settings.declaration
        self.chain = Chain(settings)
        self.transform = StatefulTransform(
            examples=self.chain.examples,
            schema=self.chain.schema,
            declaration=views.for_transform(declaration),
            code=code_hash("transform"),
            events=bool(declaration.events),
        )
        self.transform.add_upstream_node(self.chain.validator)
        self.graph = self.transform.outputs["transform_graph"]
        self.decoded = DecodedRows(
            transformed_examples=self.transform.outputs["transformed_examples"],
            examples=self.chain.examples,
            transform_graph=self.graph,
            declaration=views.for_signatures(declaration),
            code=code_hash("rows"),
        )
        self.rows = self.decoded.outputs["rows"]

    def nodes(self) -> list[BaseNode]:
        """In the order of the data."""
        return [*self.chain.front, self.transform, self.decoded]

    def tuner(self, variant: Variant, declaration: Declaration) -> BaseNode:
        """The search of one model's settings."""
        return ModelTuner(
            rows=self.rows,
            transform_graph=self.graph,
            declaration=views.for_trainer(declaration),
            trials=self._settings.trials,
            # Variants that come to the same settings search at the same time: each has a journal of its own.
            work_dir=f"{self._settings.work_dir}/{variant.name}" if self._settings.work_dir else "",
            code=code_hash("tuner", variant.model),
        ).with_id(node("Tuner", variant.name))

    def trainer(
        self, variant: Variant, declaration: Declaration, seed: int, tuner: BaseNode | None
    ) -> Trainer:
        """One training of one model."""
        hyperparameters = {"hyperparameters": tuner.outputs["best_hyperparameters"]} if tuner else {}
        return Trainer(
            run_fn=TREES_FN if variant.model == LIGHTGBM else RUN_FN,
            examples=self.rows,
            transform_graph=self.graph,
            schema=self.chain.schema,
            train_args=trainer_pb2.TrainArgs(splits=["train"]),
            eval_args=trainer_pb2.EvalArgs(splits=["eval"]),
            custom_config={
                "declaration": views.for_trainer(declaration.model_copy(update={"seed": seed})),
                "code": code_hash("trainer", variant.model),
                "work_dir": self._settings.work_dir,
                "compared": variant.name,
                "seed": seed,
            },
            **hyperparameters,
        ).with_id(node("Trainer", variant.name, seed))

    def evaluator(self, variant: Variant, seed: int, trainer: Trainer) -> BaseNode:
        """TFMA's judgement of one training; bounds decide, there is no earlier model to compare with."""
        return self.chain.evaluator(trainer.outputs["model"]).with_id(node("Evaluator", variant.name, seed))

    def latency(self, variant: Variant, trainer: Trainer) -> BaseNode:
        """The time that one model takes to answer."""
        return ServingLatency(
            model=trainer.outputs["model"],
            examples=self.chain.examples,
            declaration=views.for_signatures(self._settings.declaration),
            code=code_hash("latency"),
        ).with_id(node("Latency", variant.name))

    def push(self, candidates: Sequence[tuple[Trainer, BaseNode]]) -> list[BaseNode]:
        """The champion, its signature check and its push; of trainings, each with its evaluation."""
        trainers, evaluators = zip(*candidates, strict=True)
        champion = Resolver(
            strategy_class=strategy.ChampionStrategy,
            **{
                strategy.MODEL: channel_utils.union([t.outputs["model"] for t in trainers]),
                strategy.BLESSING: channel_utils.union([e.outputs["blessing"] for e in evaluators]),
                strategy.MODEL_RUN: channel_utils.union([t.outputs["model_run"] for t in trainers]),
            },
        ).with_id(CHAMPION)
        return [
            champion,
            *self.chain.push(
                champion.outputs[strategy.MODEL], champion.outputs[strategy.BLESSING], self.graph
            ),
        ]
