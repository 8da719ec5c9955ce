"""A model server for development, tests and small deployments, with TensorFlow Serving's protocol.

gRPC is served by threads, REST by an event loop that hands computations to threads: gRPC's threads answered an
empty request in 0.27 ms and 3,200 of them a second on two cores, its asyncio server in 0.44 ms and 1,700.
"""

from __future__ import annotations

import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType

import grpc
from starlette.types import ASGIApp

from components.errors import InputError
from pipeline.serving.admission import Admission, Budget
from pipeline.serving.batching import Batcher
from pipeline.serving.config_files import SslConfig
from pipeline.serving.engine import Engine
from pipeline.serving.errors import Code
from pipeline.serving.grpc_service import GrpcService
from pipeline.serving.health import health_app
from pipeline.serving.http_server import HttpServer
from pipeline.serving.listening import listen
from pipeline.serving.metrics import Metrics
from pipeline.serving.request_log import RequestLog
from pipeline.serving.rest_app import RestApp
from pipeline.serving.runners import DirectRunner, Runner
from pipeline.serving.saved_model import LoadedModel
from pipeline.serving.settings import ServerSettings
from pipeline.serving.version_files import VersionFiles
from pipeline.serving.versions import ModelVersions
from pipeline.serving.warmup import warm_up

log = logging.getLogger(__name__)

# Status and health are answered even when the server is full.
_SPARE_THREADS = 8


