"""ServingLatency: times the named-feature signature of an exported model with real rows."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tfx import types
from tfx.dsl.components.base import base_component, base_executor, executor_spec
from tfx.types import artifact, artifact_utils, component_spec, standard_artifacts
from tfx.utils import path_utils

from components.committed import committed_files
from components.dataset.declaration import Declaration
from components.signature_check.real_rows import named_rows, read_serialized
from components.trainer.raw_inputs import request_features

REPORT = "latency.json"
# Rows of a request, and how often it is asked.
REQUESTS = {1: 200, 100: 50, 512: 20}
_WARM_UP = 5


class Latency(artifact.Artifact):
    """`latency.json`: `{"<rows of a request>": {"median_ms", "p95_ms"}}`."""

    TYPE_NAME = "ServingLatency"


class ServingLatencySpec(component_spec.ComponentSpec):
    """Inputs, output and parameters of `ServingLatency`."""

    PARAMETERS = {  # noqa: RUF012
        "declaration": component_spec.ExecutionParameter(type=str),
        "code": component_spec.ExecutionParameter(type=str),
    }
    INPUTS = {  # noqa: RUF012
        "model": component_spec.ChannelParameter(type=standard_artifacts.Model),
        "examples": component_spec.ChannelParameter(type=standard_artifacts.Examples),
    }
    OUTPUTS = {"latency": component_spec.ChannelParameter(type=Latency)}  # noqa: RUF012


class ServingLatencyExecutor(base_executor.BaseExecutor):
    """Loads the SavedModel and asks it, one request after another."""

    def Do(  # noqa: N802 - the name is TFX's
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Measures, and writes `latency.json`."""
        self._log_startup(input_dict, output_dict, exec_properties)
        declaration = Declaration.from_json(exec_properties["declaration"])
        model = artifact_utils.get_single_instance(input_dict["model"])
        files = committed_files(artifact_utils.get_split_uri(input_dict["examples"], "eval"))
        serialized = read_serialized(files, max(REQUESTS))
        rows = named_rows(serialized, request_features(declaration))
        measured = measure(
            path_utils.serving_model_path(model.uri, path_utils.is_old_model_artifact(model)), rows
        )
        report = Path(artifact_utils.get_single_uri(output_dict["latency"])) / REPORT
        report.write_text(json.dumps(measured, indent=1))


def measure(model_dir: str, rows: dict[str, np.ndarray]) -> dict[str, dict[str, float]]:
    """Milliseconds per request of each size, the client's own work left out.

    Args:
      model_dir: the SavedModel.
      rows: a column (rows,) per named feature.
    """
    signature = tf.saved_model.load(model_dir).signatures["serving_default"]
    specs = signature.structured_input_signature[1]
    available = len(next(iter(rows.values())))
    measured = {}
    for size, times in REQUESTS.items():
        requests = []
        for start in range(0, available, size):
            chosen = np.arange(start, start + size) % available
            requests.append(
                {n: tf.constant(rows[n][chosen].tolist(), spec.dtype) for n, spec in specs.items()}
            )
        for number in range(_WARM_UP):
            signature(**requests[number % len(requests)])
        seconds = []
        for number in range(times):
            begun = time.perf_counter()
            signature(**requests[number % len(requests)])
            seconds.append(time.perf_counter() - begun)
        measured[str(size)] = {
            "median_ms": 1e3 * float(np.median(seconds)),
            "p95_ms": 1e3 * float(np.percentile(seconds, 95)),
        }
    return measured


class ServingLatency(base_component.BaseComponent):
    """Times an exported model. Meant to run while nothing else does.

    Args:
      model: the Trainer's model.
      examples: raw examples with an `eval` split.
      declaration: the data set's declaration as JSON.
      code: a hash of the code, so that the cache sees code edits.
    """

    SPEC_CLASS = ServingLatencySpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(ServingLatencyExecutor)

    def __init__(
        self, *, model: types.BaseChannel, examples: types.BaseChannel, declaration: str, code: str
    ) -> None:
        super().__init__(
            ServingLatencySpec(
                model=model,
                examples=examples,
                declaration=declaration,
                code=code,
                latency=types.Channel(type=Latency),
            )
        )
