"""A component on an engine that is away, fails, or is told to stop: a job service of the test's own is the engine."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import apache_beam as beam
import pytest
from apache_beam.portability.api import beam_job_api_pb2
from apache_beam.runners.portability import local_job_service
from apache_beam.utils import subprocess_server

from components import progress
from components.errors import EngineError, GateError, InputError
from pipeline import engine_job
from pipeline.beam_runner import beam_args
from pipeline.engine_failures import translate
from pipeline.failures import explain
from tests.models.test_replicas import free_ports

FAILED = "RuntimeError: Pipeline job-1 failed in state FAILED: "


class Job(local_job_service.BeamJob):
    """Runs until it is cancelled, unless it is to fail with some words."""

    words = ""
    running = threading.Event()
    cancelled = threading.Event()

    def _invoke_runner(self) -> None:
        self.set_state(beam_job_api_pb2.JobState.RUNNING)
        if self.words:
            raise RuntimeError(self.words)
        self.running.set()
        self.cancelled.wait(60)
        raise RuntimeError("over")

    def cancel(self) -> None:
        """As Flink: the state follows a while after the answer."""
        self.cancelled.set()
        threading.Timer(0.5, lambda: self.set_state(beam_job_api_pb2.JobState.CANCELLED)).start()


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Beam's options for it."""
    for event in ("running", "cancelled"):
        monkeypatch.setattr(Job, event, threading.Event())
    servicer = local_job_service.LocalJobServicer(str(tmp_path / "staged"), beam_job_type=Job)
    port = servicer.start_grpc_server(0)
    yield list(beam_args("flink", [f"job_endpoint=localhost:{port}", "environment_config=localhost:1"]))
    Job.cancelled.set()
    servicer.stop()


def component(args: list[str]) -> None:
    with beam.Pipeline(argv=args) as pipeline:
        _ = pipeline | beam.Create([1]) | beam.Map(print)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_who_stops_the_command_stops_the_job(engine: list[str], number: int) -> None:
    notes: list[str] = []
    before = {n: signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)}

    def stop() -> None:
        assert Job.running.wait(60)
        time.sleep(0.5)
        os.kill(os.getpid(), number)

    try:
        for n in before:
            signal.signal(n, signal.default_int_handler)
        threading.Thread(target=stop).start()
        with (
            progress.listening(lambda report: None, notes.append),
            pytest.raises(KeyboardInterrupt),
            engine_job.on_engine(engine),
        ):
            component(engine)
    finally:
        for n, handler in before.items():
            signal.signal(n, handler)
    assert Job.cancelled.is_set()
    assert notes and "is cancelled" in notes[-1] and "localhost" in notes[-1]


def test_a_lost_task_manager_has_an_exit_code_and_words(
    engine: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = "TaskManager with id localhost:1234-5 is no longer reachable.\nRecovery is suppressed by NoRestart"
    monkeypatch.setattr(Job, "words", lost)
    with pytest.raises(EngineError) as caught, engine_job.on_engine(engine):
        component(engine)
    message, code = explain(caught.value) or ("", 0)
    assert code == 4
    assert "a task manager was lost" in message and "restart-strategy" in message
    assert "the same command goes on" in message
    assert not Job.cancelled.is_set()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "java.io.IOException: Insufficient number of network buffers: required 2",
            "taskmanager.memory.network",
        ),
        ("Record too large: it does not fit", "memory.managed.size"),
        ("NoResourceAvailableException: Could not acquire the minimum required resources.", "parallelism"),
        ("RemoteTransportException: Connection unexpectedly closed by remote task manager 'a'", "restart"),
        ("io.grpc.StatusRuntimeException: CANCELLED: client cancelled", "pipeline.worker_pool"),
        ("Error starting worker: 16 harnesses run already, and none ended", "--most"),
        ("java.lang.OutOfMemoryError: Java heap space", "heap.size"),
        ("Caused by: java.lang.IllegalStateException: what nobody knows", "what nobody knows"),
    ],
)
def test_engines_failures_are_told_with_what_helps(text: str, words: str) -> None:
    found = translate(RuntimeError(FAILED + text), "Flink at a:8081")
    assert isinstance(found, EngineError)
    assert words in str(found) and "Flink at a:8081" in str(found)


