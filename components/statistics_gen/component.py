"""FileStatisticsGen: TFX's StatisticsGen, with an executor that takes files whole."""

from __future__ import annotations

from collections.abc import Sequence

from tfx import types
from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.types import standard_artifacts
from tfx.types.component_spec import ExecutionParameter
from tfx.types.standard_component_specs import StatisticsGenSpec
from tfx.utils import json_utils

from components.statistics_gen.executor import Executor


class FileStatisticsGenSpec(StatisticsGenSpec):
    """TFX's, with a hash of the code."""

    PARAMETERS = {**StatisticsGenSpec.PARAMETERS, "code": ExecutionParameter(type=str)}  # noqa: RUF012 - TFX's


class FileStatisticsGen(base_beam_component.BaseBeamComponent):
    """Statistics of every column, as TFX's StatisticsGen leaves them.

    That one hands every batch from step to step of a Beam pipeline, and decodes each `tf.Example`; this one lets TFDV's
    generators go over a file at a time. Distinct and top values come from sketches, exact up to 16,384 distinct values
    of a column.

    Args:
      examples: raw examples.
      code: a hash of the code, so that the cache sees code edits.
      exclude_splits: splits that get none.

    Outputs:
      statistics: `FeatureStats.pb` of each split.
    """

    SPEC_CLASS = FileStatisticsGenSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)

    def __init__(self, *, examples: types.BaseChannel, code: str, exclude_splits: Sequence[str] = ()) -> None:
        super().__init__(
            FileStatisticsGenSpec(
                examples=examples,
                code=code,
                exclude_splits=json_utils.dumps(list(exclude_splits)),
                statistics=types.Channel(type=standard_artifacts.ExampleStatistics),
            )
        )
        self.with_id("StatisticsGen")
