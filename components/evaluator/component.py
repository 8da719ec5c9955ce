"""FileEvaluator: TFX's Evaluator, with an executor that takes files whole."""

from __future__ import annotations

from typing import Any

from tfx.components.evaluator.component import Evaluator
from tfx.dsl.components.base import executor_spec

from components.evaluator.executor import Executor


class FileEvaluator(Evaluator):
    """TFMA's judgement of a model on raw examples, as TFX's Evaluator leaves it.

    That one takes every batch from step to step of TFMA's Beam pipeline; this one scores a file at a time, on whatever
    Beam runs, and hands TFMA the scores.

    Args:
      arguments: TFX's; `schema`, `eval_config` and `example_splits` are needed.

    Outputs:
      evaluation, blessing: as TFX's.
    """

    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.with_id("Evaluator")
