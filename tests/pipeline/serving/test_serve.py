"""`serve`: what it refuses to start with, and how it ends."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from components.errors import InputError
from pipeline.cli import app
from pipeline.client import Which, connect
from pipeline.serving.serve import serve
from pipeline.serving.server import ModelServer
from tests.pipeline.serving.conftest import ROWS, settings_for
from tests.pipeline.serving.models import NAME, copy_version


def test_a_directory_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such directory"):
        serve(tmp_path / "none")
    with pytest.raises(InputError, match="name a model directory"):
        serve(None)


def test_a_directory_or_a_configuration_file(saved: Path, tmp_path: Path) -> None:
    config = tmp_path / "models.config"
    for arguments in ({"model_dir": saved}, {"model_dir": None, "name": "clicks"}):
        with pytest.raises(InputError, match="give no model directory and no --name"):
            serve(**arguments, model_config_file=config)
    with pytest.raises(InputError, match=r"models\.config: cannot be read"):
        serve(None, model_config_file=config)


def test_a_server_needs_a_port(saved: Path) -> None:
    with pytest.raises(InputError, match="--rest-port and --grpc-port are both off"):
        serve(saved, rest_port=None, grpc_port=None)


def test_a_directory_without_versions_says_where_they_are(saved: Path) -> None:
    with pytest.raises(InputError, match=f"serve one of {re.escape(str(saved))}"):
        serve(saved.parent)
    with pytest.raises(InputError, match=f"serve the directory above it, {re.escape(str(saved))}"):
        serve(saved / "1")


def test_versions_of_which_none_loads(tmp_path: Path) -> None:
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "saved_model.pb").write_bytes(b"no")
    with pytest.raises(
        InputError, match=r"no version of model .* can be served\. version 1: .*saved_model.pb"
    ):
        ModelServer(settings_for(tmp_path)).start()
    shutil.rmtree(tmp_path / "1")
    with pytest.raises(InputError, match="a version is a directory whose name is a number"):
        ModelServer(settings_for(tmp_path)).start(wait_seconds=0.1)


def test_a_port_that_is_taken(saved: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match="--rest-port"):
            ModelServer(settings_for(saved, rest_port=port)).start()
        with pytest.raises(InputError, match="--grpc-port"):
            ModelServer(settings_for(saved, grpc_port=port)).start()


def test_a_port_that_is_none_is_refused(tmp_path: Path) -> None:
    # The system would take 70000 for 4464.
    for option in ("--rest-port", "--grpc-port"):
        done = CliRunner().invoke(app, ["serve", str(tmp_path / "none"), option, "70000"])
        assert done.exit_code == 2
        assert option in done.output


def test_a_host_that_is_none_is_told_from_a_port(saved: Path) -> None:
    with pytest.raises(InputError, match=r"no\.such\.host.*--host"):
        ModelServer(settings_for(saved, host="no.such.host.invalid")).start()


def test_the_newest_version_that_loads_serves_at_start(saved: Path, tmp_path: Path) -> None:
    base = tmp_path / NAME
    copy_version(saved / "1", base, 1)
    (copy_version(saved / "2", base, 2) / "saved_model.pb").write_bytes(b"no")
    with (
        ModelServer(settings_for(base)) as server,
        connect(f"grpc://127.0.0.1:{server.grpc_port}", NAME) as one,
    ):
        assert [(state.version, state.state) for state in one.status()] == [(2, "END"), (1, "AVAILABLE")]
        assert one.metadata().version == 1


def test_a_process_serves_until_it_is_told_to_stop(saved: Path, tmp_path: Path) -> None:
    config = tmp_path / "models.config"
    config.write_text(
        f"""model_config_list {{ config {{
          name: "{NAME}" base_path: "{saved}" model_platform: "tensorflow"
          model_version_policy {{ specific {{ versions: 1 versions: 2 }} }}
          version_labels {{ key: "stable" value: 1 }}
        }} }}"""
    )
    words = ["serve", "--model-config-file", str(config), "--rest-port", "0", "--grpc-port", "0"]
    log = tmp_path / "log"
    with log.open("wb") as sink:
        process = subprocess.Popen(
            [sys.executable, "-m", "pipeline", *words], stderr=sink, stdout=sink, cwd=Path.cwd()
        )
    try:
        deadline = time.monotonic() + 120
        while "gRPC" not in log.read_text() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.1)
        text = log.read_text()
        rest = re.search(r"REST  (http://\S+)/v1", text)
        grpc = re.search(r"gRPC  (\S+), model", text)
        assert rest and grpc, text
        for url in (rest[1], f"grpc://{grpc[1]}"):
            with connect(url, NAME) as client:
                assert client.metadata().version == 2
                assert len(client.predict(ROWS)["click_probability"]) == 3
                assert client.metadata(Which(label="stable")).version == 1
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait(30) == 0
    finally:
        process.kill()
    assert "stopping" in log.read_text()
    assert "Traceback" not in log.read_text()
