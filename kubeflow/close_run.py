"""The last task of a single run on a cluster: it fails, with the reasons, where a gate refused the model.

TFX ends such a run green: its Pusher pushes nothing and says so in its output, where nobody looks.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tfx import types
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact
from tfx.dsl.component.experimental.decorators import component
from tfx.dsl.components.base.base_node import BaseNode
from tfx.types import standard_artifacts
from tfx.types.experimental import simple_artifacts

from components.errors import GateError
from kubeflow.runtime_parameters import EVALUATOR, PUSHER, SIGNATURES
from pipeline.events import NodeRun
from pipeline.execute import objections

# Input of a task -> component and output that it is, and what else is known of it.
Sources = Mapping[str, tuple[Any, ...]]
SOURCES = {
    "evaluation": (EVALUATOR, "evaluation"),
    "checks": (SIGNATURES, "blessing"),
    "pushed": (PUSHER, "pushed_model"),
}
DECISION_FILE = "decision.json"


def runs_of(artifacts: Mapping[str, types.Artifact], sources: Sources) -> dict[str, NodeRun]:
    """The components that ran to their end, as the local runner would have noted them.

    Args:
      artifacts: the inputs of the last task that are there.
      sources: which component's output each input is.
    """
    outputs: dict[str, dict[str, list[Any]]] = {}
    for name, (node, key, *_) in sources.items():
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


@component
def CloseRun(  # noqa: N802 - the component's name
    evaluation: InputArtifact[standard_artifacts.ModelEvaluation],
    checks: InputArtifact[standard_artifacts.InfraBlessing],
    pushed: InputArtifact[standard_artifacts.PushedModel],
    decision: OutputArtifact[simple_artifacts.File],
) -> None:
    """Fails where the model was refused.

    Args:
      evaluation, checks, pushed: see `SOURCES`.
      decision: gets the version that was pushed, in JSON.

    Raises:
      GateError: the model was refused; its message has every reason.
    """
    found = {"evaluation": evaluation, "checks": checks, "pushed": pushed}
    reasons, version = decided(runs_of(found, SOURCES))
    if reasons:
        served = "what was served before stays"
        raise GateError(f"the model was not pushed, {served}:\n" + "\n".join(f"  {r}" for r in reasons))
    folder = Path(decision.uri)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / DECISION_FILE).write_text(json.dumps({"pushed_version": version}))


def close_run(nodes: Mapping[str, BaseNode]) -> BaseNode:
    """`CloseRun` of a pipeline's components, by id."""
    return CloseRun(**{name: nodes[node].outputs[key] for name, (node, key) in SOURCES.items()})
