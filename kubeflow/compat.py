"""What open-source Kubeflow Pipelines v2 and TFX 1.16 disagree about, mended between the two.

TFX's container entry point was written for Vertex. On open-source Kubeflow it meets inputs that it cannot read and
leaves outputs that the launcher cannot read. Nothing of TFX is patched: the messages are mended on their way in
and out, each by one function below, whose docstring has the reason. On Vertex every one of them changes nothing.

Reported in sky-uk/kfp-operator#1248 and #1286, kubeflow/pipelines#13476, tensorflow/tfx#7768.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Protocol

import yaml
from kfp.pipeline_spec import pipeline_spec_pb2 as pipeline_pb2

from kubeflow import mounts

ABSENT = "absent"

# Kubeflow's own titles have no TFX class. Most specific first: the keys of an artifact's metadata tell which it was.
_KEYS = (
    ({"split_names"}, ("system.Dataset", "system.Artifact", ""), "tfx.Examples"),
    ({"pushed"}, ("system.Model", "system.Artifact", ""), "tfx.PushedModel"),
    ({"blessed", "current_model"}, ("system.Artifact", ""), "tfx.ModelBlessing"),
)
_SYSTEM_TITLES = {
    "system.Model": "tfx.Model",
    "system.Dataset": "tfx.Dataset",
    "system.Metrics": "tfx.Metrics",
    "system.Statistics": "tfx.Statistics",
    "system.Artifact": "tfx.File",
    "": "tfx.File",
}


def name_types(executor_input: Any, inputs_spec: Any | None) -> None:
    """Gives every input artifact the type that the component declares for it.

    Reason: the driver takes input artifacts from the metadata store without a type, or with an empty
    `instanceSchema`, or with a title of Kubeflow's own (`system.Dataset`). TFX fails on the first two with an
    `UnboundLocalError` and an `AttributeError`, on the third with an import error, and without the type it would not
    know that `split_names` is a property. The component's input definitions, which TFX's compiler passes along
    from pipeline specification 2.1 on, have the type; without them the keys of the metadata tell it.

    Args:
      executor_input: the launcher's `ExecutorInput`; changed in place.
      inputs_spec: the component's `ComponentInputsSpec`, or `None`.
    """
    declared = inputs_spec.artifacts if inputs_spec is not None else {}
    for name, artifacts in executor_input.inputs.artifacts.items():
        for artifact in artifacts.artifacts:
            if not _title(artifact.type).startswith("system.") and _title(artifact.type):
                continue
            if name in declared and _title(declared[name].artifact_type):
                artifact.type.CopyFrom(declared[name].artifact_type)
            else:
                artifact.type.schema_title = _inferred_title(artifact)


def _title(schema: Any) -> str:
    kind = schema.WhichOneof("kind")
    if kind == "schema_title":
        return str(schema.schema_title)
    if kind == "instance_schema":
        document = yaml.safe_load(schema.instance_schema)
        return str(document.get("title", "")) if isinstance(document, dict) else ""
    return ""


def _inferred_title(artifact: Any) -> str:
    title = _title(artifact.type)
    keys = {*artifact.metadata.fields, *artifact.properties, *artifact.custom_properties}
    for needed, titles, inferred in _KEYS:
        if title in titles and needed <= keys:
            return inferred
    return _SYSTEM_TITLES.get(title, title)


def drop_absent(executor_input: Any) -> None:
    """Removes inputs that stand for "there is none".

    Reason: Kubeflow passes an artifact or fails; it has no optional artifact. The first run of a pipeline has no
    blessed model, so the baseline task says so in the metadata of its output, and the Evaluator gets no baseline.
    """
    for name in list(executor_input.inputs.artifacts):
        artifacts = executor_input.inputs.artifacts[name].artifacts
        if any(ABSENT in a.metadata.fields and a.metadata[ABSENT] for a in artifacts):
            del executor_input.inputs.artifacts[name]


def localise(executor_input: Any) -> dict[str, str]:
    """Replaces the artifacts' addresses by the folders in which the launcher puts and takes them.

    Reason: the launcher's default store is `minio://`, which neither TensorFlow nor Beam can open, and TensorFlow
    2.16 cannot open `s3://`. On `gs://`, TensorFlow would write beside the launcher and leave zero-byte directory
    markers, which the launcher of the next task downloads as files that stand in the way of the folders.

    Returns:
      folder -> address, of every artifact.
    """
    addresses = {}
    for artifact in _artifacts(executor_input):
        local = mounts.to_local(artifact.uri)
        addresses[local] = artifact.uri
        artifact.uri = local
    return addresses


def restore_addresses(executor_output: Any, addresses: dict[str, str]) -> None:
    """Gives the outputs back the addresses that `localise` took: the launcher publishes these."""
    for artifacts in executor_output.artifacts.values():
        for artifact in artifacts.artifacts:
            artifact.uri = addresses.get(artifact.uri, mounts.to_address(artifact.uri))


def keep_readable(executor_output: Any) -> None:
    """Drops what the launcher cannot store: metadata without a value, and types.

    Reason: the launcher turns each metadata value into one of the metadata store's, which has no null, and fails the
    finished task on the first that it finds; TFX writes unset properties as null.
    """
    for artifacts in executor_output.artifacts.values():
        for artifact in artifacts.artifacts:
            fields = artifact.metadata.fields
            for key in [
                key for key, value in fields.items() if value.WhichOneof("kind") in (None, "null_value")
            ]:
                del fields[key]
            artifact.ClearField("type")


class Bucket(Protocol):
    """What is needed of `google.cloud.storage.Bucket`."""

    def list_blobs(self, *, prefix: str) -> Iterable[Any]:
        """Blobs with `name`, `size` and `delete()`."""
        ...


def delete_directory_markers(bucket: Bucket, prefix: str) -> list[str]:
    """Deletes the zero-byte objects named like folders below an output on `gs://`.

    Reason: TensorFlow's file system makes them, and the launcher takes them for files
    (kubeflow/pipelines#13476). Needed only where components write to `gs://` themselves, that is with a
    distributed Beam runner; otherwise `localise` prevents them.

    Args:
      bucket: the bucket.
      prefix: the output's key.

    Returns:
      The names of what was deleted.
    """
    markers = [
        blob
        for blob in bucket.list_blobs(prefix=prefix.rstrip("/") + "/")
        if blob.size == 0 and blob.name.endswith("/")
    ]
    for blob in markers:
        blob.delete()
    return [blob.name for blob in markers]


def _artifacts(executor_input: Any) -> Iterator[Any]:
    for side in (executor_input.inputs, executor_input.outputs):
        for artifacts in side.artifacts.values():
            yield from artifacts.artifacts


def parse_inputs_spec(text: str | None) -> Any | None:
    """The component's input definitions as the compiler passes them along; `None` where it did not."""
    from google.protobuf import json_format

    if not text:
        return None
    return json_format.Parse(text, pipeline_pb2.ComponentInputsSpec(), ignore_unknown_fields=True)
