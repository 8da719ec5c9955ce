"""The command of every container: `python -m kubeflow.entrypoint`, TFX's own entry point between two mendings.

It takes TFX's arguments, mends what the launcher handed over (`kubeflow.compat`), applies the runtime parameters
(`kubeflow.overrides`), lets `tfx.orchestration.kubeflow.v2.container.kubeflow_v2_run_executor` run the component,
and mends what it left.

The process leaves by `os._exit` once everything is written. Reason: destructors of protobuf and ML Metadata may abort
with "pure virtual method called" while the interpreter shuts down, which fails a task whose output is complete.
TFX's module runs as `__main__` in TFX's own images, where no patch reaches it; here it is imported.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import shutil
import signal
import sys
import tempfile
import traceback
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2 as pipeline_pb2
from tfx.dsl.io import fileio

from components.committed import remove_leftovers
from components.errors import InputError
from kubeflow import compat, day, mounts, overrides
from kubeflow.runtime_parameters import KEEPS_ABSENT, PREFIX, TRAINING_JOB, VIEW
from pipeline.engine_job import is_distributed, on_engine
from pipeline.failures import explain


def parse(argv: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """TFX's arguments, and Beam's, which are all the others."""
    parser = argparse.ArgumentParser(prog="python -m kubeflow.entrypoint", allow_abbrev=False)
    parser.add_argument("--executor_class_path", required=True)
    parser.add_argument("--json_serialized_invocation_args", required=True)
    parser.add_argument("--json_serialized_inputs_spec_args")
    return parser.parse_known_args(argv)


def run(argv: Sequence[str]) -> None:
    """Runs one component.

    Args:
      argv: the container's arguments, placeholders resolved.

    Raises:
      InputError: a runtime parameter is wrong.
      Exception: whatever the component raises.
    """
    args, beam_args = parse(argv)
    executor_input = pipeline_pb2.ExecutorInput()
    json_format.Parse(args.json_serialized_invocation_args, executor_input, ignore_unknown_fields=True)
    inputs_spec = compat.parse_inputs_spec(args.json_serialized_inputs_spec_args)
    compat.name_types(executor_input, inputs_spec)
    told = day.take(executor_input)
    output_file = executor_input.outputs.output_file
    if told is not None and told.absence is not None:
        print(f"{told.task}: nothing to do{' after a refusal' if told.absence.refused else ''}")
        day.leave_out(executor_input, output_file, told.absence)
        return
    # Imports all of TFX: a task that has nothing to do does without.
    from tfx.orchestration.kubeflow.v2.container import kubeflow_v2_run_executor

    if KEEPS_ABSENT not in executor_input.inputs.parameter_values:
        compat.drop_absent(executor_input)
    parameters = _take_parameters(executor_input)
    workers = _workers(parameters.get(TRAINING_JOB))
    beam_args += _apply_parameters(executor_input, parameters, told)
    shared = is_distributed(beam_args)
    if shared:
        _check_shared(executor_input)
    addresses = {} if shared else compat.localise(executor_input)

    work = _work_folder(executor_input, shared)
    executor_input.outputs.output_file = f"{work}/executor_output.json"
    args.json_serialized_invocation_args = json_format.MessageToJson(executor_input)
    try:
        with on_engine(beam_args), workers:
            kubeflow_v2_run_executor._run_executor(args, beam_args)
        _hand_over(f"{work}/executor_output.json", output_file, addresses)
    except Exception as error:
        if told is None or told.day is None:
            raise
        from pipeline.daily.outcome import refusal_of

        refusal = refusal_of(error, told.task, told.day.entry.parts)
        if refusal is None:
            raise
        print(f"{told.task} refuses the {refusal.at}: {refusal.reasons}")
        absence = day.Absence(refused=refusal.at, reasons=refusal.reasons)
        day.leave_out(executor_input, output_file, absence)
    finally:
        if not shared:
            shutil.rmtree(work, ignore_errors=True)
    if shared:
        for artifact in _outputs(executor_input):
            remove_leftovers(artifact.uri)
        _delete_markers(executor_input)


def _take_parameters(executor_input: Any) -> dict[str, Any]:
    """Takes the runtime parameters, and what else is meant for this entry point, out of the inputs."""
    given = executor_input.inputs.parameter_values
    values = {}
    for name in [name for name in given if name.startswith(PREFIX)]:
        values[name.removeprefix(PREFIX)] = json_format.MessageToDict(given[name])
        del given[name]
    return values


def _workers(training_job: str | None) -> AbstractContextManager[None]:
    """Who trains where the package was compiled with several workers: a TFJob."""
    if training_job is None:
        return nullcontext()
    from components.trainer.multi_worker import launched_by
    from kubeflow.tf_job import TrainingJob
    from kubeflow.tf_job_run import train

    return launched_by(functools.partial(train, job=TrainingJob.of(training_job)))


def _apply_parameters(executor_input: Any, values: dict[str, Any], told: day.Told | None) -> list[str]:
    """Applies the runtime parameters, and returns the options for Beam."""
    given = executor_input.inputs.parameter_values
    if not values and told is None:
        return []
    properties = {name: json_format.MessageToDict(value) for name, value in given.items()}
    if told is not None and told.day is not None:
        properties = day.apply(properties, told.day, str(values.pop(VIEW, "")))
    changed, beam_args = overrides.apply(properties, values)
    for name, value in changed.items():
        json_format.ParseDict(value, given[name])
    return beam_args


def _check_shared(executor_input: Any) -> None:
    for artifact in _outputs(executor_input):
        if mounts.is_address(artifact.uri) and not artifact.uri.startswith("gs://"):
            raise InputError(
                f"Beam's workers cannot reach {artifact.uri}: with a distributed Beam runner the pipeline root "
                "must be a gs:// address or a folder that every worker mounts"
            )


def _outputs(executor_input: Any) -> Iterator[Any]:
    for artifacts in executor_input.outputs.artifacts.values():
        yield from artifacts.artifacts


def _work_folder(executor_input: Any, shared: bool) -> str:
    """Where temporary files go: this pod, or, for workers elsewhere, beside the first output."""
    if not shared:
        return tempfile.mkdtemp(prefix="task-")
    first = min(artifact.uri for artifact in _outputs(executor_input))
    return f"{first.rstrip('/')}-task"


def _hand_over(source: str, target: str, addresses: dict[str, str]) -> None:
    """Writes the executor's output where the launcher looks for it, in a form that it can read."""
    executor_output = pipeline_pb2.ExecutorOutput()
    with fileio.open(source, "r") as stream:
        json_format.Parse(stream.read(), executor_output)
    compat.restore_addresses(executor_output, addresses)
    compat.keep_readable(executor_output)
    local = mounts.to_local(target)
    fileio.makedirs(os.path.dirname(local))  # noqa: PTH120 - may be an address
    with fileio.open(local, "w") as stream:
        stream.write(json.dumps(json_format.MessageToDict(executor_output)))


def _delete_markers(executor_input: Any) -> None:
    from google.cloud import storage

    for artifact in _outputs(executor_input):
        if artifact.uri.startswith("gs://"):
            bucket, _, key = artifact.uri.removeprefix("gs://").partition("/")
            compat.delete_directory_markers(storage.Client().bucket(bucket), key)


def leave(code: int) -> None:
    """Ends the process without the interpreter's shutdown; see the module's docstring."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def main() -> None:
    """Runs the component and leaves with its exit code: 0; 1 a gate refused, 2 wrong input, 3 a defect, 4 the engine.

    A pod that is deleted gets SIGTERM: a job on an engine is cancelled then, and the code is 143.
    """
    code = 0
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        run(sys.argv[1:])
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 2
    except KeyboardInterrupt:
        code = 128 + signal.SIGTERM
        print("error: stopped", file=sys.stderr)
    except BaseException as error:
        traceback.print_exc()
        known = explain(error)
        message, code = known if known is not None else (f"{type(error).__name__}: {error}", 3)
        print(f"error: {message}", file=sys.stderr)
    leave(code)


if __name__ == "__main__":
    main()
