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

from rich.console import Console

from components.errors import InputError
from pipeline.serving.config_files import (
    METRICS_PATH,
    read_batching_parameters,
    read_metrics_path,
    read_model_configs,
)
from pipeline.serving.settings import Limits, ModelSettings, ServerSettings
from pipeline.serving.version_files import scan, version_number

# Between Python threads, in seconds.
SWITCH_SECONDS = 0.0005


def serve(
    model_dir: Path | None,
    *,
    name: str | None = None,
    rest_port: int | None = 8501,
    grpc_port: int | None = 8500,
    host: str = "127.0.0.1",
    batching_parameters_file: Path | None = None,
    monitoring_config_file: Path | None = None,
    model_config_file: Path | None = None,
    version_labels: Mapping[str, int] | None = None,
    limits: Limits | None = None,
    poll_seconds: float = 1.0,
    drain_seconds: float = 20.0,
    session_threads: int = 0,
    wait_seconds: float = 0.0,
    console: Console | None = None,
) -> None:
    """Serves a pushed model until SIGTERM or SIGINT, then finishes the requests under way and returns.

    Args:
      model_dir: the directory with a subdirectory per version; `None` with `model_config_file`.
      name: the model's name for callers; by default the directory's.
      rest_port: for REST; 0 for any free one, `None` for no REST.
      grpc_port: for gRPC; 0 for any free one, `None` for no gRPC.
      host: address to listen on.
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
        batching=read_batching_parameters(batching_parameters_file) if batching_parameters_file else None,
        limits=limits or Limits(),
        metrics_path=read_metrics_path(monitoring_config_file) if monitoring_config_file else METRICS_PATH,
        poll_seconds=poll_seconds,
        drain_seconds=drain_seconds,
        session_threads=session_threads,
    )
    _run(settings, console or Console(stderr=True, soft_wrap=True), wait_seconds)


def _run(settings: ServerSettings, console: Console, wait_seconds: float) -> None:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    handler = _ConsoleHandler(console)
    logger = logging.getLogger("pipeline.serving")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    stop = threading.Event()
    previous = {
        number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        # TensorFlow takes seconds to import: not before the arguments are known to be right.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import tensorflow as tf

            from pipeline.serving.server import ModelServer

        tf.get_logger().setLevel(logging.ERROR)
        # While a version loads, Python code competes with requests, which then wait for the interpreter at each of
        # their steps: at the default of 5 ms the slowest took several times as long.
        sys.setswitchinterval(SWITCH_SECONDS)
        server = ModelServer(settings)
        server.start(wait_seconds)
        for model in settings.models:
            _announce(server.rest_port, server.grpc_port, settings, model.name, console)
        stop.wait()
        console.print("stopping; requests under way are finished")
        server.stop()
    finally:
        logger.removeHandler(handler)
        for number, action in previous.items():
            signal.signal(number, action)


def _announce(
    rest_port: int | None, grpc_port: int | None, settings: ServerSettings, name: str, console: Console
) -> None:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    if rest_port is not None:
        console.print(f"REST  http://{host}:{rest_port}/v1/models/{name}:predict", highlight=False)
        if settings.metrics_path:
            console.print(f"      metrics http://{host}:{rest_port}{settings.metrics_path}", highlight=False)
    if grpc_port is not None:
        console.print(f"gRPC  {host}:{grpc_port}, model {name}", highlight=False)


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
