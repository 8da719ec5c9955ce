"""The compiled packages, read with Kubeflow's own messages."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from google.protobuf import json_format
from kfp.dsl import structures
from kfp.pipeline_spec import pipeline_spec_pb2 as pipeline_pb2
from tfx.components.statistics_gen.component import StatisticsGen
from tfx.dsl.components.base import base_driver
from tfx.orchestration.pipeline import Pipeline

from components import stack
from components.dataset.loader import load_declaration
from components.dataset.schema import schema_text
from components.errors import InputError
from kubeflow import compile as compiling
from kubeflow import runtime_parameters as names
from kubeflow.package import INPUTS_FLAG, Package, check
from kubeflow.resources import DEFAULTS, parse_resources
from tests.kubeflow.conftest import IMAGE, Compiled, request

TASKS = {
    "DeclaredExampleGen",
    "StatisticsGen",
    "ImportSchemaGen",
    "StrictExampleValidator",
    "Transform",
    "Trainer",
    "baseline",
    "Evaluator",
    "SignatureCheck",
    "AtomicPusher",
    "CloseRun",
}


def _value(package: Compiled, task: str, name: str) -> str:
    return str(package.tasks[task].inputs.parameters[name].runtime_value.constant.string_value)


def test_the_yaml_is_what_kubeflow_takes(kubeflow_package: Compiled) -> None:
    spec, platforms = kubeflow_package.documents
    assert spec["schemaVersion"] == "2.1.0"
    assert kubeflow_package.spec.pipeline_info.name == "dfei-simulated"
    json_format.ParseDict(platforms, pipeline_pb2.PlatformSpec(), ignore_unknown_fields=False)
    loaded = structures.ComponentSpec.from_yaml_documents(kubeflow_package.path.read_text())
    assert set(loaded.inputs or {}) == {parameter.name for parameter in names.PARAMETERS}
    assert set(kubeflow_package.tasks) == TASKS


def test_the_command_lines_of_the_documentation_give_texts_to_parameters_that_are_texts() -> None:
    # The command line sends every value as a text, and Kubeflow takes none for a number.
    text = (Path(__file__).parents[2] / "docs" / "kubeflow.md").read_text("utf-8")
    commands = re.findall(r"\brun create [^`\n]*", text)
    given = [word.partition("=")[0] for command in commands for word in command.split() if "=" in word]
    assert given
    kinds = [parameter.kind for name in given if (parameter := names.by_name(name)) is not None]
    assert kinds == ["STRING"] * len(given)


def test_the_json_is_a_job_for_vertex(vertex_package: Compiled) -> None:
    job = json_format.ParseDict(vertex_package.documents[0], pipeline_pb2.PipelineJob())
    assert job.runtime_config.gcs_output_directory == "gs://bucket/root"
    assert job.labels["app"] == "dfei"
    assert job.labels["dataset"] == "simulated"
    assert re.fullmatch(r"tfx[a-z0-9-]+", job.labels["stack"])
    assert vertex_package.spec.default_pipeline_root == "gs://bucket/root"


def test_vertex_resolves_the_latest_blessed_model_and_open_source_looks_what_is_served(
    kubeflow_package: Compiled, vertex_package: Compiled
) -> None:
    kinds = {e.WhichOneof("spec") for e in kubeflow_package.deployment.executors.values()}
    assert kinds == {"container"}
    resolvers = {
        name
        for name in vertex_package.tasks
        if vertex_package.executor(name).WhichOneof("spec") == "resolver"
    }
    assert resolvers == {"baseline-model-blessing-resolver", "baseline-model-resolver"}
    source = kubeflow_package.tasks["Evaluator"].inputs.artifacts["baseline_model"].task_output_artifact
    assert (source.producer_task, source.output_artifact_key) == ("baseline", "model")
    assert "baseline" in kubeflow_package.tasks["Evaluator"].dependent_tasks
    assert not kubeflow_package.tasks["baseline"].caching_options.enable_cache


def test_every_dependency_exists_and_there_is_no_circle(kubeflow_package: Compiled) -> None:
    done: set[str] = set()
    waiting = dict(kubeflow_package.tasks)
    while waiting:
        ready = [name for name, task in waiting.items() if set(task.dependent_tasks) <= done]
        assert ready, waiting
        done.update(ready)
        for name in ready:
            del waiting[name]
    assert done == TASKS


def test_artifacts_come_from_tasks_that_were_waited_for(kubeflow_package: Compiled) -> None:
    for name, task in kubeflow_package.tasks.items():
        for source in task.inputs.artifacts.values():
            producer = source.task_output_artifact.producer_task
            assert producer in task.dependent_tasks, name
            component = kubeflow_package.spec.components[kubeflow_package.tasks[producer].component_ref.name]
            assert source.task_output_artifact.output_artifact_key in component.output_definitions.artifacts


def test_every_container_runs_our_entry_point_of_the_pinned_image(kubeflow_package: Compiled) -> None:
    for name in TASKS:
        container = kubeflow_package.executor(name).container
        assert container.image == IMAGE
        assert list(container.command) == ["python", "-m", "kubeflow.entrypoint"]
        args = list(container.args)
        assert args[args.index("--json_serialized_invocation_args") + 1] == "{{$}}"
        told = json.loads(args[args.index(INPUTS_FLAG) + 1])
        component = kubeflow_package.spec.components[kubeflow_package.tasks[name].component_ref.name]
        assert told == json_format.MessageToDict(component.input_definitions)


def test_runtime_parameters_have_the_declared_defaults(kubeflow_package: Compiled) -> None:
    root = kubeflow_package.spec.root.input_definitions.parameters
    defaults = {name: json_format.MessageToDict(p.default_value) for name, p in root.items()}
    assert defaults["learning_rate"] == 0.002
    assert defaults["decay"] == 0.9
    assert defaults["model"] == "dfei"
    assert defaults["epochs"] == load_declaration("simulated", []).training.epochs
    assert defaults["data_dir"] == "/data"
    assert all(parameter.is_optional for parameter in root.values())


def test_a_place_without_a_default_must_be_given(vertex_package: Compiled) -> None:
    root = vertex_package.spec.root.input_definitions.parameters
    assert not root["data_dir"].is_optional
    assert not root["data_dir"].HasField("default_value")


def test_a_parameter_reaches_only_the_tasks_it_concerns(kubeflow_package: Compiled) -> None:
    reached: dict[str, set[str]] = {}
    for name, task in kubeflow_package.tasks.items():
        for value in task.inputs.parameters.values():
            if value.WhichOneof("kind") == "component_input_parameter":
                reached.setdefault(value.component_input_parameter, set()).add(name)
    assert reached["learning_rate"] == {"Trainer"}
    assert reached["data_dir"] == {"DeclaredExampleGen"}
    assert reached["push_destination"] == {"baseline", "AtomicPusher"}
    assert reached["moving_average_decay"] == {"Transform", "Trainer", "SignatureCheck"}
    assert reached["beam_args"] == {"DeclaredExampleGen", "StatisticsGen", "Transform", "Evaluator"}
    assert set(reached) == {parameter.name for parameter in names.PARAMETERS}


def test_resources_retries_and_cache(kubeflow_package: Compiled, vertex_package: Compiled) -> None:
    trainer = kubeflow_package.executor("Trainer").container.resources
    assert (trainer.cpu_limit, trainer.memory_limit) == (DEFAULTS["Trainer"].cpu, 32)
    assert (trainer.accelerator.type, trainer.accelerator.count) == ("nvidia.com/gpu", 1)
    assert vertex_package.executor("Trainer").container.resources.accelerator.type == "NVIDIA_TESLA_T4"
    for name in TASKS:
        assert kubeflow_package.executor(name).container.resources.memory_request > 0
        retries = kubeflow_package.tasks[name].retry_policy.max_retry_count
        assert retries == (0 if name == "Transform" else DEFAULTS[name].retries)
        cached = kubeflow_package.tasks[name].caching_options.enable_cache
        assert cached == (name not in ("baseline", "AtomicPusher", "CloseRun"))


def test_labels_and_volumes_reach_every_pod(kubeflow_package: Compiled) -> None:
    executors = kubeflow_package.documents[1]["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    assert set(executors) == set(kubeflow_package.deployment.executors)
    for executor in executors.values():
        assert executor["podMetadata"]["labels"] == {
            "app": "dfei",
            "dataset": "simulated",
            "stack": stack.label(),
            "team": "growth",
        }
        assert executor["pvcMount"] == [{"constant": "impressions", "mountPath": "/data"}]


def test_the_schema_travels_with_the_package(kubeflow_package: Compiled) -> None:
    text = _value(kubeflow_package, "ImportSchemaGen", "runtime_schema_text")
    assert text == schema_text(request(Path("p.yaml")).declaration)


@pytest.mark.parametrize(
    "option", ["Nobody:cpu=1", "Trainer", "Trainer:cpu=many", "Trainer:disk=4", "Trainer:gpus=-1"]
)
def test_wrong_resources_are_refused(option: str) -> None:
    with pytest.raises(InputError, match="--resources"):
        parse_resources([option])


def test_a_component_with_a_driver_of_its_own_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class Driver(base_driver.BaseDriver):
        """Would be left out on a cluster."""

    statistics = StatisticsGen.__new__(StatisticsGen)
    statistics._id = "StatisticsGen"
    statistics.driver_class = Driver
    pipeline = Pipeline.__new__(Pipeline)
    pipeline._components = [statistics]
    monkeypatch.setattr(Pipeline, "components", property(lambda self: self._components))
    with pytest.raises(InputError, match=r"StatisticsGen has a driver of its own \(Driver\)"):
        compiling.check_drivers(pipeline)


def test_a_resolver_in_a_package_for_open_source_is_refused(vertex_package: Compiled) -> None:
    package = Package(vertex_package.spec, vertex_package.deployment)
    check(package, open_source=False)
    with pytest.raises(InputError, match="resolver executor"):
        check(package, open_source=True)


def test_settings_that_do_not_fit_into_an_argument_are_refused(kubeflow_package: Compiled) -> None:
    spec = pipeline_pb2.PipelineSpec()
    spec.CopyFrom(kubeflow_package.spec)
    package = Package(spec, kubeflow_package.deployment)
    package.constant("Trainer", "custom_config", "x" * 120_000)
    with pytest.raises(InputError, match=r"Trainer: its settings take"):
        check(package, open_source=True)
