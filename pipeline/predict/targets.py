"""Who predicts: a server, or a pushed model that is loaded into this process."""

from __future__ import annotations

import contextlib
import os
import urllib.parse
from collections.abc import Container, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from components.errors import InputError
from components.version_notes import read_written
from models.arrays import Array
from pipeline.client import CallError, Code, ServingClient, Signature, TensorSpec, Which, connect

if TYPE_CHECKING:
    from pipeline.serving.saved_model import Port


class Target(Protocol):
    """Predicts.

    Attributes:
      name: the model, for people.
      signatures: what it can be asked.
      parallel: how many requests at the same time are of use.
      written: how the numbers of its logs are written, by input, where that is known and not plain.
      notes: `components.version_notes.read_notes`; empty of a server that does not say.
    """

    name: str
    signatures: Mapping[str, Signature]
    parallel: int
    written: Mapping[str, str]
    notes: Mapping[str, Any]

    def predict(self, inputs: Mapping[str, Array], signature: str) -> dict[str, Array]:
        """A signature's outputs.

        Raises:
          InputError: the request was refused, or not answered.
        """


class ServerTarget:
    """A served model.

    Args:
      client: asks it.
      url: its address, for errors.
      which: the version to ask.
      parallel: requests at the same time.
    """

    def __init__(self, client: ServingClient, url: str, which: Which, parallel: int) -> None:
        self._client = client
        self._url = url
        self._which = which
        self.parallel = parallel
        self.written: Mapping[str, str] = {}
        with _as_input_errors(url):
            metadata = client.metadata(which)
        self.name = f"{metadata.name} version {metadata.version} at {url}"
        self.signatures = metadata.signatures
        self.notes = metadata.notes

    def predict(self, inputs: Mapping[str, Array], signature: str) -> dict[str, Array]:
        """See `Target.predict`."""
        with _as_input_errors(self._url):
            return self._client.predict(inputs, signature=signature, which=self._which)


@contextlib.contextmanager
def _as_input_errors(url: str) -> Iterator[None]:
    try:
        yield
    except CallError as error:
        hint = {Code.UNAVAILABLE: "; is the server running there?", Code.NOT_FOUND: "; which model is it?"}
        raise InputError(f"{url}: {error}{hint.get(error.code, '')}") from error


class LocalTarget:
    """A model directory's newest version, or a version, in this process.

    Args:
      directory: `<model>` with its versions, or one version.

    Raises:
      InputError: there is no version, or it does not load.
    """

    def __init__(self, directory: Path) -> None:
        path = version_directory(directory)
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        import tensorflow as tf

        from pipeline.serving.errors import RequestError
        from pipeline.serving.saved_model import LoadedModel

        tf.get_logger().setLevel("ERROR")
        self._refused = RequestError
        try:
            self._model = LoadedModel(path)
        except (OSError, ValueError, RuntimeError, tf.errors.OpError) as error:
            raise InputError(f"{path}: not a whole SavedModel: {error}") from error
        self.name = str(path)
        self.parallel = 1
        self.written: Mapping[str, str] = read_written(path)
        self.notes: Mapping[str, Any] = self._model.notes
        self.signatures: Mapping[str, Signature] = {
            name: Signature(_specs(signature.inputs, signature.defaults), _specs(signature.outputs))
            for name, signature in self._model.signatures.items()
        }

    def predict(self, inputs: Mapping[str, Array], signature: str) -> dict[str, Array]:
        """See `Target.predict`."""
        try:
            asked = self._model.signature(signature)
            asked.check(inputs)
            return self._model.run(asked, asked.complete(inputs))
        except self._refused as error:
            raise InputError(f"{self.name}: {error}") from error


def _specs(ports: tuple[Port, ...], optional: Container[str] = ()) -> dict[str, TensorSpec]:
    return {port.name: TensorSpec(port.dtype, port.shape, port.name in optional) for port in ports}


def version_directory(directory: Path) -> Path:
    """The newest whole version in a folder of versions, or the version itself.

    Raises:
      InputError: there is none.
    """
    from pipeline.serving.version_files import scan

    if not directory.is_dir():
        raise InputError(f"{directory}: no such directory")
    if (directory / "saved_model.pb").is_file():
        return directory
    whole = [files for files in scan(directory).values() if files.has_model]
    if not whole:
        raise InputError(f"{directory}: neither a SavedModel nor a directory with versions of one")
    return max(whole, key=lambda files: files.number).path


@contextlib.contextmanager
def open_target(
    url: str | None,
    model_dir: Path | None,
    *,
    model: str | None = None,
    which: Which | None = None,
    timeout: float = 30.0,
    parallel: int = 4,
    ca_file: Path | None = None,
) -> Iterator[Target]:
    """A server or a local model, as the user named it.

    Args:
      url: `http://HOST:PORT`, `https://...`, `grpc://HOST:PORT` or `grpcs://...`, with `/MODEL` or
        `/v1/models/MODEL` after it where `model` is not given.
      model_dir: or the directory of a pushed model.
      model: the model's name on the server.
      which: the version to ask on the server.
      timeout: seconds for a request with its retries.
      parallel: requests at the same time.
      ca_file: certificates of who signed the server's, for TLS; the system's by default.

    Raises:
      InputError: both or neither are named, or there is no such model.
    """
    if (url is None) == (model_dir is None):
        raise InputError("name either the address of a server (--url) or a model directory (--model-dir)")
    if model_dir is not None:
        yield LocalTarget(model_dir)
        return
    parts = urllib.parse.urlsplit(url or "")
    in_path = parts.path.strip("/").removeprefix("v1/models/")
    name = model or in_path
    if not name:
        raise InputError(f"{url}: which model? Name it with --model or in the address: {url}/MODEL")
    address = urllib.parse.urlunsplit(
        (parts.scheme, parts.netloc, "" if in_path == name else parts.path, "", "")
    )
    try:
        client = connect(address, name, timeout, ca_file=ca_file)
    except OSError as error:
        raise InputError(f"{ca_file}: not certificates, as PEM: {error.strerror or error}") from error
    except ValueError as error:
        raise InputError(str(error)) from error
    with client:
        yield ServerTarget(client, str(url), which or Which(), parallel)
