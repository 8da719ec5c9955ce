"""The signature check as a TFX component that blesses a servable model."""

import json
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types import artifact_utils, standard_artifacts
from tfx.utils import path_utils

from components.committed import committed_files
from components.dataset.declaration import Declaration
from components.errors import InputError
from components.signature_check import fresh_process
from components.signature_check.example_request import example_request
from components.signature_check.real_rows import read_serialized, write_requests
from components.transform.row_layout import read_layout
from components.version_notes import REQUEST, write_request

REPORT = "signature_check.json"
ROWS = 512
TIMEOUT_SECONDS = 900


def run_fresh_process(model_dir: str, requests: Path, report: Path) -> list[dict[str, Any]]:
    """Runs `fresh_process` on a model; a process that fails is a failed check, with the end of its output.

    Raises:
      InputError: the process did not answer in time, or the system ended it. That says nothing of the model: as a
        verdict it would stay in the cache and refuse the model for good.
    """
    # Isolated, so that neither this folder nor the project is on the path.
    command = [sys.executable, "-I", fresh_process.__file__, model_dir, str(requests), str(report)]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, cwd="/", check=False
        )
    except subprocess.TimeoutExpired:
        raise InputError(
            f"the signature check of {model_dir} had no answer within {TIMEOUT_SECONDS} s, perhaps because the machine "
            "is too busy: give the same command again"
        ) from None
    if done.returncode < 0:
        raise InputError(
            f"the signature check of {model_dir} was ended by signal {-done.returncode} "
            f"({signal.strsignal(-done.returncode)}), perhaps because memory ran out: free some and give the same "
            f"command again. The end of its output: {done.stderr[-2000:].strip() or 'nothing'}"
        )
    if done.returncode > 0:
        died = f"exit code {done.returncode}: {done.stderr[-2000:]}"
        report.write_text(
            json.dumps(
                [{"check": "the model loads and answers in a fresh process", "passed": False, "detail": died}]
            )
        )
    results: list[dict[str, Any]] = json.loads(report.read_text())
    return results


@component
def SignatureCheck(  # noqa: N802 - the component's name
    model: InputArtifact[standard_artifacts.Model],
    examples: InputArtifact[standard_artifacts.Examples],
    transform_graph: InputArtifact[standard_artifacts.TransformGraph],
    blessing: OutputArtifact[standard_artifacts.InfraBlessing],
    declaration: Parameter[str],
    code: Parameter[str],
) -> None:
    """Checks that an exported model is servable and answers as it was trained; blesses it if every check passed.

    In a fresh process with nothing but TensorFlow it calls every signature with real rows, unknown ids and missing
    features, and holds the served answer against Transform followed by the model.

    Args:
      model: the Trainer's model.
      examples: raw examples with an `eval` split.
      transform_graph: the Transform graph the model was trained with.
      blessing: gets the report, `signature_check.json`, and a request that the Pusher puts into the version.
      declaration: the data set's declaration as JSON.
      code: a hash of the code, so that the cache sees code edits.

    Raises:
      InputError: the process that checks gave no answer; see `run_fresh_process`.
    """
    declared = Declaration.from_json(declaration)
    model_dir = path_utils.serving_model_path(model.uri, path_utils.is_old_model_artifact(model))
    report = Path(blessing.uri) / REPORT
    report.parent.mkdir(parents=True, exist_ok=True)
    files = committed_files(artifact_utils.get_split_uri([examples], "eval"))
    with tempfile.TemporaryDirectory() as scratch:
        requests = Path(scratch) / "requests.npz"
        layout = read_layout(transform_graph.uri, declared)
        write_requests(files, ROWS, declared, transform_graph.uri, layout, requests)
        results = run_fresh_process(model_dir, requests, report)
    failed = [result for result in results if not result["passed"]]
    write_request(report.with_name(REQUEST.name), example_request(read_serialized(files, ROWS), declared))
    blessing.set_int_custom_property("blessed", int(not failed))
