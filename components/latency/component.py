"""ServingLatency: times the named-feature signature of an exported model with real rows."""

import json
import time
from pathlib import Path

import numpy as np
import tensorflow as tf
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types import artifact, artifact_utils, standard_artifacts
from tfx.utils import path_utils

from components.committed import committed_files
from components.dataset.declaration import Declaration
from components.signature_check.real_rows import named_rows, read_serialized
from components.trainer.raw_inputs import request_features
from models.arrays import Array

REPORT = "latency.json"
# Rows of a request, and how often it is asked.
REQUESTS = {1: 200, 100: 50, 512: 20}
_WARM_UP = 5


class Latency(artifact.Artifact):
    """`latency.json`: `{"<rows of a request>": {"median_ms", "p95_ms"}}`."""

    TYPE_NAME = "ServingLatency"


def measure(model_dir: str, rows: dict[str, Array]) -> dict[str, dict[str, float]]:
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


@component
def ServingLatency(  # noqa: N802 - the component's name
    model: InputArtifact[standard_artifacts.Model],
    examples: InputArtifact[standard_artifacts.Examples],
    latency: OutputArtifact[Latency],
    declaration: Parameter[str],
    code: Parameter[str],
) -> None:
    """Times an exported model: asks it, one request after another. Meant to run while nothing else does.

    Args:
      model: the Trainer's model.
      examples: raw examples with an `eval` split.
      latency: gets `latency.json`.
      declaration: the data set's declaration as JSON.
      code: a hash of the code, so that the cache sees code edits.
    """
    files = committed_files(artifact_utils.get_split_uri([examples], "eval"))
    serialized = read_serialized(files, max(REQUESTS))
    rows = named_rows(serialized, request_features(Declaration.from_json(declaration)))
    measured = measure(
        path_utils.serving_model_path(model.uri, path_utils.is_old_model_artifact(model)), rows
    )
    (Path(latency.uri) / REPORT).write_text(json.dumps(measured, indent=1))
