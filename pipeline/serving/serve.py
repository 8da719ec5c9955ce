"""`dfei serve`: serves model directories until it is told to stop."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from components.errors import InputError
from components.pusher.version_names import version_number
from pipeline.example_curl import example_curl
from pipeline.screen import Screen, as_is
from pipeline.serving.config_files import (
    METRICS_PATH,
    read_batching_parameters,
    read_metrics_path,
    read_model_configs,
    read_ssl_config,
)
from pipeline.serving.freed_memory import keep_what_is_there
from pipeline.serving.listening import listen
from pipeline.serving.settings import Limits, ModelSettings, ServerSettings
from pipeline.serving.token import is_loopback, read_token
from pipeline.serving.version_files import scan

if TYPE_CHECKING:
    from pipeline.serving.server import ModelServer

# Between Python threads, in seconds.
SWITCH_SECONDS = 0.0005


def serve(
    model_dir: Path | None,
    *,
    name: str | None = None,
    rest_port: int | None = 8501,
    grpc_port: int | None = 8500,
    health_port: int | None = None,
    host: str = "127.0.0.1",
    ssl_config_file: Path | None = None,
    rest_certificate: Path | None = None,
    rest_key: Path | None = None,
    token_file: Path | None = None,
    batching_parameters_file: Path | None = None,
    monitoring_config_file: Path | None = None,
    model_config_file: Path | None = None,
    version_labels: Mapping[str, int] | None = None,
    limits: Limits | None = None,
    poll_seconds: float = 1.0,
    drain_seconds: float = 20.0,
    session_threads: int = 0,
    wait_seconds: float = 0.0,
    unload_before_load: bool = False,
    refuse_unknown_domains: bool = False,
    log_requests: Path | None = None,
    log_share: float = 0.01,
    console: Console | None = None,
) -> None:
    """Serves a pushed model until SIGTERM or SIGINT, then finishes the requests under way and returns.

    Args:
      model_dir: the directory with a subdirectory per version; `None` with `model_config_file`.
      name: the model's name for callers; by default the directory's.
      rest_port: for REST; 0 for any free one, `None` for no REST.
      grpc_port: for gRPC; 0 for any free one, `None` for no gRPC.
      health_port: for `/healthz` and `/readyz` alone; 0 for any free one, `None` for none beside those of REST.
      host: address to listen on.
      ssl_config_file: TLS of gRPC, as TensorFlow Serving's file of that name says.
      rest_certificate: PEM file of REST's certificate, with its chain.
      rest_key: PEM file of its key.
      token_file: a file with the token that callers of the metrics have to show.
      batching_parameters_file: turns dynamic batching on, as TensorFlow Serving's file of that name says.
      monitoring_config_file: where the metrics are, as TensorFlow Serving's file of that name says.
      model_config_file: several models, version policies and labels, as TensorFlow Serving's file says.
      version_labels: version numbers by label, such as `stable` and `canary`; their versions are served beside the
        latest one.
      limits: what the server takes on before it refuses.
      poll_seconds: between two looks at the model directories.
      drain_seconds: for the requests under way when it stops.
      session_threads: of TensorFlow; 0 for one per core.
      wait_seconds: how long to wait for a first version where there is none yet.
      unload_before_load: whether a version is closed before the next is loaded: half the memory, and a gap.
      refuse_unknown_domains: whether a request for a domain that was not in training is an error.
      log_requests: a folder for a sample of the requests, as TensorFlow Serving logs them; `None` for no log.
      log_share: the share of the requests that is logged.
      console: where to say what is served.

    Raises:
      InputError: there is no model to serve, a file is wrong, or a port is taken, or there is none.
    """
    if model_config_file is not None and (model_dir is not None or name is not None):
        raise InputError(
            "--model-config-file names the models and their folders: give no model directory and no --name beside it"
        )
    if rest_port is None and grpc_port is None:
        raise InputError(
            "--rest-port and --grpc-port are both off, and nobody could ask: leave one of them on"
        )
    if (rest_certificate is None) != (rest_key is None):
        raise InputError("--rest-certificate and --rest-key belong together: give both, or neither")
    models = (
        _configured(model_config_file)
        if model_config_file is not None
        else (_model(model_dir, name, dict(version_labels or {}), wait_seconds > 0),)
    )
    settings = ServerSettings(
        models=models,
        host=host,
        rest_port=rest_port,
        grpc_port=grpc_port,
        health_port=health_port,
        ssl=read_ssl_config(ssl_config_file) if ssl_config_file else None,
        certificate=None if rest_certificate is None else (str(rest_certificate), str(rest_key)),
        token=read_token(token_file) if token_file else "",
        unload_first=unload_before_load,
        refuse_unknown_domains=refuse_unknown_domains,
        batching=read_batching_parameters(batching_parameters_file) if batching_parameters_file else None,
        limits=limits or Limits(),
        metrics_path=read_metrics_path(monitoring_config_file) if monitoring_config_file else METRICS_PATH,
        poll_seconds=poll_seconds,
        drain_seconds=drain_seconds,
        session_threads=session_threads,
        log_requests=None if log_requests is None else str(log_requests.absolute()),
        log_share=log_share,
    )
    _run(settings, console or Screen(stderr=True, soft_wrap=True), wait_seconds)


def _run(settings: ServerSettings, console: Console, wait_seconds: float) -> None:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    _require_free_ports(settings)
    handler = _ConsoleHandler(console)
    logger = logging.getLogger("pipeline.serving")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    stop, begun = threading.Event(), threading.Event()

    def end(*_: object) -> None:
        stop.set()
        begun.set()

    previous = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        for model in settings.models:
            console.print(f"{as_is(model.name)}: loading from {as_is(model.base_path)}", highlight=False)
        starting = _Starting(settings, wait_seconds, begun)
        starting.start()
        # Signals are heard between two steps of this thread alone, and a model may load for minutes in one step.
        begun.wait()
        if starting.error is not None and not stop.is_set():
            raise starting.error
        server = starting.server
        if server is None:
            console.print("stopped before a model was loaded")
            return
        for model in settings.models:
            _announce(server, settings, model.name, console)
        _warn_of_strangers(settings, console)
        stop.wait()
        console.print("stopping; requests under way are finished")
        server.stop()
    finally:
        logger.removeHandler(handler)
        for number, action in previous.items():
            signal.signal(number, action)


def _require_free_ports(settings: ServerSettings) -> None:
    """A port that is taken is said before TensorFlow and the models are loaded, which takes long.

    Raises:
      InputError: names the port and its option.
    """
    ports = {
        "--rest-port": settings.rest_port,
        "--grpc-port": settings.grpc_port,
        "--health-port": settings.health_port,
    }
    for option, port in ports.items():
        if port:
            listen(settings.host, port, option).close()


class _Starting(threading.Thread):
    """Imports TensorFlow, loads the models and opens the ports.

    Args:
      settings: of the server.
      wait_seconds: for a first version.
      begun: set at the end, however it ends.
    """

    def __init__(self, settings: ServerSettings, wait_seconds: float, begun: threading.Event) -> None:
        super().__init__(name="starting", daemon=True)
        self._settings = settings
        self._wait_seconds = wait_seconds
        self._begun = begun
        self.server: ModelServer | None = None
        self.error: BaseException | None = None

    def run(self) -> None:
        """Starts the server, or keeps the error for the thread that waits."""
        try:
            # TensorFlow takes seconds to import: not before the arguments are known to be right.
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                import tensorflow as tf

                from pipeline.serving.server import ModelServer

            tf.get_logger().setLevel(logging.ERROR)
            # While a version loads, Python code competes with requests, which then wait for the interpreter at each
            # of their steps: at the default of 5 ms the slowest took several times as long.
            sys.setswitchinterval(SWITCH_SECONDS)
            keep_what_is_there()
            server = ModelServer(self._settings)
            server.start(self._wait_seconds)
            self.server = server
        except BaseException as error:
            self.error = error
        finally:
            self._begun.set()


def _announce(server: ModelServer, settings: ServerSettings, name: str, console: Console) -> None:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    if server.rest_port is not None:
        base = f"{'https' if settings.certificate else 'http'}://{host}:{server.rest_port}"
        console.print(f"REST  {base}/v1/models/{name}:predict", highlight=False)
        if settings.metrics_path:
            console.print(f"      metrics {base}{settings.metrics_path}", highlight=False)
        model = server.engine.models[name]
        curl = example_curl(model.base / str(model.available[-1]), name, base) if model.available else None
        if curl is not None:
            console.print(f"      {as_is(curl)}", highlight=False, soft_wrap=True)
    if server.grpc_port is not None:
        tls = " (TLS)" if settings.ssl else ""
        console.print(f"gRPC  {host}:{server.grpc_port}, model {name}{tls}", highlight=False)
    if server.health_port is not None:
        console.print(f"      health http://{host}:{server.health_port}/healthz", highlight=False)


def _warn_of_strangers(settings: ServerSettings, console: Console) -> None:
    """Says what is open to whoever reaches the address."""
    if is_loopback(settings.host):
        return
    missing = []
    if settings.grpc_port is not None and settings.ssl is None:
        missing.append("gRPC has no TLS (--ssl-config-file)")
    if settings.rest_port is not None and settings.certificate is None:
        missing.append("REST has no TLS (--rest-certificate, --rest-key)")
    if settings.rest_port is not None and settings.metrics_path and not settings.token:
        missing.append("the metrics ask for no token (--token-file)")
    if missing:
        console.print(
            f"warning: {settings.host} is reached from other machines, and {', '.join(missing)}. Predictions are for "
            "everybody who reaches it: let the network decide who that is",
            highlight=False,
            soft_wrap=True,
        )


class _ConsoleHandler(logging.Handler):
    """Log lines on the console."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        self._console.print(record.getMessage(), markup=False, highlight=False)


