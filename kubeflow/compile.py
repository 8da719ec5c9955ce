"""Compiles the pipeline for Kubeflow Pipelines v2: a YAML package for open source, a JSON job for Vertex."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import yaml
from tfx.dsl.components.base import base_driver
from tfx.orchestration.kubeflow.v2 import kubeflow_v2_dag_runner as v2
from tfx.orchestration.pipeline import Pipeline

from components import stack
from components.dataset.schema import schema_text
from components.errors import InputError
from kubeflow import daily_package, tf_job
from kubeflow import package as packaging
from kubeflow import runtime_parameters as names
from kubeflow.close_run import close_run
from kubeflow.next_step import recurring_name
from kubeflow.options import CompileRequest, check_request, parse_labels, parse_volumes
from kubeflow.resources import KUBERNETES_GPU, Resources, parse_resources
from pipeline.create import PipelineSettings, create_pipeline

VERTEX_GPU = "NVIDIA_TESLA_T4"
# Stands in the compiled ExampleGen for the fingerprint of files that a compile cannot see.
RUNTIME_FINGERPRINT = "runtime"
STANDARD_LABELS = {"app": "dfei"}


def compile_package(request: CompileRequest) -> list[Path]:
    """Writes the package.

    Args:
      request: what to compile.

    Returns:
      The files written: the package and, with a schedule, `<name>.recurring.json` beside it.

    Raises:
      InputError: the request is wrong, or the pipeline cannot run on a cluster.
    """
    check_request(request)
    resources = parse_resources(request.resources)
    job = _run_tfx(request)
    package = packaging.Package.of(job["pipelineSpec"])
    if request.target == "kubeflow" and request.recurring is None:
        packaging.replace_resolver(package, request.image)
    schema = schema_text(request.declaration)
    if request.recurring is not None:
        packaging.declare(package, request.declaration, _defaults(request), names.of_a_day())
        daily_package.wire(package, schema)
    else:
        packaging.declare(package, request.declaration, _defaults(request), names.PARAMETERS)
        packaging.wire(package, request.declaration, schema)
    gpu_type = request.gpu_type or (KUBERNETES_GPU if request.target == "kubeflow" else VERTEX_GPU)
    if request.trainer_workers is not None:
        training = _training_job(request, resources[names.TRAINER], gpu_type)
        package.constant(names.TRAINER, names.PREFIX + names.TRAINING_JOB, training.to_json())
        waiting = dataclasses.replace(tf_job.WAITING, retries=resources[names.TRAINER].retries)
        resources = {**resources, names.TRAINER: waiting}
    packaging.finish(package, resources, gpu_type, request.cache)
    packaging.check(package, request.target == "kubeflow")
    if request.pipeline_root is not None:
        package.spec.default_pipeline_root = request.pipeline_root
    request.output.parent.mkdir(parents=True, exist_ok=True)
    if request.target == "kubeflow":
        _write_yaml(request, package)
    else:
        _write_job(request, package, job)
    written = [request.output]
    if request.recurring is not None:
        written.append(_write_schedule(request))
    return written


def _run_tfx(request: CompileRequest) -> dict[str, Any]:
    pipeline = _pipeline(request)
    check_drivers(pipeline)
    config = v2.KubeflowV2DagRunnerConfig(
        display_name=request.pipeline_name,
        default_image=request.image,
        default_commands=list(packaging.COMMAND),
        # Open source takes this version alone, and only its constants.
        use_pipeline_spec_2_1=True,
    )
    try:
        job: dict[str, Any] = v2.KubeflowV2DagRunner(config).run(pipeline, write_out=False)
    except (NotImplementedError, TypeError) as error:
        raise InputError(f"the pipeline does not compile for Kubeflow: {error}") from error
    return job


def _pipeline(request: CompileRequest) -> Pipeline:
    """Of `dfei run`; with a schedule that of `dfei daily`."""
    if request.recurring is not None:
        return daily_package.create(
            request.declaration, request.pipeline_root or "", tuple(request.beam_args)
        )
    return create_pipeline(
        PipelineSettings(
            declaration=request.declaration,
            data_dir="",
            data_fingerprint=RUNTIME_FINGERPRINT,
            schema_file="",
            pipeline_root=request.pipeline_root or "",
            serving_dir="",
            beam_args=request.beam_args,
            resolve_latest_blessed=True,
        ),
        close_run,
    )


def check_drivers(pipeline: Pipeline) -> None:
    """Refuses components whose driver would silently not run.

    Raises:
      InputError: naming the component.
    """
    for component in pipeline.components:
        if (
            component.driver_class is not base_driver.BaseDriver
            and "Resolver" not in type(component).__name__
        ):
            raise InputError(
                f"{component.id} has a driver of its own ({component.driver_class.__name__}): Kubeflow runs "
                "executors alone"
            )


def _defaults(request: CompileRequest) -> dict[str, str]:
    defaults = dict.fromkeys(
        ("data_version", "declaration", "settings", "beam_args", "accept", "first_day"), ""
    )
    if request.root is not None:
        defaults["root"] = request.root
    if request.data_dir is not None:
        defaults["data_dir"] = request.data_dir
    if request.push_destination is not None:
        defaults["push_destination"] = request.push_destination
    return defaults


def _labels(request: CompileRequest) -> dict[str, str]:
    standard = {**STANDARD_LABELS, "dataset": request.declaration.name, "stack": stack.label()}
    return {**standard, **parse_labels(request.labels)}


def _training_job(request: CompileRequest, resources: Resources, gpu_type: str) -> tf_job.TrainingJob:
    assert request.trainer_workers is not None and request.trainer_work is not None
    made = tf_job.manifest(
        name=f"{request.pipeline_name}-trainer",
        image=request.image,
        workers=request.trainer_workers,
        resources=resources,
        gpu_type=gpu_type,
        volumes=parse_volumes(request.volumes),
        labels=_labels(request),
    )
    return tf_job.TrainingJob(request.trainer_work, made)


def _write_yaml(request: CompileRequest, package: packaging.Package) -> None:
    executor: dict[str, Any] = {"podMetadata": {"labels": _labels(request)}}
    volumes = [{"constant": claim, "mountPath": path} for claim, path in parse_volumes(request.volumes)]
    if volumes:
        executor["pvcMount"] = volumes
    executors = dict.fromkeys(package.executor_labels(), executor)
    platforms = {"platforms": {"kubernetes": {"deploymentSpec": {"executors": executors}}}}
    with request.output.open("w") as stream:
        yaml.dump_all(
            [package.to_dict(), platforms], stream, Dumper=_NoAliases, sort_keys=True, allow_unicode=True
        )


class _NoAliases(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        del data
        return True


def _write_job(request: CompileRequest, package: packaging.Package, job: dict[str, Any]) -> None:
    job["pipelineSpec"] = package.to_dict()
    job["labels"] = {**job.get("labels", {}), **_labels(request)}
    job["runtimeConfig"] = {"gcsOutputDirectory": request.pipeline_root}
    request.output.write_text(json.dumps(job, indent=1, sort_keys=True, ensure_ascii=False))


def schedule_path(output: Path) -> Path:
    """Where the schedule lies: beside the package."""
    return output.with_name(f"{output.stem}.recurring.json")


def _write_schedule(request: CompileRequest) -> Path:
    """The schedule as `kfp.Client.create_recurring_run` takes it; Kubeflow's cron has seconds in front."""
    assert request.recurring is not None
    schedule = {
        "job_name": recurring_name(request),
        "cron_expression": f"0 {request.recurring}" if request.target == "kubeflow" else request.recurring,
        "max_concurrency": 1,
        "no_catchup": True,
        "pipeline_package_path": request.output.name,
        "params": {
            key: value
            for key, value in _defaults(request).items()
            if key in ("data_dir", "root", "push_destination")
        },
    }
    path = schedule_path(request.output)
    path.write_text(json.dumps(schedule, indent=1))
    return path
