"""What a runner tells whoever watches: a component begins, a component has ended."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any


@dataclasses.dataclass(frozen=True)
class NodeStarted:
    """A component begins. `position` counts from 1 to `total`."""

    node: str
    position: int
    total: int


@dataclasses.dataclass(frozen=True)
class NodeRun:
    """How one component ran.

    Attributes:
      node: the component's id.
      cached: whether its outputs came from an earlier run.
      seconds: wall-clock seconds it took.
      cpu_seconds: processor seconds it took, processes it started included.
      peak_memory_mb: most resident memory of this process and those it started while it ran.
      seconds_before: where it was cached, wall-clock seconds of the execution that made its outputs; None where that
        is not known.
      outputs: its output artifacts (TFX `Artifact`s) by key.
    """

    node: str
    cached: bool
    seconds: float
    cpu_seconds: float
    outputs: dict[str, list[Any]]
    peak_memory_mb: float = 0.0
    seconds_before: float | None = None

    def uri(self, key: str) -> Path:
        """The folder of the single output artifact `key`."""
        [artifact] = self.outputs[key]
        return Path(artifact.uri)
