"""A client of any server that speaks TensorFlow Serving's protocol, on NumPy; it imports no TensorFlow.

from pipeline.client import connect

with connect("grpc://localhost:8500", model="dfei") as client:
    scores = client.predict({"user_id": [7, 7], "video_id": [1, 2], "tab": [0, 1]})["click_probability"]
"""

from __future__ import annotations

from pipeline.client.client import (
    LATEST,
    ModelMetadata,
    ServingClient,
    Signature,
    TensorSpec,
    Transport,
    VersionStatus,
    Which,
)
from pipeline.client.errors import CallError, Code
from pipeline.client.examples import serialize_example
from pipeline.client.missing import with_missing
from pipeline.client.retries import NO_RETRIES, Retries

__all__ = [
    "LATEST",
    "NO_RETRIES",
    "CallError",
    "Code",
    "ModelMetadata",
    "Retries",
    "ServingClient",
    "Signature",
    "TensorSpec",
    "Transport",
    "VersionStatus",
    "Which",
    "connect",
    "serialize_example",
    "with_missing",
]


def connect(
    url: str, model: str, timeout: float = 10.0, retries: Retries | None = None, secure: bool = False
) -> ServingClient:
    """A client for an address.

    Args:
      url: `http://HOST:PORT` or `https://HOST:PORT` for REST; `grpc://HOST:PORT` for gRPC.
      model: the model's name on the server.
      timeout: seconds for a call with all its retries.
      retries: when a call is made again.
      secure: gRPC over TLS, with the system's certificates; REST takes this from `https`.

    Raises:
      ValueError: the address is neither.
    """
    scheme, separator, rest = url.partition("://")
    if separator and scheme == "grpc":
        import grpc

        from pipeline.client.grpc_transport import GrpcTransport

        credentials = grpc.ssl_channel_credentials() if secure else None
        transport: Transport = GrpcTransport(rest.rstrip("/"), model, credentials)
    elif scheme in ("http", "https"):
        from pipeline.client.rest_transport import RestTransport

        transport = RestTransport(url, model)
    else:
        raise ValueError(f"{url!r}: expected http://HOST:PORT, https://HOST:PORT or grpc://HOST:PORT")
    return ServingClient(transport, model, timeout, retries)
