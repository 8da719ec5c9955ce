"""Calls over REST, with the standard library's HTTP and JSON."""

from __future__ import annotations

import base64
import http.client
import json
import queue
import socket
import ssl
import threading
import urllib.parse
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pipeline.client import tensors
from pipeline.client.client import LATEST, ModelMetadata, Signature, TensorSpec, VersionStatus, Which
from pipeline.client.errors import CallError, Code
from pipeline.client.examples import example_to_json
from pipeline.client.tensors import Array

_TYPE_CODES = {
    "DT_FLOAT": 1,
    "DT_DOUBLE": 2,
    "DT_INT32": 3,
    "DT_UINT8": 4,
    "DT_INT16": 5,
    "DT_INT8": 6,
    "DT_STRING": 7,
    "DT_INT64": 9,
    "DT_BOOL": 10,
    "DT_UINT16": 17,
    "DT_HALF": 19,
    "DT_UINT32": 22,
    "DT_UINT64": 23,
}


class RestTransport:
    """Calls about one model over REST: JSON, for where gRPC does not get through.

    Args:
      url: `http://HOST:PORT` or `https://HOST:PORT`, with a path before `/v1` where there is one.
      model: the model's name on the server.
      context: for `https`; by default the system's certificates.
    """

    def __init__(
        self,
        url: str,
        model: str,
        context: ssl.SSLContext | None = None,
    ) -> None:
        self._model = model
        parts = urllib.parse.urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{url!r} is not an address like http://HOST:PORT")
        self._secure = parts.scheme == "https"
        self._context = (context or ssl.create_default_context()) if self._secure else None
        self._host, self._port = parts.hostname, parts.port
        self._root = parts.path.rstrip("/")
        self._idle: queue.LifoQueue[http.client.HTTPConnection] = queue.LifoQueue()
        self._known: dict[Which, ModelMetadata] = {}
        self._known_lock = threading.Lock()

    def _path(self, which: Which, suffix: str) -> str:
        path = f"{self._root}/v1/models/{urllib.parse.quote(self._model, safe='')}"
        if which.version is not None:
            path += f"/versions/{which.version}"
        if which.label is not None:
            path += f"/labels/{urllib.parse.quote(which.label, safe='')}"
        return path + suffix

    def _call(self, method: str, path: str, body: Any, seconds: float) -> Any:
        return self._send(method, path, None if body is None else json.dumps(body).encode(), seconds)

    def _send(self, method: str, path: str, data: bytes | None, seconds: float) -> Any:
        connection, reused = self._connection(seconds)
        try:
            connection.request(method, path, data, {"Content-Type": "application/json"})
            response = connection.getresponse()
            text = response.read()
        except TimeoutError as error:
            connection.close()
            raise CallError(Code.DEADLINE_EXCEEDED, f"no answer within {seconds:.3g} s") from error
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            if reused and isinstance(error, ConnectionError):
                # The server may have closed an idle connection just then: that is no answer yet.
                return self._send(method, path, data, seconds)
            raise CallError(Code.UNAVAILABLE, f"{self._host}:{self._port}: {error!r}") from error
        if response.will_close:
            connection.close()
        else:
            self._idle.put(connection)
        return _answer(response.status, text)

    def _connection(self, seconds: float) -> tuple[http.client.HTTPConnection, bool]:
        try:
            connection = self._idle.get_nowait()
        except queue.Empty:
            if self._secure:
                return (
                    http.client.HTTPSConnection(
                        self._host, self._port, timeout=seconds, context=self._context
                    ),
                    False,
                )
            return http.client.HTTPConnection(self._host, self._port, timeout=seconds), False
        connection.timeout = seconds
        if isinstance(connection.sock, socket.socket):
            connection.sock.settimeout(seconds)
        return connection, True

    def predict(
        self, inputs: Mapping[str, Any], signature: str, which: Which, outputs: Sequence[str], seconds: float
    ) -> dict[str, Array]:
        """See `ServingClient.predict`. All outputs travel; those that are not wanted are dropped here."""
        specs = self._signature(signature, which, seconds).outputs
        columns = {name: _json_values(tensors.as_array(values)) for name, values in inputs.items()}
        body = {"signature_name": signature, "inputs": columns}
        answer = self._call("POST", self._path(which, ":predict"), body, seconds)["outputs"]
        named = {next(iter(specs)): answer} if len(specs) == 1 else answer
        return {name: _array(named[name], specs[name].dtype) for name in (outputs or specs)}

    def _signature(self, name: str, which: Which, seconds: float) -> Signature:
        with self._known_lock:
            known = self._known.get(which)
        if known is None or name not in known.signatures:
            known = self.metadata(which, seconds)
            with self._known_lock:
                self._known[which] = known
        return known.signature(name)

    def classify(
        self, examples: Sequence[bytes], signature: str, which: Which, seconds: float
    ) -> list[list[tuple[str, float]]]:
        """See `ServingClient.classify`."""
        results = self._examples(":classify", examples, signature, which, seconds)
        return [[(label, float(score)) for label, score in row] for row in results]

    def regress(self, examples: Sequence[bytes], signature: str, which: Which, seconds: float) -> Array:
        """See `ServingClient.regress`."""
        return np.array(self._examples(":regress", examples, signature, which, seconds), np.float32)

    def _examples(
        self, verb: str, examples: Sequence[bytes], signature: str, which: Which, seconds: float
    ) -> list[Any]:
        body = {"signature_name": signature, "examples": [example_to_json(one) for one in examples]}
        return self._call("POST", self._path(which, verb), body, seconds)["results"]

    def metadata(self, which: Which, seconds: float) -> ModelMetadata:
        """See `ServingClient.metadata`."""
        answer = self._call("GET", self._path(which, "/metadata"), None, seconds)
        signatures = answer["metadata"]["signature_def"]["signature_def"]
        return ModelMetadata(
            answer["model_spec"]["name"],
            int(answer["model_spec"]["version"]),
            {
                name: Signature(
                    {
                        key: _spec(info, key in signature.get("defaults", {}))
                        for key, info in signature["inputs"].items()
                    },
                    {key: _spec(info) for key, info in signature["outputs"].items()},
                )
                for name, signature in signatures.items()
            },
            answer["metadata"].get("notes") or {},
        )

    def status(self, seconds: float) -> list[VersionStatus]:
        """See `ServingClient.status`."""
        answer = self._call("GET", self._path(LATEST, ""), None, seconds)
        return [
            VersionStatus(
                int(one["version"]),
                one["state"],
                Code[one["status"]["error_code"]],
                one["status"]["error_message"],
            )
            for one in answer["model_version_status"]
        ]

    def close(self) -> None:
        """See `ServingClient.close`."""
        while True:
            try:
                self._idle.get_nowait().close()
            except queue.Empty:
                return


