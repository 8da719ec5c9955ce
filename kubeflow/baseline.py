"""The baseline of an evaluation on open-source Kubeflow: the model that is being served.

TFX's latest-blessed-model resolver compiles to a query that only Vertex answers ("resolver executors not implemented",
says the compiler of open-source Kubeflow). What was blessed was pushed: so there the newest version in the
push destination takes its place.
"""

from pathlib import PurePosixPath

from google.protobuf import json_format
from tfx.dsl.component.experimental.annotations import OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.dsl.io import fileio
from tfx.proto import pusher_pb2
from tfx.types import standard_artifacts
from tfx.utils import io_utils, path_utils

from components.pusher.version_names import version_number
from kubeflow.compat import ABSENT

NOTE = "baseline.txt"


def newest_version(folder: str) -> str | None:
    """The newest complete version in a folder of served models, or `None`."""
    if not fileio.exists(folder):
        return None
    names = [PurePosixPath(str(entry)).name for entry in fileio.listdir(folder)]
    complete = [name for name in names if fileio.exists(f"{folder}/{name}/saved_model.pb")]
    numbers = [number for number in map(version_number, complete) if number is not None]
    return str(max(numbers)) if numbers else None


@component
def Baseline(  # noqa: N802 - a component's name
    model: OutputArtifact[standard_artifacts.Model], push_destination: Parameter[str]
) -> None:
    """Copies the newest served version into a Model artifact, or marks the artifact as absent.

    No node of the pipeline: `kubeflow.package.replace_resolver` puts it in the resolver's place.

    Args:
      model: gets the version.
      push_destination: the Pusher's.
    """
    folder = json_format.Parse(push_destination, pusher_pb2.PushDestination()).filesystem.base_directory
    version = newest_version(folder)
    fileio.makedirs(model.uri)
    # An artifact without any file would be a missing object for the launcher of the next task.
    with fileio.open(f"{model.uri}/{NOTE}", "w") as stream:
        stream.write(f"{folder}/{version}\n" if version is not None else f"nothing in {folder}\n")
    if version is None:
        model.set_int_custom_property(ABSENT, 1)
        return
    model.set_string_custom_property("served_version", version)
    io_utils.copy_dir(f"{folder}/{version}", path_utils.serving_model_dir(model.uri))
