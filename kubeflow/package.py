"""Turns what TFX's compiler gives into a package: runtime parameters, resources, retries, the baseline.

Works on Kubeflow's own messages; `create_pipeline` and the components stay as they are for every runner.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping
from typing import Any

from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2 as pipeline_pb2
from tfx.orchestration.kubeflow.v2 import compiler_utils
from tfx.types import Channel, standard_artifacts

from components.dataset.declaration import Declaration
from components.errors import InputError
from kubeflow import overrides
from kubeflow import runtime_parameters as names
from kubeflow.baseline import Baseline
from kubeflow.resources import Resources, resource_spec, retry_policy

COMMAND = ("python", "-m", "kubeflow.entrypoint")
INPUTS_FLAG = "--json_serialized_inputs_spec_args"
# Linux takes no single argument above 128 KiB, and a task's inputs travel as one.
LARGEST_INPUTS = 100_000
# The baseline and the day change without any input changing; what was pushed may have been deleted since; and the last
# task says of each run how it ended.
_NEVER_CACHED = (names.BASELINE, names.PUSHER, names.CLOSE_RUN, names.RESOLVE, names.CLOSE)
_TYPES = {
    "STRING": pipeline_pb2.ParameterType.STRING,
    "NUMBER_INTEGER": pipeline_pb2.ParameterType.NUMBER_INTEGER,
    "NUMBER_DOUBLE": pipeline_pb2.ParameterType.NUMBER_DOUBLE,
}


@dataclasses.dataclass
class Package:
    """A pipeline specification and its deployment, taken apart to be worked on.

    Attributes:
      spec: tasks, components and parameters.
      deployment: what runs each component.
    """

    spec: Any
    deployment: Any

    @classmethod
    def of(cls, spec: Mapping[str, Any]) -> Package:
        """From the dictionary that TFX's runner returns."""
        message = json_format.ParseDict(dict(spec), pipeline_pb2.PipelineSpec())
        deployment = json_format.ParseDict(
            json_format.MessageToDict(message.deployment_spec), pipeline_pb2.PipelineDeploymentConfig()
        )
        return cls(message, deployment)

    def to_dict(self) -> dict[str, Any]:
        """Put together again."""
        self.spec.deployment_spec.Clear()
        self.spec.deployment_spec.update(json_format.MessageToDict(self.deployment))
        result: dict[str, Any] = json_format.MessageToDict(self.spec)
        return result

    @property
    def tasks(self) -> Any:
        """The tasks by name."""
        return self.spec.root.dag.tasks

    def container(self, task: str) -> Any:
        """The container specification of a task."""
        label = self.spec.components[self.tasks[task].component_ref.name].executor_label
        return self.deployment.executors[label].container

    def executor_labels(self) -> list[str]:
        """The executors that are containers."""
        return sorted(k for k, e in self.deployment.executors.items() if e.WhichOneof("spec") == "container")

    def bind(self, task: str, name: str, parameter: names.Parameter) -> None:
        """Feeds a runtime parameter into a task's input `name`."""
        self._define(task, name, parameter.kind)
        self.tasks[task].inputs.parameters[name].component_input_parameter = parameter.name

    def constant(self, task: str, name: str, value: str) -> None:
        """Feeds a constant text into a task's input `name`."""
        self._define(task, name, "STRING")
        self.tasks[task].inputs.parameters[name].runtime_value.constant.string_value = value

    def artifact(self, task: str, name: str, producer: str, key: str) -> None:
        """Feeds another task's output into a task's input `name`, and makes it wait for that task."""
        made_by = self.spec.components[self.tasks[producer].component_ref.name]
        component = self.spec.components[self.tasks[task].component_ref.name]
        kind = made_by.output_definitions.artifacts[key].artifact_type
        component.input_definitions.artifacts[name].artifact_type.CopyFrom(kind)
        source = self.tasks[task].inputs.artifacts[name].task_output_artifact
        source.producer_task, source.output_artifact_key = producer, key
        others = self.tasks[task].dependent_tasks
        if producer not in others:
            others.append(producer)

    def _define(self, task: str, name: str, kind: names.Kind) -> None:
        component = self.spec.components[self.tasks[task].component_ref.name]
        component.input_definitions.parameters[name].parameter_type = _TYPES[kind]


def declare(
    package: Package,
    declaration: Declaration,
    defaults: Mapping[str, str],
    parameters: Iterable[names.Parameter],
) -> None:
    """Declares runtime parameters and hands each to its tasks.

    Args:
      package: changed in place.
      declaration: its values are the defaults of the settings.
      defaults: the other parameters' defaults; a parameter without one must be given for each run.
      parameters: which.
    """
    for parameter in parameters:
        root = package.spec.root.input_definitions.parameters[parameter.name]
        root.parameter_type = _TYPES[parameter.kind]
        root.description = parameter.description
        default: object = defaults.get(parameter.name)
        if parameter.setting is not None:
            default = names.declared_value(declaration, parameter.setting)
        if default is not None:
            root.is_optional = True
            json_format.ParseDict(default, root.default_value)
        for task in parameter.tasks:
            if task in package.tasks:
                package.bind(task, parameter.input_name, parameter)


