"""A Pusher that moves a whole version into place at once.

TFX's Pusher copies file by file into the watched directory: a kill in the middle leaves a broken version there.
This one copies beside it, under a name that TF Serving does not take for a version, flushes to disk, and renames.
"""

from __future__ import annotations

import errno
import fcntl
import filecmp
import json
import os
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from google.protobuf import json_format
from tfx import types
from tfx.components.pusher import executor as tfx_executor
from tfx.components.pusher.component import Pusher
from tfx.dsl.components.base import executor_spec
from tfx.dsl.io import fileio
from tfx.proto import pusher_pb2
from tfx.types import artifact_utils, standard_component_specs

from components.pusher.version_names import version_number
from components.version_notes import REQUEST

PUSHED_FACTS = Path("assets.extra") / "pushed.json"
_UNFINISHED = ".unfinished-"
# Not a number, so no version to a server.
LOCK = ".push.lock"
# What a mounted folder that knows no locks answers: it is pushed to all the same.
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


def versions(base: Path) -> list[int]:
    """The complete versions in a serving directory, oldest first."""
    if not base.is_dir():
        return []
    numbers = (version_number(entry.name) for entry in base.iterdir() if (entry / "saved_model.pb").is_file())
    return sorted(number for number in numbers if number is not None)


def pushed_version_of(base: Path, model: str) -> Path | None:
    """The version that was pushed from the model artifact `model` (its URI), or `None`."""
    for version in reversed(versions(base)):
        if read_pushed(base / str(version)).get("model") == model:
            return base / str(version)
    return None


def read_pushed(version: Path) -> dict[str, str]:
    """What a version says of its push: `model`, the artifact's URI, `version`, and what else whoever pushed it told.

    Empty where it says nothing, as what was put there by hand.
    """
    try:
        found = json.loads((version / PUSHED_FACTS).read_text())
    except (OSError, ValueError):
        return {}
    return {key: str(value) for key, value in found.items()}


def push(
    source: Path,
    base: Path,
    model: str,
    request: Path | None = None,
    told: Mapping[str, str] | None = None,
) -> Path:
    """Puts the SavedModel `source` into `base` as the next version, once no other process pushes there.

    Args:
      source: the exported SavedModel.
      base: the directory that TF Serving watches; made where it is missing.
      model: what identifies the model (its artifact's URI): the newest version, while it holds the same files, is not
        pushed twice.
      request: a file with a request to try the version with, which goes along.
      told: what else the version says of its push (`read_pushed`).

    Returns:
      The version's directory, `<base>/<unix seconds>`.

    Raises:
      OSError: the copy failed; nothing that looks like a version is left.
    """
    base.mkdir(parents=True, exist_ok=True)
    with (base / LOCK).open("w") as lock:
        # Runs with roots of their own may push to one directory: what is unfinished may be another's, still at work.
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
        return _push(source, base, model, request, told or {})


def _push(source: Path, base: Path, model: str, request: Path | None, told: Mapping[str, str]) -> Path:
    for leftover in base.glob(f"{_UNFINISHED}*"):
        shutil.rmtree(leftover)
    already = pushed_version_of(base, model)
    if already is not None and int(already.name) == versions(base)[-1] and _holds(already, source):
        return already
    version = max([int(time.time()), *(latest + 1 for latest in versions(base)[-1:])])
    unfinished = base / f"{_UNFINISHED}{version}"
    try:
        shutil.copytree(source, unfinished)
        facts = unfinished / PUSHED_FACTS
        facts.parent.mkdir(exist_ok=True)
        facts.write_text(json.dumps({**told, "model": model, "version": version}))
        if request is not None and request.is_file():
            shutil.copyfile(request, unfinished / REQUEST)
        for path in unfinished.rglob("*"):
            _flush(path)
        unfinished.rename(base / str(version))
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    _flush(base)
    return base / str(version)


def _holds(version: Path, source: Path) -> bool:
    """Whether a version has every file of the model as it is: a root that was made anew counts its URIs anew."""
    files = (path.relative_to(source) for path in source.rglob("*") if path.is_file())
    return all(
        (version / file).is_file() and filecmp.cmp(source / file, version / file, shallow=False)
        for file in files
    )


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class AtomicExecutor(tfx_executor.Executor):
    """Pushes a blessed model by `push`; leaves everything alone when a blessing is missing."""

    def Do(  # noqa: N802 - the name is TFX's
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Runs the push. See TFX's Pusher for the arguments; to a bucket it pushes as TFX does, file by file."""
        destination = pusher_pb2.PushDestination()
        json_format.Parse(exec_properties[standard_component_specs.PUSH_DESTINATION_KEY], destination)
        if "://" in destination.filesystem.base_directory:
            super().Do(input_dict, output_dict, exec_properties)
            self._add_request(input_dict, output_dict)
            return
        self._log_startup(input_dict, output_dict, exec_properties)
        pushed = artifact_utils.get_single_instance(output_dict[standard_component_specs.PUSHED_MODEL_KEY])
        fileio.makedirs(pushed.uri)
        if not self.CheckBlessing(input_dict):
            self._MarkNotPushed(pushed)
            return
        model = artifact_utils.get_single_instance(input_dict[standard_component_specs.MODEL_KEY])
        request = _request(input_dict)
        version = push(
            Path(self.GetModelPath(input_dict)),
            Path(destination.filesystem.base_directory),
            model.uri,
            None if request is None else Path(request),
            json.loads(exec_properties.get(standard_component_specs.CUSTOM_CONFIG_KEY) or "null"),
        )
        self._MarkPushed(pushed, pushed_destination=str(version), pushed_version=version.name)

    def _add_request(
        self, input_dict: dict[str, list[types.Artifact]], output_dict: dict[str, list[types.Artifact]]
    ) -> None:
        """Puts the request to try the version with into what TFX has pushed to a bucket."""
        request = _request(input_dict)
        pushed = artifact_utils.get_single_instance(output_dict[standard_component_specs.PUSHED_MODEL_KEY])
        where = pushed.get_string_custom_property("pushed_destination")
        if request is not None and where and fileio.exists(request):
            fileio.makedirs(f"{where}/{REQUEST.parent}")
            fileio.copy(request, f"{where}/{REQUEST}", overwrite=True)


def _request(input_dict: dict[str, list[types.Artifact]]) -> str | None:
    """Where the signature check has put a request, if there was one."""
    checked = input_dict.get(standard_component_specs.INFRA_BLESSING_KEY)
    return f"{checked[0].uri}/{REQUEST.name}" if checked else None


class AtomicPusher(Pusher):
    """TFX's Pusher with `AtomicExecutor`; `custom_config` is what the version says of its push (`read_pushed`)."""

    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(AtomicExecutor)
