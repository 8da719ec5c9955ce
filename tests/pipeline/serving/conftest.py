"""Servers under test: this project's, and the real one where there is one."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pipeline.serving.server import ModelServer
from pipeline.serving.settings import ModelSettings, ServerSettings
from tests.pipeline.serving.models import NAME, save_version

ROWS: dict[str, Any] = {"user_id": [3, 7, 0], "duration": [0.5, 1.5, 2.0], "tag": ["a", "bb", ""]}


@dataclass
class Served:
    """A running server."""

    rest: str
    grpc: str
    kind: str


@pytest.fixture(scope="session")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model directory with the versions 1 (bias 0) and 2 (bias 1). Read only."""
    base = tmp_path_factory.mktemp("saved") / NAME
    save_version(base, 1, 0.0)
    save_version(base, 2, 1.0)
    return base


def settings_for(base: Path, **changes: Any) -> ServerSettings:
    """Settings of a server under test: free ports, quick polling."""
    model = changes.pop("model", None) or ModelSettings(NAME, str(base))
    quick: dict[str, Any] = {
        "models": (model,),
        "rest_port": 0,
        "grpc_port": 0,
        "poll_seconds": 0.05,
        "settle_seconds": 0.0,
    }
    return ServerSettings(**{**quick, **changes})


def served(server: ModelServer) -> Served:
    return Served(f"http://127.0.0.1:{server.rest_port}", f"127.0.0.1:{server.grpc_port}", "ours")


@pytest.fixture(scope="session")
def ours(saved: Path) -> Iterator[Served]:
    """This project's server with both versions, labelled stable and canary."""
    model = ModelSettings(NAME, str(saved), labels=(("stable", 1), ("canary", 2)))
    with ModelServer(settings_for(saved, model=model)) as server:
        yield served(server)


def real_binary() -> str | None:
    return os.environ.get("TENSORFLOW_MODEL_SERVER") or shutil.which("tensorflow_model_server")


@pytest.fixture(scope="session")
def real(saved: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """`tensorflow_model_server` with the same versions and labels."""
    binary = real_binary()
    assert binary is not None
    scratch = tmp_path_factory.mktemp("real")
    config = scratch / "models.config"
    config.write_text(
        f"""model_config_list {{ config {{
          name: "{NAME}" base_path: "{saved}" model_platform: "tensorflow"
          model_version_policy {{ specific {{ versions: 1 versions: 2 }} }}
          version_labels {{ key: "stable" value: 1 }} version_labels {{ key: "canary" value: 2 }}
        }} }}"""
    )
    monitoring = scratch / "monitoring.config"
    monitoring.write_text('prometheus_config { enable: true path: "/monitoring/prometheus/metrics" }')
    rest_port, grpc_port = _free_port(), _free_port()
    command = [
        binary,
        f"--port={grpc_port}",
        f"--rest_api_port={rest_port}",
        f"--model_config_file={config}",
        f"--monitoring_config_file={monitoring}",
        "--allow_version_labels_for_unavailable_models=true",
    ]
    with (scratch / "log").open("wb") as sink:
        process = subprocess.Popen(command, stdout=sink, stderr=subprocess.STDOUT)
    try:
        _wait_for(f"http://127.0.0.1:{rest_port}/v1/models/{NAME}/versions/2/metadata", process)
        yield Served(f"http://127.0.0.1:{rest_port}", f"127.0.0.1:{grpc_port}", kind="real")
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture(params=["ours", "real"] if real_binary() else ["ours"])
def server(request: pytest.FixtureRequest) -> Served:
    """Each server in turn."""
    return request.getfixturevalue(request.param)


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except OSError:
            time.sleep(0.2)
    raise RuntimeError(f"{url} did not answer; the server's exit code is {process.poll()}")