def wire(package: Package, declaration: Declaration, schema_text: str) -> None:
    """Tells the tasks of a single run which part of the declaration each reads.

    Args:
      package: changed in place.
      declaration: what the Evaluator's configuration is made of.
      schema_text: the schema, which the image need not have.
    """
    # ExampleGen's own parameter would otherwise hold the compiled folder, of which nothing is to be seen.
    package.constant(names.EXAMPLE_GEN, "data_dir", "")
    for task, view in names.DECLARED_TASKS.items():
        if view != "schema":
            package.constant(task, names.PREFIX + names.VIEW, view)
    package.constant(
        names.EVALUATOR, names.PREFIX + names.BASE_DECLARATION, overrides.for_evaluation(declaration)
    )
    package.constant(names.SCHEMA, names.PREFIX + names.SCHEMA_TEXT, schema_text)


def replace_resolver(package: Package, image: str) -> None:
    """Puts a task that looks into the push destination in the place of TFX's resolver.

    Open-source Kubeflow refuses a package with a resolver executor; see `kubeflow.baseline`.
    """
    resolvers = [name for name in package.tasks if name.startswith(f"{names.BASELINE}-")]
    for name in resolvers:
        component = package.tasks[name].component_ref.name
        del package.deployment.executors[package.spec.components[component].executor_label]
        del package.spec.components[component]
        del package.tasks[name]
    task = package.tasks[names.BASELINE]
    task.task_info.name = names.BASELINE
    task.component_ref.name = names.BASELINE
    component = package.spec.components[names.BASELINE]
    component.executor_label = f"{names.BASELINE}_executor"
    component.output_definitions.artifacts["model"].CopyFrom(
        compiler_utils.build_output_artifact_spec(Channel(type=standard_artifacts.Model))
    )
    container = package.deployment.executors[component.executor_label].container
    container.image = image
    container.command.extend(COMMAND)
    container.args.extend(["--executor_class_path", Baseline.EXECUTOR_SPEC.class_path])
    container.args.extend(["--json_serialized_invocation_args", "{{$}}", INPUTS_FLAG, ""])
    evaluator = package.tasks[names.EVALUATOR]
    evaluator.inputs.artifacts["baseline_model"].task_output_artifact.producer_task = names.BASELINE
    others = [name for name in evaluator.dependent_tasks if name not in resolvers]
    del evaluator.dependent_tasks[:]
    evaluator.dependent_tasks.extend(sorted({*others, names.BASELINE}))


def finish(package: Package, resources: Mapping[str, Resources], gpu_type: str, cache: bool) -> None:
    """Resources, retries, caching; and tells each container the inputs that it now has."""
    for name, task in package.tasks.items():
        component = package.spec.components[task.component_ref.name]
        executor = package.deployment.executors[component.executor_label]
        task.caching_options.enable_cache = cache and name not in _NEVER_CACHED
        if executor.WhichOneof("spec") != "container":
            continue
        executor.container.resources.CopyFrom(resource_spec(resources[name], gpu_type))
        task.retry_policy.CopyFrom(retry_policy(resources[name]))
        args = executor.container.args
        args[list(args).index(INPUTS_FLAG) + 1] = json_format.MessageToJson(
            component.input_definitions, sort_keys=True
        )


def check(package: Package, open_source: bool) -> None:
    """Refuses what a cluster would refuse, before it does.

    Raises:
      InputError: naming the task and what is wrong with it.
    """
    for name, task in package.tasks.items():
        component = package.spec.components[task.component_ref.name]
        kind = package.deployment.executors[component.executor_label].WhichOneof("spec")
        if kind != "container" and open_source:
            raise InputError(f"{name}: open-source Kubeflow runs no {kind} executor; only containers compile")
        size = 0
        for input_name, value in task.inputs.parameters.items():
            if value.WhichOneof("kind") == "runtime_value":
                if value.runtime_value.WhichOneof("value") != "constant":
                    raise InputError(
                        f"{name}: the input {input_name} has a value that Kubeflow cannot resolve"
                    )
                size += len(json.dumps(value.runtime_value.constant.string_value))
        if size > LARGEST_INPUTS:
            raise InputError(
                f"{name}: its settings take {size:,} bytes, more than the {LARGEST_INPUTS:,} that fit into a "
                "container's arguments; shorten the declaration (lists of features or files) or its schema"
            )
        for dependency in task.dependent_tasks:
            if dependency not in package.tasks:
                raise InputError(f"{name}: depends on {dependency}, which is no task")