def test_what_a_worker_found_is_told_as_it_is() -> None:
    trace = (
        FAILED
        + "Traceback (most recent call last):\n  File x\ncomponents.errors.InputError: log.csv: no column"
    )
    found = translate(RuntimeError(trace + " [while running 'Build']\n\nat java.base"), "Flink")
    assert isinstance(found, InputError) and str(found) == "log.csv: no column"
    assert isinstance(translate(GateError("no"), "Flink"), GateError)


def test_a_defect_of_ours_stays_one() -> None:
    error = RuntimeError(FAILED + 'Traceback (most recent call last):\n  File "a.py"\nKeyError: 7')
    assert translate(error, "Flink") is error


def test_an_engine_that_is_away_is_waited_for_and_then_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_job, "_POLL_SECONDS", 0.1)
    [port] = free_ports(1)
    reports: list[progress.Progress] = []
    with progress.listening(reports.append):
        with pytest.raises(EngineError, match=f"localhost:{port} has not answered for 0 s"):
            engine_job.await_answer(f"the job server at localhost:{port}", f"localhost:{port}", 0.3)
        assert any("waiting for the job server" in report.step for report in reports)
        late = threading.Timer(0.5, lambda: listening.append(socket.create_server(("localhost", port))))
        listening: list[socket.socket] = []
        late.start()
        engine_job.await_answer("it", f"localhost:{port}", 30)
    listening[0].close()


def test_the_job_service_dies_while_the_job_runs(engine: list[str]) -> None:
    """Beam's own wait for the job may last a week, its wait for the connection may not."""
    [port] = free_ports(1)
    away = [f"--job_endpoint=localhost:{port}" if "job_endpoint" in arg else arg for arg in engine]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(engine_job, "await_answer", lambda *_: None)
        patched.setattr(engine_job, "WAIT_SECONDS", 0.5)
        with pytest.raises(EngineError, match="has not spoken"), engine_job.on_engine(away):
            component(away)


def test_nothing_happens_on_this_machine() -> None:
    args = list(beam_args("direct", ["workers=1"]))
    with engine_job.on_engine(args):
        component(args)
    with pytest.raises(RuntimeError, match="client cancelled"), engine_job.on_engine(args):
        raise RuntimeError("client cancelled")


JVM = """#!{python}
import os, signal, sys
from pathlib import Path
from apache_beam.runners.portability import local_job_service
Path({pid!r}).write_text(str(os.getpid()))
port = int(sys.argv[sys.argv.index("--job-port") + 1])
class Done:
    state = "DONE"
    wait_until_finish = monitoring_infos = lambda self: []
class Job(local_job_service.BeamJob):
    def _invoke_runner(self):
        return Done()
local_job_service.LocalJobServicer(beam_job_type=Job).start_grpc_server(port)
signal.pause()
"""


def test_the_job_servers_jvm_ends_with_its_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pid, java, jar = tmp_path / "pid", tmp_path / "java", tmp_path / "server.jar"
    before = signal.getsignal(signal.SIGINT)
    java.write_text(JVM.format(python=sys.executable, pid=str(pid)))
    java.chmod(0o755)
    jar.write_text("")
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    with socket.create_server(("127.0.0.1", 0)) as master:
        flink = [
            f"flink_master=127.0.0.1:{master.getsockname()[1]}",
            "environment_config=localhost:1",
            "parallelism=1",
        ]
        args = list(beam_args("flink", [*flink, f"flink_job_server_jar={jar}"]))
        with engine_job.on_engine(args):
            component(args)
            assert signal.getsignal(signal.SIGINT) is before
            jvm = int(pid.read_text())
            os.kill(jvm, 0)
            assert os.getpgid(jvm) != os.getpgid(0)
    with pytest.raises(ProcessLookupError):
        os.kill(jvm, 0)
    assert subprocess_server.subprocess.Popen is engine_job.subprocess.Popen
