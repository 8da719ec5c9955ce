"""Each mending of the messages between open-source Kubeflow and TFX."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path

import pytest
from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2 as pipeline_pb2
from tfx.orchestration.kubeflow.v2.container import kubeflow_v2_entrypoint_utils as tfx_utils
from tfx.types import standard_artifacts

from kubeflow import compat, mounts

EXAMPLES_SCHEMA = "title: tfx.Examples\ntype: object\n"


def _input(**artifact: object) -> pipeline_pb2.ExecutorInput:
    document = {"inputs": {"artifacts": {"examples": {"artifacts": [{"uri": "minio://b/k", **artifact}]}}}}
    return json_format.ParseDict(document, pipeline_pb2.ExecutorInput())


def _spec(schema: str) -> pipeline_pb2.ComponentInputsSpec:
    document = {"artifacts": {"examples": {"artifactType": {"instanceSchema": schema}}}}
    return json_format.ParseDict(document, pipeline_pb2.ComponentInputsSpec())


def _parsed(executor_input: pipeline_pb2.ExecutorInput) -> object:
    [artifact] = tfx_utils.parse_raw_artifact_dict(executor_input.inputs.artifacts)["examples"]
    return artifact


@pytest.mark.parametrize(
    "given", [{}, {"type": {"instanceSchema": ""}}, {"type": {"schemaTitle": "system.Dataset"}}]
)
def test_an_input_without_a_tfx_type_gets_the_declared_one(given: dict[str, object]) -> None:
    """TFX alone fails on each of the three."""
    metadata = {"split_names": '["train", "eval"]'}
    with pytest.raises((UnboundLocalError, AttributeError, ValueError, ImportError)):
        _parsed(_input(metadata=metadata, **given))
    executor_input = _input(metadata=metadata, **given)
    compat.name_types(executor_input, _spec(EXAMPLES_SCHEMA))
    artifact = _parsed(executor_input)
    assert isinstance(artifact, standard_artifacts.Examples)
    assert artifact.split_names == '["train", "eval"]'


@pytest.mark.parametrize(
    ("title", "metadata", "expected"),
    [
        ("system.Dataset", {"split_names": "[]"}, standard_artifacts.Examples),
        ("system.Model", {"pushed": 1}, standard_artifacts.PushedModel),
        ("system.Model", {}, standard_artifacts.Model),
        ("system.Artifact", {"blessed": 1, "current_model": "m"}, standard_artifacts.ModelBlessing),
    ],
)
def test_without_input_definitions_the_metadata_tells_the_type(
    title: str, metadata: dict[str, object], expected: type
) -> None:
    executor_input = _input(metadata=metadata, type={"schemaTitle": title})
    compat.name_types(executor_input, None)
    assert isinstance(_parsed(executor_input), expected)


def test_a_tfx_type_is_left_alone() -> None:
    executor_input = _input(type={"instanceSchema": EXAMPLES_SCHEMA})
    before = executor_input.SerializeToString(deterministic=True)
    compat.name_types(executor_input, _spec("title: tfx.Model\n"))
    assert executor_input.SerializeToString(deterministic=True) == before


def test_an_absent_baseline_is_no_input() -> None:
    executor_input = _input(metadata={compat.ABSENT: 1})
    compat.drop_absent(executor_input)
    assert not executor_input.inputs.artifacts
    present = _input(metadata={"served_version": "7"})
    compat.drop_absent(present)
    assert list(present.inputs.artifacts) == ["examples"]


@pytest.mark.parametrize("scheme", ["gs", "s3", "minio"])
def test_addresses_become_the_launchers_folders_and_come_back(
    scheme: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(mounts.ROOT_VARIABLE, str(tmp_path))
    folder = {"gs": "gcs"}.get(scheme, scheme)
    address = f"{scheme}://bucket/run/Trainer/model"
    executor_input = json_format.ParseDict(
        {"outputs": {"artifacts": {"model": {"artifacts": [{"uri": address}]}}}}, pipeline_pb2.ExecutorInput()
    )
    addresses = compat.localise(executor_input)
    local = executor_input.outputs.artifacts["model"].artifacts[0].uri
    assert local == f"{tmp_path}/{folder}/bucket/run/Trainer/model"
    output = json_format.ParseDict(
        {"artifacts": {"model": {"artifacts": [{"uri": local}]}}}, pipeline_pb2.ExecutorOutput()
    )
    compat.restore_addresses(output, addresses)
    assert output.artifacts["model"].artifacts[0].uri == address
    assert mounts.to_address(local) == address


def test_folders_are_below_the_root_as_the_launcher_has_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(mounts.ROOT_VARIABLE, raising=False)
    assert mounts.to_local("minio://mlpipeline/v2/x") == "/minio/mlpipeline/v2/x"
    assert mounts.to_local("gs://b/x") == "/gcs/b/x"
    assert mounts.to_local("/data/x") == "/data/x"
    assert mounts.to_address("/data/x") == "/data/x"


def test_metadata_without_a_value_is_left_out() -> None:
    document = {
        "artifacts": {
            "model": {
                "artifacts": [
                    {
                        "uri": "x",
                        "metadata": {"span": None, "tfx_version": "1.16.0"},
                        "type": {"schemaTitle": "t"},
                    }
                ]
            }
        }
    }
    output = json_format.ParseDict(document, pipeline_pb2.ExecutorOutput())
    compat.keep_readable(output)
    [artifact] = output.artifacts["model"].artifacts
    assert json_format.MessageToDict(artifact.metadata) == {"tfx_version": "1.16.0"}
    assert not artifact.HasField("type")


@dataclasses.dataclass
class _Blob:
    name: str
    size: int
    bucket: _Bucket

    def delete(self) -> None:
        self.bucket.blobs.remove(self)


class _Bucket:
    def __init__(self, sizes: dict[str, int]) -> None:
        self.blobs = [_Blob(name, size, self) for name, size in sizes.items()]

    def list_blobs(self, *, prefix: str) -> Iterable[_Blob]:
        return [blob for blob in self.blobs if blob.name.startswith(prefix)]


def test_only_directory_markers_are_deleted() -> None:
    bucket = _Bucket(
        {"run/model/": 0, "run/model/Format-Serving/": 0, "run/model/empty": 0, "run/models/": 0}
    )
    deleted = compat.delete_directory_markers(bucket, "run/model")
    assert deleted == ["run/model/", "run/model/Format-Serving/"]
    assert [blob.name for blob in bucket.blobs] == ["run/model/empty", "run/models/"]
