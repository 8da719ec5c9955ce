"""What every pipeline begins and ends with: the log read and checked, a model judged and pushed."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from tfx.components.schema_gen.import_schema_gen.component import ImportSchemaGen
from tfx.dsl.components.base.base_node import BaseNode
from tfx.dsl.experimental.conditionals.conditional import Cond
from tfx.orchestration.pipeline import Pipeline
from tfx.proto import pusher_pb2
from tfx.types import BaseChannel

from components.dataset.declaration import Declaration
from components.evaluator.component import FileEvaluator
from components.evaluator.config import eval_config
from components.example_gen.component import DeclaredExampleGen
from components.example_validator.strict import StrictExampleValidator
from components.pusher.atomic import AtomicPusher
from components.signature_check.component import SignatureCheck
from components.statistics_gen.component import FileStatisticsGen
from pipeline import views
from pipeline.code_hash import code_hash


@dataclasses.dataclass(frozen=True, kw_only=True)
class ChainSettings:
    """What all pipelines are told, whichever runner runs them.

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


def if_blessed(blessing: BaseChannel) -> Cond:
    """The block in which components are made that do nothing for a model which the Evaluator refused.

    Local runners know TFX's conditions. On Kubeflow a last task needs what all others leave, so there all run.

    Args:
      blessing: the Evaluator's.
    """
    return Cond(blessing.future()[0].custom_property("blessed") == 1)


class Chain:
    """The log, read and checked: ExampleGen, StatisticsGen, the schema, the validator.

    Attributes:
      example_gen, statistics_gen, schema_gen, validator: the components.
      examples, statistics, schema: what comes out of them.
    """

    def __init__(self, settings: ChainSettings) -> None:
        self._settings = settings
        declaration = settings.declaration
        self.example_gen = DeclaredExampleGen(
            declaration=views.for_ingestion(declaration),
            data_dir=settings.data_dir,
            fingerprint=f"{settings.data_fingerprint}-{code_hash('example_gen')}",
        )
        self.examples: BaseChannel = self.example_gen.outputs["examples"]
        self.statistics_gen = FileStatisticsGen(
            code=code_hash("statistics_gen"),
            examples=self.examples,
            exclude_splits=["events"] if declaration.events else [],
        )
        self.statistics: BaseChannel = self.statistics_gen.outputs["statistics"]
        self.schema_gen = ImportSchemaGen(schema_file=settings.schema_file)
        self.schema: BaseChannel = self.schema_gen.outputs["schema"]
        self.validator = StrictExampleValidator(statistics=self.statistics, schema=self.schema)

    @property
    def front(self) -> list[BaseNode]:
        """The components, in the order of the data."""
        return [self.example_gen, self.statistics_gen, self.schema_gen, self.validator]

    def evaluator(
        self,
        model: BaseChannel,
        *,
        baseline: BaseChannel | None = None,
        splits: Sequence[str] = ("eval",),
        deviations: float = 0.0,
        drop_deviations: float | None = None,
    ) -> FileEvaluator:
        """TFMA's judgement of a model with the declared gates.

        Args:
          model: what is judged.
          baseline: a model that it must not fall behind.
          splits: of the rows that judge.
          deviations: above 0, what chance explains is no reason to refuse (`eval_config`).
          drop_deviations: the same of a drop; None: as much.
        """
        return FileEvaluator(
            examples=self.examples,
            example_splits=list(splits),
            model=model,
            baseline_model=baseline,
            schema=self.schema,
            eval_config=eval_config(
                self._settings.declaration, code_hash("evaluator"), deviations, drop_deviations
            ),
        )

    def push(
        self,
        model: BaseChannel,
        blessing: BaseChannel,
        transform_graph: BaseChannel,
        told: Mapping[str, str] | None = None,
    ) -> list[BaseNode]:
        """The signature check and the push of a model that was judged.

        Args:
          model: what is pushed.
          blessing: the Evaluator's.
          transform_graph: that the model serves with.
          told: what the version says of its push.
        """
        signature_check = SignatureCheck(
            model=model,
            examples=self.examples,
            transform_graph=transform_graph,
            declaration=views.for_signatures(self._settings.declaration),
            code=code_hash("signature_check"),
        )
        filesystem = pusher_pb2.PushDestination.Filesystem(base_directory=self._settings.serving_dir)
        pusher = AtomicPusher(
            model=model,
            model_blessing=blessing,
            infra_blessing=signature_check.outputs["blessing"],
            push_destination=pusher_pb2.PushDestination(filesystem=filesystem),
            custom_config=None if told is None else dict(told),
        )
        return [signature_check, pusher]

    def pipeline(self, name: str, nodes: Sequence[BaseNode]) -> Pipeline:
        """The pipeline of all its components.

        Args:
          name: of the pipeline.
          nodes: the components, in the order of the data.
        """
        return Pipeline(
            pipeline_name=name,
            pipeline_root=self._settings.pipeline_root,
            components=list(nodes),
            enable_cache=True,
            metadata_connection_config=self._settings.metadata,
            beam_pipeline_args=list(self._settings.beam_args),
        )
