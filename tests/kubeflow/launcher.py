"""Runs a compiled package on this machine as open-source Kubeflow does, each container's command as a process.

What the driver and the launcher do is done here in the same way: parameters are resolved from the run, from defaults
and from constants; inputs come without a type, as the metadata store gives them; outputs are addressed in
an object store; artifacts are copied to a pod's folder before the command and back after it; what the command
wrote must parse strictly; steps that are unchanged come from a cache whose key is made of the same parts.

The object store is a folder, a pod is a folder, a container's image is the environment of the tests.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2 as pipeline_pb2

from kubeflow import mounts
from tests.kubeflow.conftest import Compiled


class TaskFailedError(Exception):
    """A container's command ended with another code than 0."""

    def __init__(self, task: str, code: int, output: str) -> None:
        super().__init__(f"{task} ended with code {code}:\n{output[-6000:]}")
        self.task = task
        self.code = code
        self.output = output


@dataclasses.dataclass
class Done:
    """A task that has run, or was taken from the cache.

    Attributes:
      outputs: by key, the artifact as the metadata store has it: name (its id), uri, metadata.
      cached: whether it was taken from the cache.
      log: what the command printed.
    """

    outputs: dict[str, dict[str, Any]]
    cached: bool = False
    log: str = ""


class Cluster:
    """An object store, a metadata store and a cache, which outlive a run.

    Args:
      folder: where everything goes.
      root: the pipeline root, an address.
      environment: further variables of each container.
    """

    def __init__(
        self, folder: Path, root: str = "minio://mlpipeline/v2/artifacts", **environment: str
    ) -> None:
        self._folder = folder
        self._root = root
        self._environment = environment
        self._cache: dict[str, dict[str, dict[str, Any]]] = {}
        self._artifacts = 0
        self._runs = 0

    def stored(self, address: str) -> Path:
        """Where the object store keeps an address."""
        return self._folder / "store" / address.replace("://", "/")

    def run(self, package: Compiled, arguments: dict[str, Any]) -> dict[str, Done]:
        """Runs every task in the order of its dependencies.

        Args:
          package: the compiled package.
          arguments: the run's parameters.
        """
        self._runs += 1
        values = _run_parameters(package, arguments)
        done: dict[str, Done] = {}
        while len(done) < len(package.tasks):
            ready = [
                name
                for name, task in package.tasks.items()
                if name not in done and set(task.dependent_tasks) <= set(done)
            ]
            assert ready, "the dependencies are a circle"
            for name in sorted(ready):
                done[name] = self._task(package, name, values, done)
        return done

    def _task(self, package: Compiled, name: str, values: dict[str, Any], done: dict[str, Done]) -> Done:
        task = package.tasks[name]
        component = package.spec.components[task.component_ref.name]
        container = package.executor(name).container
        inputs = pipeline_pb2.ExecutorInput()
        for key, source in task.inputs.parameters.items():
            value = _task_parameter(source, values)
            _check_type(name, key, value, component.input_definitions.parameters[key].parameter_type)
            json_format.ParseDict(value, inputs.inputs.parameter_values[key])
        for key, source in task.inputs.artifacts.items():
            produced = source.task_output_artifact
            artifact = done[produced.producer_task].outputs[produced.output_artifact_key]
            json_format.ParseDict(artifact, inputs.inputs.artifacts[key].artifacts.add())
        key = _cache_key(container, component, inputs)
        if task.caching_options.enable_cache and key in self._cache:
            return Done(self._cache[key], cached=True)

        pod = self._folder / f"pod-{self._runs}-{name}"
        for key_, definition in component.output_definitions.artifacts.items():
            artifact = inputs.outputs.artifacts[key_].artifacts.add()
            artifact.uri = f"{self._root}/{package.spec.pipeline_info.name}/run-{self._runs}/{name}/{key_}"
            artifact.type.CopyFrom(definition.artifact_type)
            artifact.metadata.CopyFrom(definition.metadata)
        inputs.outputs.output_file = str(pod / "tmp" / "kfp_outputs" / "output_metadata.json")
        log = self._execute(name, container, inputs, pod)
        outputs = self._publish(inputs, pod)
        shutil.rmtree(pod)
        self._cache[key] = outputs
        return Done(outputs, log=log)

    def _execute(self, name: str, container: Any, inputs: Any, pod: Path) -> str:
        for artifacts in inputs.inputs.artifacts.values():
            for artifact in artifacts.artifacts:
                source, target = self.stored(artifact.uri), _in_pod(pod, artifact.uri)
                if source.is_dir():
                    shutil.copytree(source, target, dirs_exist_ok=True)
        for artifacts in inputs.outputs.artifacts.values():
            for artifact in artifacts.artifacts:
                _in_pod(pod, artifact.uri).parent.mkdir(parents=True, exist_ok=True)
        text = json_format.MessageToJson(inputs)
        command = [part.replace("{{$}}", text) for part in (*container.command, *container.args)]
        assert not any("{{$" in part.replace(text, "") for part in command)
        environment = {
            "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
            "HOME": str(pod),
            "TMPDIR": str(pod / "tmp"),
            mounts.ROOT_VARIABLE: str(pod),
            **{key: os.environ[key] for key in ("LANG",) if key in os.environ},
            **self._environment,
        }
        (pod / "tmp").mkdir(parents=True, exist_ok=True)
        finished = subprocess.run(
            command,
            cwd="/",
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
        if finished.returncode != 0:
            raise TaskFailedError(name, finished.returncode, finished.stdout)
        return finished.stdout

    def _publish(self, inputs: Any, pod: Path) -> dict[str, dict[str, Any]]:
        """Merges what the command wrote, copies the outputs to the store, and records them."""
        written = pipeline_pb2.ExecutorOutput()
        json_format.Parse(Path(inputs.outputs.output_file).read_text(), written)
        outputs = {}
        for key, artifacts in inputs.outputs.artifacts.items():
            artifact = artifacts.artifacts[0]
            metadata = json_format.MessageToDict(artifact.metadata)
            uri = artifact.uri
            if key in written.artifacts:
                told = written.artifacts[key].artifacts[0]
                uri = told.uri or uri
                metadata.update(json_format.MessageToDict(told.metadata))
            assert uri == artifact.uri, f"{key}: the address changed from {artifact.uri} to {uri}"
            assert None not in metadata.values(), f"{key}: the metadata store has no null: {metadata}"
            local = _in_pod(pod, uri)
            if local.exists():
                shutil.copytree(local, self.stored(uri))
            self._artifacts += 1
            # As the driver reads it back: an id for a name, no type.
            outputs[key] = {"name": str(self._artifacts), "uri": uri, "metadata": metadata}
        return outputs


def _in_pod(pod: Path, address: str) -> Path:
    scheme, _, rest = address.partition("://")
    return pod / mounts.MOUNTS[f"{scheme}://"] / rest


def _run_parameters(package: Compiled, arguments: dict[str, Any]) -> dict[str, Any]:
    declared = package.spec.root.input_definitions.parameters
    assert set(arguments) <= set(declared), "a run may not be given unknown parameters"
    values = {
        name: json_format.MessageToDict(parameter.default_value)
        for name, parameter in declared.items()
        if parameter.HasField("default_value")
    }
    values.update(arguments)
    missing = set(declared) - set(values)
    assert not missing, f"the run needs {missing}"
    return values


def _task_parameter(source: Any, values: dict[str, Any]) -> Any:
    if source.WhichOneof("kind") == "component_input_parameter":
        return values[source.component_input_parameter]
    assert source.runtime_value.WhichOneof("value") == "constant", source
    return json_format.MessageToDict(source.runtime_value.constant)


def _check_type(task: str, name: str, value: Any, kind: int) -> None:
    expected: type | tuple[type, ...] = (int, float)
    if kind == pipeline_pb2.ParameterType.STRING:
        expected = str
    assert isinstance(value, expected), f"{task}: {name} is {value!r}"


def _cache_key(container: Any, component: Any, inputs: Any) -> str:
    """Made of what Kubeflow's cache key is made of."""
    parts = {
        "image": container.image,
        "command": [*container.command, *container.args],
        "parameters": json_format.MessageToDict(inputs.inputs)["parameterValues"]
        if inputs.inputs.parameter_values
        else {},
        "artifacts": {k: [a.name for a in v.artifacts] for k, v in inputs.inputs.artifacts.items()},
        "outputs": json_format.MessageToDict(component.output_definitions),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
