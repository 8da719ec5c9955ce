"""ProgressiveGate: refuses a day that the model in service ranks much worse than the last good days.

Labels that no longer belong to their rows (shuffled, joined to the wrong ids) leave every count and every distribution
as it was; only a model that knew better tells.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tfx import types
from tfx.dsl.components.base import base_component, base_executor, executor_spec
from tfx.types import artifact_utils, component_spec, standard_artifacts
from tfx.types.experimental import simple_artifacts

from components import progress
from components.drift.ranking import ranks_worse
from components.errors import GateError
from components.evaluator.reading import read_evaluation

VERDICT = "verdict.txt"


class ProgressiveGateSpec(component_spec.ComponentSpec):
    """Input and parameters of `ProgressiveGate`."""

    PARAMETERS = {  # noqa: RUF012
        "day": component_spec.ExecutionParameter(type=str),
        "baseline": component_spec.ExecutionParameter(type=str),
        "drop": component_spec.ExecutionParameter(type=float),
        "accepted": component_spec.ExecutionParameter(type=int),
        "code": component_spec.ExecutionParameter(type=str),
    }
    INPUTS = {  # noqa: RUF012
        "evaluation": component_spec.ChannelParameter(type=standard_artifacts.ModelEvaluation),
    }
    OUTPUTS = {"verdict": component_spec.ChannelParameter(type=simple_artifacts.File)}  # noqa: RUF012


class ProgressiveGateExecutor(base_executor.BaseExecutor):
    """Compares the evaluation of the model in service with those of the last good days."""

    def Do(  # noqa: N802 - the name is TFX's
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Runs the gate.

        Raises:
          GateError: with both figures and what to do.
        """
        self._log_startup(input_dict, output_dict, exec_properties)
        today = read_evaluation(artifact_utils.get_single_uri(input_dict["evaluation"]))
        history = [read_evaluation(uri) for uri in json.loads(exec_properties["baseline"])]
        words = ranks_worse(history, today, exec_properties["drop"])
        if words and exec_properties["accepted"]:
            progress.note(f"{exec_properties['day']}: {words} (accepted)")
        elif words:
            raise GateError(f"{words} (daily.gates.auc_drop)")
        folder = Path(artifact_utils.get_single_uri(output_dict["verdict"]))
        folder.mkdir(parents=True, exist_ok=True)
        (folder / VERDICT).write_text(words or "the day is ranked as well as the last good ones")


class ProgressiveGate(base_component.BaseComponent):
    """Refuses a day that the model in service ranks much worse than the last good days (`daily.gates.auc_drop`).

    Args:
      evaluation: of the model in service on the day.
      day: ISO.
      baseline: URIs of its evaluations on the last good days.
      drop: see `ranks_worse`.
      accepted: whether what moved is true: it is said and does not refuse.
      code: a hash of the code, so that the cache sees code edits.

    Outputs:
      verdict: `verdict.txt`, in words.
    """

    SPEC_CLASS = ProgressiveGateSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(ProgressiveGateExecutor)

    def __init__(
        self,
        *,
        evaluation: types.BaseChannel,
        day: str,
        baseline: list[str],
        drop: float,
        accepted: bool,
        code: str,
    ) -> None:
        super().__init__(
            ProgressiveGateSpec(
                evaluation=evaluation,
                day=day,
                baseline=json.dumps(baseline),
                drop=drop,
                accepted=int(accepted),
                code=code,
                verdict=types.Channel(type=simple_artifacts.File),
            )
        )