def _answer(status: int, text: bytes) -> Any:
    try:
        answer = json.loads(text)
    except ValueError as error:
        if status == 200:
            raise CallError(Code.INTERNAL, f"the answer is not JSON: {text[:200]!r}") from error
        answer = {}
    if status == 200:
        return answer
    message = answer.get("error", "") if isinstance(answer, dict) else ""
    raise CallError(Code.from_http(status), message or f"HTTP status {status}")


def _json_values(array: Array) -> Any:
    if tensors.type_code(array) != tensors.STRING:
        return array.tolist()
    flat = [_json_text(item) for item in array.ravel().tolist()]
    shaped = np.empty(len(flat), object)
    shaped[:] = flat
    return shaped.reshape(array.shape).tolist()


def _json_text(item: Any) -> Any:
    if isinstance(item, str):
        return item
    try:
        return item.decode("utf-8")
    except UnicodeDecodeError:
        return {"b64": base64.b64encode(item).decode("ascii")}


def _array(values: Any, code: int) -> Array:
    if code != tensors.STRING:
        return np.asarray(values, tensors.DTYPES[code])
    array = np.asarray(values, object)
    flat = [
        base64.b64decode(item["b64"]) if isinstance(item, dict) else item.encode() for item in array.ravel()
    ]
    return np.fromiter(flat, object, len(flat)).reshape(array.shape)


def _spec(info: Mapping[str, Any], optional: bool = False) -> TensorSpec:
    shape = info["tensor_shape"]
    return TensorSpec(
        _TYPE_CODES.get(info["dtype"], 0),
        None if shape.get("unknown_rank") else tuple(int(dim["size"]) for dim in shape.get("dim", [])),
        optional,
    )
