"""Beam's options: what each runner needs, and what is refused before anything starts."""

from __future__ import annotations

import http.server
import socket
import subprocess
import sys
import threading

import pytest
from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions, PortableOptions

from components.errors import InputError
from pipeline import beam_runner
from pipeline.beam_runner import beam_args, default_workers

FLINK = ("flink_master=localhost:8081", "environment_config=localhost:50000")
DATAFLOW = (
    "project=my-project",
    "region=europe-west1",
    "temp_location=gs://bucket/tmp",
    "sdk_container_image=registry/dfei@sha256:1",
)


@pytest.mark.parametrize(("cores", "workers"), [(1, 1), (2, 2), (3, 2), (4, 3), (8, 7), (64, 16)])
def test_workers_by_cores(cores: int, workers: int) -> None:
    assert default_workers(cores) == workers


def test_one_worker_stays_in_memory_and_several_are_processes() -> None:
    one = PipelineOptions(list(beam_args("direct", ["workers=1"]))).view_as(DirectOptions)
    assert (one.direct_running_mode, one.direct_num_workers) == ("in_memory", 1)
    many = PipelineOptions(list(beam_args("direct", ["workers=3"]))).view_as(DirectOptions)
    assert (many.direct_running_mode, many.direct_num_workers) == ("multi_processing", 3)


def test_beam_components_do_not_pack_tfx_for_workers_that_have_it() -> None:
    from tfx.utils import dependency_utils

    args = list(beam_args("direct"))
    assert dependency_utils.make_beam_dependency_flags(args) == args


@pytest.mark.parametrize(
    ("runner", "options", "words"),
    [
        ("ray", (), ("direct, flink, spark, dataflow",)),
        ("direct", ("workers=0",), ("workers=0", "number of processes")),
        ("direct", ("worker=2",), ("Did you mean workers?",)),
        ("flink", (), ("flink_master=... or job_endpoint=...", "environment_config=...")),
        ("flink", ("flink_master=localhost:8081",), ("environment_config=... or sdk_container_image=...",)),
        ("flink", ("flink_master=localhost", FLINK[1]), ("HOST:PORT",)),
        ("spark", ("spark_master_url=localhost:7077", FLINK[1]), ("spark://HOST:PORT",)),
        ("dataflow", DATAFLOW[:2], ("temp_location=...; sdk_container_image=...",)),
        ("dataflow", (*DATAFLOW[:2], "temp_location=/tmp", DATAFLOW[3]), ("temp_location=/tmp", "gs://")),
        ("dataflow", (*DATAFLOW, "zone"), ("NAME=VALUE",)),
    ],
)
def test_wrong_options_are_named(runner: str, options: tuple[str, ...], words: tuple[str, ...]) -> None:
    with pytest.raises(InputError) as caught:
        beam_args(runner, options, connect=False)
    for word in words:
        assert word in str(caught.value)


def test_an_address_where_nothing_answers_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beam_runner.shutil, "which", str)
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    with pytest.raises(InputError, match="nothing answers"):
        beam_args("flink", [f"flink_master=localhost:{port}", FLINK[1]])


def test_an_address_that_answers_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beam_runner.shutil, "which", str)
    with socket.create_server(("localhost", 0)) as server:
        master = f"localhost:{server.getsockname()[1]}"
        args = beam_args("flink", [f"flink_master={master}", FLINK[1], "parallelism=2"])
    assert args[0] == "--runner=FlinkRunner"
    assert f"--flink_master={master}" in args
    options = PipelineOptions(list(args)).view_as(PortableOptions)
    assert (options.environment_type, options.environment_config) == ("EXTERNAL", "localhost:50000")


def test_a_job_server_that_runs_is_used_instead_of_a_new_one() -> None:
    args = beam_args("spark", ["job_endpoint=localhost:8099", FLINK[1]], connect=False)
    assert args[0] == "--runner=PortableRunner"


def test_without_java_there_is_no_job_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beam_runner.shutil, "which", lambda name: None)
    with pytest.raises(InputError, match="job_endpoint=HOST:PORT"):
        beam_args("flink", FLINK, connect=False)
    beam_args("flink", ("job_endpoint=localhost:8099", FLINK[1]), connect=False)


def test_dataflow_gets_its_options() -> None:
    args = beam_args("dataflow", DATAFLOW)
    assert set(args) == {"--runner=DataflowRunner", *(f"--{option}" for option in DATAFLOW)}


def test_checking_options_imports_no_beam() -> None:
    code = "import sys, pipeline.beam_runner; sys.exit('apache_beam' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("engine", "master"), [("flink", "flink_master=h:1"), ("spark", "spark_master_url=spark://h:1")]
)
def test_a_job_may_take_longer_than_beams_minute(
    engine: str, master: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(beam_runner.shutil, "which", lambda name: f"/usr/bin/{name}")
    options = [master, "environment_config=h:2"]
    told = PipelineOptions(list(beam_args(engine, options, connect=False))).view_as(PortableOptions)
    assert told.job_server_timeout == 7 * 24 * 3600
    given = beam_args(engine, [*options, "job_server_timeout=90"], connect=False)
    assert "--job_server_timeout=90" in given
    assert not [arg for arg in beam_args("direct") if "job_server_timeout" in arg]


@pytest.mark.parametrize(
    ("answer", "parallelism"),
    [
        (b'{"slots-total": 8, "slots-available": 6}', {"6"}),
        (b'{"slots-available": 0}', set()),
        (b"<html>", set()),
    ],
)
def test_flink_gives_the_slots_that_are_free(
    answer: bytes, parallelism: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(beam_runner.shutil, "which", str)

    class Overview(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            assert self.path == "/overview"
            self.send_response(200)
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Overview) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        args = beam_args("flink", [f"flink_master=127.0.0.1:{server.server_port}", FLINK[1]])
        server.shutdown()
    assert {arg.partition("=")[2] for arg in args if arg.startswith("--parallelism")} == parallelism