class ModelServer:
    """Serves models until it is stopped.

    Args:
      settings: what, where and how.
    """

    def __init__(self, settings: ServerSettings) -> None:
        self._settings = settings
        limits = settings.limits
        models = {
            model.name: ModelVersions(
                model, self._load, settings.settle_seconds, unload_first=settings.unload_first
            )
            for model in settings.models
        }
        self.metrics = Metrics(lambda: {name: model.states() for name, model in models.items()})
        self._runner: Runner = (
            DirectRunner(limits.running)
            if settings.batching is None
            else Batcher(settings.batching, limits.running, self.metrics, limits.predictions)
        )
        most = limits.running + limits.waiting
        self._requests = (
            RequestLog(Path(settings.log_requests), settings.log_share, self.metrics.logged)
            if settings.log_requests is not None
            else None
        )
        self.engine = Engine(
            models,
            self._runner,
            Admission(most),
            limits,
            self.metrics,
            refuse_unknown_domains=settings.refuse_unknown_domains,
            requests=self._requests,
        )
        self._bodies = Budget(limits.buffered_bytes, Code.UNAVAILABLE, "bytes of requests at the same time")
        self._workers = ThreadPoolExecutor(most + _SPARE_THREADS, thread_name_prefix="rest")
        self._grpc_threads = ThreadPoolExecutor(most + _SPARE_THREADS, thread_name_prefix="grpc")
        self._stopping = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="watcher", daemon=True)
        self._grpc: grpc.Server | None = None
        self._http: HttpServer | None = None
        self._health: HttpServer | None = None
        self.grpc_port: int | None = None
        self.rest_port: int | None = None
        self.health_port: int | None = None

    def _load(self, name: str, files: VersionFiles) -> LoadedModel:
        model = LoadedModel(files.path, self._settings.session_threads)
        try:
            count = warm_up(model, files.path)
        except BaseException:
            model.close()
            raise
        log.info("%s: version %d is warm, after %d requests", name, files.number, count)
        return model

    def _watch(self) -> None:
        while not self._stopping.wait(self._settings.poll_seconds):
            for model in self.engine.models.values():
                model.poll()

    def start(self, wait_seconds: float = 0.0) -> None:
        """Loads the models, then listens.

        Args:
          wait_seconds: how long to wait for a first version of every model that has none yet.

        Raises:
          InputError: a model has no version that loads, or a port is taken.
        """
        self._first_versions(time.monotonic() + wait_seconds)
        settings = self._settings
        try:
            if settings.rest_port is not None:
                self._start_rest(settings.rest_port)
            if settings.grpc_port is not None:
                self._start_grpc(settings.grpc_port)
            if settings.health_port is not None:
                self.health_port, self._health = self._listen(
                    health_app(self.engine), settings.health_port, "--health-port", None
                )
        except InputError:
            self.stop()
            raise
        self._watcher.start()

    def _first_versions(self, deadline: float) -> None:
        # A version that is still being written gets the time to settle.
        settled = time.monotonic() + 10 + 12 * self._settings.settle_seconds
        for model in self.engine.models.values():
            model.poll()
            while (model.settling and time.monotonic() < settled) or not model.available:
                if not model.available and time.monotonic() >= max(
                    deadline, settled if model.settling else 0
                ):
                    raise InputError(_no_version(model))
                time.sleep(min(self._settings.poll_seconds, 0.2))
                model.poll()

    def _start_rest(self, port: int) -> None:
        settings = self._settings
        app = RestApp(
            self.engine,
            settings.limits,
            self._workers,
            settings.metrics_path,
            self._bodies,
            settings.token,
        )
        self.rest_port, self._http = self._listen(app.asgi, port, "--rest-port", settings.certificate)

    def _listen(
        self, app: ASGIApp, port: int, option: str, certificate: tuple[str, str] | None
    ) -> tuple[int, HttpServer]:
        settings = self._settings
        listener = listen(settings.host, port, option)
        server = HttpServer(app, listener, settings.limits, settings.drain_seconds, certificate)
        server.start()
        return int(listener.getsockname()[1]), server

    def _start_grpc(self, port: int) -> None:
        limits = self._settings.limits
        most = limits.running + limits.waiting
        server = grpc.server(
            self._grpc_threads,
            options=[
                ("grpc.max_receive_message_length", limits.request_bytes),
                ("grpc.max_send_message_length", -1),
                ("grpc.so_reuseport", 0),
            ],
            # What arrives above this is refused by gRPC itself, before it takes memory.
            maximum_concurrent_rpcs=2 * most + _SPARE_THREADS,
        )
        service = GrpcService(self.engine, self._bodies, self._settings.token)
        server.add_generic_rpc_handlers(service.handlers())
        host = f"[{self._settings.host}]" if ":" in self._settings.host else self._settings.host
        try:
            self.grpc_port = _add_port(server, f"{host}:{port}", self._settings.ssl)
        except RuntimeError as error:
            raise InputError(
                f"cannot listen on {host}:{port}: {error}. Choose another port with --grpc-port"
            ) from error
        server.start()
        self._grpc = server

    def stop(self) -> None:
        """Takes no more requests, waits for those under way, and frees everything."""
        drain = self._settings.drain_seconds
        self._stopping.set()
        self.engine.admission.close()
        grpc_stopped = self._grpc.stop(drain) if self._grpc is not None else None
        for http in (self._http, self._health):
            if http is not None:
                http.stop()
        if grpc_stopped is not None:
            grpc_stopped.wait()
        if self._watcher.ident is not None:
            # Nobody waits for the version that it may be loading.
            self._watcher.join(self._settings.poll_seconds)
        self._runner.stop()
        for pool in (self._workers, self._grpc_threads):
            pool.shutdown(wait=False)
        for model in self.engine.models.values():
            model.close(drain)
        if self._requests is not None:
            self._requests.close()

    def __enter__(self) -> ModelServer:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _add_port(server: grpc.Server, address: str, ssl: SslConfig | None) -> int:
    if ssl is None:
        return server.add_insecure_port(address)
    credentials = grpc.ssl_server_credentials([(ssl.key, ssl.certificate)], ssl.authority, ssl.verify_clients)
    return server.add_secure_port(address, credentials)


def _no_version(model: ModelVersions) -> str:
    states = model.states()
    if not states:
        return (
            f"{model.base}: no version of model {model.name!r} there; "
            "a version is a directory whose name is a number"
        )
    reasons = "; ".join(f"version {number}: {state.message}" for number, state in states.items())
    return f"{model.base}: no version of model {model.name!r} can be served. {reasons}"
