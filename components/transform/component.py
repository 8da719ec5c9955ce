"""StatefulTransform: TFX's Transform that continues a behaviour state, and leaves the one after its rows."""

from __future__ import annotations

from tfx import types
from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.proto import transform_pb2
from tfx.types import standard_artifacts
from tfx.types.component_spec import ChannelParameter
from tfx.types.standard_component_specs import TransformSpec
from tfx.utils import json_utils

from components.transform.executor import PREPROCESSING_FN, PRIOR_STATE, STATE, StatefulExecutor

# `state.npz` and `state.json`: see `components.transform.state`. TFX's type for what earlier runs of Transform found:
# a type of our own has no title that both Kubeflow's compiler and TFX's container know.
BehaviourStateArtifact = standard_artifacts.TransformCache


def splits_config(*, analyze_eval: bool, events: bool) -> transform_pb2.SplitsConfig:
    """What is analysed, and what is transformed.

    Args:
      analyze_eval: whether rows to evaluate are averaged over.
      events: whether there is a split `events`, which is never transformed.

    >>> list(splits_config(analyze_eval=False, events=True).analyze)
    ['train', 'events']
    """
    analyzed = ["train", "eval"] if analyze_eval else ["train"]
    return transform_pb2.SplitsConfig(
        analyze=[*analyzed, "events"] if events else analyzed, transform=["train", "eval"]
    )


class StatefulTransformSpec(TransformSpec):
    """TFX's, with the state before and after."""

    INPUTS = {  # noqa: RUF012 - TFX reads the class attribute
        **TransformSpec.INPUTS,
        PRIOR_STATE: ChannelParameter(type=BehaviourStateArtifact, optional=True),
    }
    OUTPUTS = {  # noqa: RUF012
        **TransformSpec.OUTPUTS,
        STATE: ChannelParameter(type=BehaviourStateArtifact),
    }


class StatefulTransform(base_beam_component.BaseBeamComponent):
    """Transform with a memory: `state(t) = fold(state(t-1), rows of day t)`.

    Without `prior_state` the examples are a whole log, as for `dfei run`. With it they are what came after: the
    averages that their rows see start from the prior state, the vocabularies are those after the rows. Serving, whose
    rows have no time, sees the state after the rows; so does a row later than all of them.

    Args:
      examples: raw examples, splits `train` and `eval`.
      schema: their schema.
      declaration: JSON; `pipeline.views.for_transform` of it.
      code: a hash of the code, so that the cache sees code edits.
      analyze_eval: whether rows to evaluate are averaged over: `moving_average.eval_state` is `daily`.
      events: whether the examples have a split `events`.
      prior_state: a channel of one `BehaviourStateArtifact`, made with the same definitions of behaviours, keys and
        features (`components.transform.state.cannot_continue` says what differs).
      one_day: the examples are a day of a feed that goes on. Rows of both splits are analysed, and each sees the state
        before its own time bucket, those of `eval` too; give the Trainer the declaration with
        `moving_average.eval_state: daily`, so that the Evaluator's examples are answered as of their time.

    Outputs:
      transform_graph, transformed_examples: as TFX's Transform has them.
      state: a `BehaviourStateArtifact`: all that is known after the rows of the analysed splits.
    """

    SPEC_CLASS = StatefulTransformSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(StatefulExecutor)

    def __init__(
        self,
        *,
        examples: types.BaseChannel,
        schema: types.BaseChannel,
        declaration: str,
        code: str,
        analyze_eval: bool = False,
        events: bool = False,
        prior_state: types.BaseChannel | None = None,
        one_day: bool = False,
    ) -> None:
        splits = splits_config(analyze_eval=one_day or analyze_eval, events=events)
        transformed = types.Channel(type=standard_artifacts.Examples)
        transformed.matching_channel_name = "examples"
        super().__init__(
            StatefulTransformSpec(
                examples=examples,
                schema=schema,
                prior_state=prior_state,
                preprocessing_fn=PREPROCESSING_FN,
                splits_config=splits,
                custom_config=json_utils.dumps(
                    {"declaration": declaration, "code": code, **({"one_day": True} if one_day else {})}
                ),
                force_tf_compat_v1=0,
                disable_statistics=1,
                transform_graph=types.Channel(type=standard_artifacts.TransformGraph),
                transformed_examples=transformed,
                state=types.Channel(type=BehaviourStateArtifact),
            )
        )
        self.with_id("Transform")
