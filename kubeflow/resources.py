"""What each task asks of a cluster, and how often it is tried."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from typing import Any

from kfp.pipeline_spec import pipeline_spec_pb2 as pipeline_pb2

from components.errors import InputError
from kubeflow import runtime_parameters as names

KUBERNETES_GPU = "nvidia.com/gpu"


@dataclasses.dataclass(frozen=True)
class Resources:
    """What one task gets.

    Attributes:
      cpu: cores, asked for and the limit.
      memory: gigabytes (10^9 bytes), asked for and the limit.
      gpus: accelerators.
      retries: how often a failed task is tried again. A wrong input fails every time, so few.
    """

    cpu: float
    memory: float
    gpus: int = 0
    retries: int = 2


# Sized by the KuaiRand part (185,000 rows) with room to grow; docs/scaling.md says what to give for more.
DEFAULTS: dict[str, Resources] = {
    names.EXAMPLE_GEN: Resources(4, 8),
    names.STATISTICS: Resources(4, 8),
    names.SCHEMA: Resources(1, 2),
    names.VALIDATOR: Resources(1, 2),
    names.TRANSFORM: Resources(4, 12),
    names.TRAINER: Resources(8, 16),
    names.BASELINE: Resources(1, 2),
    names.EVALUATOR: Resources(4, 12),
    names.SIGNATURES: Resources(2, 4),
    # A second push of the same model finds the first and does nothing.
    names.PUSHER: Resources(1, 2),
    # It fails where somebody should look: once is enough.
    names.CLOSE_RUN: Resources(1, 2, retries=0),
    # The tasks that a feed's day has beside them.
    names.RESOLVE: Resources(1, 4),
    names.DATA_GATES: Resources(1, 4),
    names.PROGRESSIVE: Resources(4, 12),
    names.PROGRESSIVE_GATE: Resources(1, 2),
    names.CANDIDATE: Resources(8, 16),
    names.CLOSE: Resources(1, 4, retries=0),
}

_OPTION = re.compile(r"^(?P<task>[A-Za-z]+):(?P<values>.+)$")


def parse_resources(options: Sequence[str]) -> dict[str, Resources]:
    """The resources of every task, with those of the command line.

    Args:
      options: `Task:cpu=16,memory=64,gpus=1,retries=0`, any of the four.

    Raises:
      InputError: an unknown task or quantity, or a value that is no number.
    """
    resources = dict(DEFAULTS)
    for option in options:
        match = _OPTION.match(option)
        if match is None or match["task"] not in resources:
            raise InputError(
                f"--resources {option}: expected TASK:cpu=8,memory=16,gpus=1,retries=2 with TASK one of "
                f"{', '.join(resources)}"
            )
        changes: dict[str, float] = {}
        for pair in match["values"].split(","):
            quantity, _, text = pair.partition("=")
            try:
                changes[quantity] = float(text) if quantity in ("cpu", "memory") else int(text)
            except ValueError:
                raise InputError(f"--resources {option}: {pair}: expected a number after the =") from None
            if quantity not in ("cpu", "memory", "gpus", "retries") or changes[quantity] < 0:
                raise InputError(
                    f"--resources {option}: {pair}: expected cpu, memory (GB), gpus or retries, none below 0"
                )
        resources[match["task"]] = dataclasses.replace(resources[match["task"]], **changes)  # type: ignore[arg-type]
    return resources


def resource_spec(resources: Resources, gpu_type: str) -> Any:
    """The container's `ResourceSpec`; no limit is looser than what was asked for, so that a node is not overfilled."""
    spec = pipeline_pb2.PipelineDeploymentConfig.PipelineContainerSpec.ResourceSpec(
        cpu_limit=resources.cpu,
        cpu_request=resources.cpu,
        memory_limit=resources.memory,
        memory_request=resources.memory,
    )
    if resources.gpus:
        spec.accelerator.count = resources.gpus
        spec.accelerator.type = gpu_type
    return spec


def retry_policy(resources: Resources) -> Any:
    """Tried again after 30 s, then twice as long, at most 10 minutes."""
    policy = pipeline_pb2.PipelineTaskSpec.RetryPolicy(max_retry_count=resources.retries, backoff_factor=2.0)
    policy.backoff_duration.seconds = 30
    policy.backoff_max_duration.seconds = 600
    return policy
