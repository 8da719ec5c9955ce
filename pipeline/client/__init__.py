"""A client of any server that speaks TensorFlow Serving's protocol, on NumPy; it imports no TensorFlow.

from pipeline.client import connect

with connect("grpc://localhost:8500", model="dfei") as client:
    scores = client.predict({"user_id": [7, 7], "video_id": [1, 2], "tab": [0, 1]})["click_probability"]
"""

from __future__ import annotations

import ssl
from os import PathLike
from pathlib import Path

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
    url: str,
    model: str,
    timeout: float = 10.0,
    retries: Retries | None = None,
    secure: bool = False,
    ca_file: str | PathLike[str] | None = None,
) -> ServingClient:
    """A client for an address.

    Args:
      url: `http://HOST:PORT` or `https://HOST:PORT` for REST; `grpc://HOST:PORT` or `grpcs://HOST:PORT` for gRPC.
      model: the model's name on the server.
      timeout: seconds for a call with all its retries.
      retries: when a call is made again.
      secure: gRPC over TLS, as `grpcs` says too; REST takes this from `https`.
      ca_file: certificates (PEM) of who signed the server's, in place of the system's; for TLS.

    Raises:
      ValueError: the address is none of these, or certificates are given for one without TLS.
      OSError: the certificates cannot be read.
    """
    scheme, separator, rest = url.partition("://")
    tls = scheme in ("https", "grpcs") or (scheme == "grpc" and secure)
    if ca_file is not None and not tls:
        raise ValueError(f"{url!r} is asked without TLS: certificates are for https:// and grpcs://")
    if separator and scheme in ("grpc", "grpcs"):
        import grpc

        from pipeline.client.grpc_transport import GrpcTransport

        authority = None if ca_file is None else Path(ca_file).read_bytes()
        credentials = grpc.ssl_channel_credentials(authority) if tls else None
        transport: Transport = GrpcTransport(rest.rstrip("/"), model, credentials)
    elif scheme in ("http", "https"):
        from pipeline.client.rest_transport import RestTransport

        context = None
        if ca_file is not None:
            context = ssl.create_default_context(cafile=str(ca_file))
            # As gRPC, and Python before 3.13: certificates of private authorities often lack a key's identifier or use.
            context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        transport = RestTransport(url, model, context)
    else:
        raise ValueError(f"{url!r}: expected http(s)://HOST:PORT or grpc(s)://HOST:PORT")
    return ServingClient(transport, model, timeout, retries)
