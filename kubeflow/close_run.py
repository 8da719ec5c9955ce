"""The last task of a single run on a cluster: it fails, with the reasons, where a gate refused the model.

TFX ends such a run green: its Pusher pushes nothing and says so in its output, where nobody looks.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tfx import types
from tfx.dsl.components.base import base_component, base_executor, executor_spec
from tfx.dsl.components.base.base_node import BaseNode
from tfx.types import artifact_utils, component_spec, standard_artifacts
from tfx.types.experimental import simple_artifacts

from components.errors import GateError
from kubeflow.runtime_parameters import EVALUATOR, PUSHER, SIGNATURES
from pipeline.events import NodeRun
from pipeline.execute import objections

# Input of a task -> component and output that it is.
Sources = Mapping[str, tuple[str, str, Any]]
SOURCES: Sources = {
    "evaluation": (EVALUATOR, "evaluation", standard_artifacts.ModelEvaluation),
    "checks": (SIGNATURES, "blessing", standard_artifacts.InfraBlessing),
    "pushed": (PUSHER, "pushed_model", standard_artifacts.PushedModel),
}
DECISION_FILE = "decision.json"


def runs_of(artifacts: Mapping[str, types.Artifact], sources: Sources) -> dict[str, NodeRun]:
    """The components that ran to their end, as the local runner would have noted them.

    Args:
      artifacts: the inputs of the last task that are there.
      sources: which component's output each input is.
    """
    outputs: dict[str, dict[str, list[Any]]] = {}
    for name, (node, key, _) in sources.items():
        if name in artifacts:
            outputs.setdefault(node, {})[key] = [artifacts[name]]
    return {node: NodeRun(node, False, 0.0, 0.0, found) for node, found in outputs.items()}


def decided(runs: Mapping[str, NodeRun]) -> tuple[list[str], str | None]:
    """Why the model was refused (empty: it was not), and the version that the Pusher made of it."""
    reasons = objections(runs)
    if reasons:
        return reasons, None
    [pushed] = runs[PUSHER].outputs["pushed_model"]
    return [], pushed.get_string_custom_property("pushed_version")


class CloseRunSpec(component_spec.ComponentSpec):
    """Inputs and output of `CloseRun`."""

    PARAMETERS: dict[str, Any] = {}  # noqa: RUF012
    INPUTS = {  # noqa: RUF012
        name: component_spec.ChannelParameter(type=kind) for name, (_, _, kind) in SOURCES.items()
    }
    OUTPUTS = {"decision": component_spec.ChannelParameter(type=simple_artifacts.File)}  # noqa: RUF012


class CloseRunExecutor(base_executor.BaseExecutor):
    """Ends with exit code 1 where the model was refused."""

    def Do(  # noqa: N802 - the name is TFX's
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Closes the run.

        Raises:
          GateError: the model was refused; its message has every reason.
        """
        self._log_startup(input_dict, output_dict, exec_properties)
        found = {name: artifact_utils.get_single_instance(input_dict[name]) for name in SOURCES}
        reasons, version = decided(runs_of(found, SOURCES))
        if reasons:
            served = "what was served before stays"
            raise GateError(f"the model was not pushed, {served}:\n" + "\n".join(f"  {r}" for r in reasons))
        folder = Path(artifact_utils.get_single_uri(output_dict["decision"]))
        folder.mkdir(parents=True, exist_ok=True)
        (folder / DECISION_FILE).write_text(json.dumps({"pushed_version": version}))


class CloseRun(base_component.BaseComponent):
    """Fails where the model was refused.

    Args:
      outputs: of the other components, by the names of `SOURCES`.

    Outputs:
      decision: the version that was pushed, in JSON.
    """

    SPEC_CLASS = CloseRunSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(CloseRunExecutor)

    def __init__(self, outputs: Mapping[str, types.BaseChannel]) -> None:
        super().__init__(CloseRunSpec(decision=types.Channel(type=simple_artifacts.File), **outputs))


def close_run(nodes: Mapping[str, BaseNode]) -> CloseRun:
    """`CloseRun` of a pipeline's components, by id."""
    return CloseRun({name: nodes[node].outputs[key] for name, (node, key, _) in SOURCES.items()})
