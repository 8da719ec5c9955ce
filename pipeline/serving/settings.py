"""What a server can be told."""

from __future__ import annotations

import dataclasses
import os

from pipeline.serving.config_files import BatchingParameters, SslConfig, VersionPolicy


@dataclasses.dataclass(frozen=True)
class Limits:
    """What a server takes on before it refuses.

    Attributes:
      request_bytes: of one request; above it gRPC answers RESOURCE_EXHAUSTED and REST 413, without reading it in.
      buffered_bytes: of all requests that are worked on, and REST bodies that are being read, at the same time; above
        it UNAVAILABLE and 503.
      predictions: of one request, as its shapes say; above it INVALID_ARGUMENT and 400.
      predictions_together: of all requests that are waiting or computed; above it RESOURCE_EXHAUSTED and 429.
      running: requests computed at the same time, where they are not batched.
      waiting: further requests that wait, in the batch queue or for their turn; above it RESOURCE_EXHAUSTED
        (gRPC) and 429 (REST).
      connections: open REST connections; above it 503.
      rest_seconds: for computing a REST answer; above it 504. gRPC has the caller's own deadline.
      receive_seconds: for a client to send a whole REST request; above it 408.
      send_seconds: for a client to take a REST answer; above it the connection is closed.
    """

    request_bytes: int = 16 << 20
    buffered_bytes: int = 128 << 20
    predictions: int = 1 << 16
    predictions_together: int = 1 << 18
    running: int = max(2, os.cpu_count() or 1)
    waiting: int = 512
    connections: int = 1024
    rest_seconds: float = 30.0
    receive_seconds: float = 30.0
    send_seconds: float = 30.0


@dataclasses.dataclass(frozen=True)
class ModelSettings:
    """One model that is served.

    Attributes:
      name: as callers name it.
      base_path: the directory with a subdirectory per version.
      policy: which versions are served at the same time.
      labels: version numbers by label, such as `stable` and `canary`; served beside what the policy asks for.
    """

    name: str
    base_path: str
    policy: VersionPolicy = dataclasses.field(default_factory=VersionPolicy)
    labels: tuple[tuple[str, int], ...] = ()


@dataclasses.dataclass(frozen=True)
class ServerSettings:
    """A server.

    Attributes:
      models: what it serves.
      host: address to listen on.
      rest_port: for REST; 0 for any free one, `None` for no REST.
      grpc_port: for gRPC; 0 for any free one, `None` for no gRPC.
      health_port: for `/healthz` and `/readyz` alone, on a thread and connections of their own; 0 for any free one.
      ssl: TLS of gRPC; `None` for none.
      certificate: PEM files of REST's certificate chain and its key; `None` for no TLS.
      token: what callers of the metrics, and of methods that change the server, have to show; empty for nothing.
      refuse_unknown_domains: whether a request for a domain that was not in training is an error.
      unload_first: whether a version is closed before the next one is loaded: less memory, and a gap in between.
      batching: dynamic batching; `None` for none.
      limits: what it takes on.
      metrics_path: of the Prometheus metrics; `None` for none.
      poll_seconds: between two looks at the model directories.
      settle_seconds: how long a version's files must have been left alone before it is loaded: a copy may be
        under way.
      drain_seconds: for requests under way when the server stops.
      session_threads: of TensorFlow, within and between operations; 0 for one per core.
      log_requests: a folder for a sample of the requests; `None` for no log.
      log_share: the share of the requests that is logged.
    """

    models: tuple[ModelSettings, ...]
    host: str = "127.0.0.1"
    rest_port: int | None = 8501
    grpc_port: int | None = 8500
    health_port: int | None = None
    ssl: SslConfig | None = None
    certificate: tuple[str, str] | None = None
    token: str = dataclasses.field(default="", repr=False)
    refuse_unknown_domains: bool = False
    unload_first: bool = False
    batching: BatchingParameters | None = None
    limits: Limits = Limits()
    metrics_path: str | None = "/monitoring/prometheus/metrics"
    poll_seconds: float = 1.0
    settle_seconds: float = 1.0
    drain_seconds: float = 20.0
    session_threads: int = 0
    log_requests: str | None = None
    log_share: float = 0.01
