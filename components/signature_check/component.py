"""The signature check as a TFX component that blesses a servable model."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tfx import types
from tfx.dsl.components.base import base_component, base_executor, executor_spec
from tfx.types import artifact_utils, component_spec, standard_artifacts
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


class SignatureCheckSpec(component_spec.ComponentSpec):
    """Inputs, outputs and parameters of `SignatureCheck`."""

    PARAMETERS = {  # noqa: RUF012
        "declaration": component_spec.ExecutionParameter(type=str),
        "code": component_spec.ExecutionParameter(type=str),
    }
    INPUTS = {  # noqa: RUF012
        "model": component_spec.ChannelParameter(type=standard_artifacts.Model),
        "examples": component_spec.ChannelParameter(type=standard_artifacts.Examples),
        "transform_graph": component_spec.ChannelParameter(type=standard_artifacts.TransformGraph),
    }
    OUTPUTS = {  # noqa: RUF012
        "blessing": component_spec.ChannelParameter(type=standard_artifacts.InfraBlessing),
    }


class SignatureCheckExecutor(base_executor.BaseExecutor):
    """Writes real requests, has a fresh process answer them, and blesses the model if every check passed.

    One of them lies beside the report: the Pusher puts it into the version.
    """

    def Do(  # noqa: N802 - the name is TFX's
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Runs the checks; the report lies in the blessing artifact as `signature_check.json`.

        Raises:
          InputError: the process that checks gave no answer; see `run_fresh_process`.
        """
        self._log_startup(input_dict, output_dict, exec_properties)
        declaration = Declaration.from_json(exec_properties["declaration"])
        model = artifact_utils.get_single_instance(input_dict["model"])
        blessing = artifact_utils.get_single_instance(output_dict["blessing"])
        transform_graph = artifact_utils.get_single_uri(input_dict["transform_graph"])
        model_dir = path_utils.serving_model_path(model.uri, path_utils.is_old_model_artifact(model))
        report = Path(blessing.uri) / REPORT
        report.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as scratch:
            requests = Path(scratch) / "requests.npz"
            files = committed_files(artifact_utils.get_split_uri(input_dict["examples"], "eval"))
            layout = read_layout(transform_graph, declaration)
            write_requests(files, ROWS, declaration, transform_graph, layout, requests)
            results = run_fresh_process(model_dir, requests, report)
        failed = [result for result in results if not result["passed"]]
        write_request(
            report.with_name(REQUEST.name), example_request(read_serialized(files, ROWS), declaration)
        )
        blessing.set_int_custom_property("blessed", int(not failed))


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


class SignatureCheck(base_component.BaseComponent):
    """Checks that an exported model is servable and answers as it was trained.

    In a fresh process with nothing but TensorFlow it calls every signature with real rows, unknown ids and missing
    features, and holds the served answer against Transform followed by the model.

    Args:
      model: the Trainer's model.
      examples: raw examples with an `eval` split.
      transform_graph: the Transform graph the model was trained with.
      declaration: the data set's declaration as JSON.
      code: a hash of the code, so that the cache sees code edits.
    """

    SPEC_CLASS = SignatureCheckSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(SignatureCheckExecutor)

    def __init__(
        self,
        *,
        model: types.BaseChannel,
        examples: types.BaseChannel,
        transform_graph: types.BaseChannel,
        declaration: str,
        code: str,
    ) -> None:
        super().__init__(
            SignatureCheckSpec(
                model=model,
                examples=examples,
                transform_graph=transform_graph,
                declaration=declaration,
                code=code,
                blessing=types.Channel(type=standard_artifacts.InfraBlessing),
            )
        )
