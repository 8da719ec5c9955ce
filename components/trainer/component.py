"""ContinuedTrainer: TFX's Trainer that goes on from what an earlier training left in its `model_run`."""

from __future__ import annotations

from typing import Any

from tfx import types
from tfx.components.trainer.executor import GenericExecutor
from tfx.dsl.components.base import base_component, executor_spec
from tfx.proto import trainer_pb2
from tfx.types import artifact_utils, standard_artifacts
from tfx.types.component_spec import ChannelParameter
from tfx.types.standard_component_specs import TrainerSpec
from tfx.utils import json_utils

RUN_FN = "components.trainer.run_fn.run_fn"
EARLIER_RUN = "earlier_run"


class ContinuedTrainerSpec(TrainerSpec):
    """TFX's, with the run to go on from."""

    INPUTS = {  # noqa: RUF012 - TFX reads the class attribute
        **TrainerSpec.INPUTS,
        EARLIER_RUN: ChannelParameter(type=standard_artifacts.ModelRun, optional=True),
    }


class ContinuedExecutor(GenericExecutor):
    """TFX's, which tells `run_fn` where the earlier run lies."""

    def Do(  # noqa: N802 - the name is TFX's
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Adds the folder `warm_start` (empty for none) to `custom_config`; all else is TFX's.

        The folder is no parameter of the component: its cache key has what the earlier run is, not where.
        """
        earlier = input_dict.get(EARLIER_RUN) or []
        config = {
            **json_utils.loads(exec_properties["custom_config"]),
            "warm_start": artifact_utils.get_single_uri(earlier) if earlier else "",
        }
        super().Do(
            {name: found for name, found in input_dict.items() if name != EARLIER_RUN},
            output_dict,
            {**exec_properties, "custom_config": json_utils.dumps(config)},
        )


class ContinuedTrainer(base_component.BaseComponent):
    """Trains a day; see `components.trainer.warm_start` for what its `custom_config` may hold.

    Args:
      examples: transformed, splits `train` and `eval`.
      transform_graph: that made them.
      schema: the curated one.
      split: the one that is learned.
      custom_config: with `continues`.
      earlier_run: a channel of one `ModelRun`; `None`: from nothing.

    Outputs:
      model, model_run: as TFX's Trainer has them.
    """

    SPEC_CLASS = ContinuedTrainerSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(ContinuedExecutor)

    def __init__(
        self,
        *,
        examples: types.BaseChannel,
        transform_graph: types.BaseChannel,
        schema: types.BaseChannel,
        split: str,
        custom_config: dict[str, Any],
        earlier_run: types.BaseChannel | None = None,
    ) -> None:
        super().__init__(
            ContinuedTrainerSpec(
                examples=examples,
                transform_graph=transform_graph,
                schema=schema,
                run_fn=RUN_FN,
                train_args=trainer_pb2.TrainArgs(splits=[split]),
                eval_args=trainer_pb2.EvalArgs(splits=["eval"]),
                custom_config=json_utils.dumps(custom_config),
                earlier_run=earlier_run,
                model=types.Channel(type=standard_artifacts.Model),
                model_run=types.Channel(type=standard_artifacts.ModelRun),
            )
        )
