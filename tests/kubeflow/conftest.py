"""Compiled packages, made once."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2 as pipeline_pb2

from kubeflow.compile import compile_package
from kubeflow.options import CompileRequest
from pipeline.beam_runner import beam_args
from pipeline.request import declared

IMAGE = "registry.example/team/dfei@sha256:" + "0123456789abcdef" * 4


def request(output: Path, **changes: Any) -> CompileRequest:
    """A request for the simulated feed."""
    base = CompileRequest(
        declaration=declared("simulated", ["training.learning_rate=0.002"], None),
        output=output,
        image=IMAGE,
        beam_args=beam_args("direct", ["workers=1"]),
    )
    return dataclasses.replace(base, **changes)


@dataclasses.dataclass(frozen=True)
class Compiled:
    """A package: its documents, and the messages that Kubeflow's own proto makes of them, unknown fields refused."""

    path: Path
    documents: list[dict[str, Any]]
    spec: Any
    deployment: Any

    @classmethod
    def read(cls, path: Path) -> Compiled:
        """Reads a written package."""
        text = path.read_text()
        documents = [json.loads(text)] if path.suffix == ".json" else list(yaml.safe_load_all(text))
        spec = documents[0].get("pipelineSpec", documents[0])
        message = json_format.ParseDict(spec, pipeline_pb2.PipelineSpec(), ignore_unknown_fields=False)
        deployment = json_format.ParseDict(
            spec["deploymentSpec"], pipeline_pb2.PipelineDeploymentConfig(), ignore_unknown_fields=False
        )
        return cls(path, documents, message, deployment)

    @property
    def tasks(self) -> Any:
        """The tasks by name."""
        return self.spec.root.dag.tasks

    def executor(self, task: str) -> Any:
        """What runs a task."""
        component = self.spec.components[self.tasks[task].component_ref.name]
        return self.deployment.executors[component.executor_label]


@pytest.fixture(scope="session")
def kubeflow_package(tmp_path_factory: pytest.TempPathFactory) -> Compiled:
    """The package for open-source Kubeflow."""
    output = tmp_path_factory.mktemp("package") / "dfei.yaml"
    compile_package(
        request(
            output,
            data_dir="/data",
            push_destination="/data/serving",
            volumes=("impressions:/data",),
            labels=("team=growth",),
            resources=("Trainer:gpus=1,memory=32", "Transform:retries=0"),
        )
    )
    return Compiled.read(output)


@pytest.fixture(scope="session")
def daily_package(tmp_path_factory: pytest.TempPathFactory) -> Compiled:
    """A feed's day, for open-source Kubeflow."""
    output = tmp_path_factory.mktemp("package") / "feed.yaml"
    compile_package(
        request(
            output,
            recurring="30 5 * * *",
            data_dir="/data/logs",
            root="/data/feed",
            push_destination="/data/serving",
            volumes=("impressions:/data",),
        )
    )
    return Compiled.read(output)


@pytest.fixture(scope="session")
def vertex_package(tmp_path_factory: pytest.TempPathFactory) -> Compiled:
    """The job for Vertex."""
    output = tmp_path_factory.mktemp("package") / "dfei.json"
    compile_package(request(output, pipeline_root="gs://bucket/root", resources=("Trainer:gpus=2",)))
    return Compiled.read(output)