def _configured(path: Path) -> tuple[ModelSettings, ...]:
    return tuple(
        ModelSettings(config.name, config.base_path, config.policy, config.labels)
        for config in read_model_configs(path)
    )


def _model(
    model_dir: Path | None, name: str | None, labels: dict[str, int], may_be_empty: bool
) -> ModelSettings:
    if model_dir is None:
        raise InputError("name a model directory or a model configuration file to serve")
    base = Path(os.path.abspath(model_dir))  # noqa: PTH100 - links stay: a deployment may turn them
    if not may_be_empty:
        _check_directory(base)
    return ModelSettings(name or base.name, str(base), labels=tuple(sorted(labels.items())))


def _check_directory(base: Path) -> None:
    if not base.is_dir():
        raise InputError(f"{base}: no such directory; expected one with a subdirectory per version")
    if scan(base):
        return
    if version_number(base.name) is not None and (base / "saved_model.pb").is_file():
        raise InputError(f"{base}: this is a version; serve the directory above it, {base.parent}")
    below = sorted(entry for entry in base.iterdir() if entry.is_dir() and scan(entry))
    hint = f"; serve one of {', '.join(str(entry) for entry in below)}" if below else ""
    raise InputError(
        f"{base}: no version there: a version is a directory with a number as its name, which holds a "
        f"saved_model.pb{hint}"
    )
