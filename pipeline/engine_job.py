"""A component whose Beam job runs on an engine: looked for before, watched, cancelled when the user stops, cleaned up.

Beam's portable runner waits a week for a job server that is dead, leaves the job running when it is interrupted, and
its job server's JVM, too. All of that is mended here, for whoever runs a Beam component on an engine.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import logging
import signal
import socket
import subprocess
import threading
import time
import types
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import apache_beam as beam
import grpc
from apache_beam.options.pipeline_options import (
    FlinkRunnerOptions,
    PipelineOptions,
    PortableOptions,
    StandardOptions,
)
from apache_beam.portability.api import beam_job_api_pb2_grpc
from apache_beam.runners.portability import job_server
from apache_beam.runners.runner import PipelineState
from apache_beam.runners.worker.channel_factory import GRPCChannelFactory
from apache_beam.utils import subprocess_server

from components import progress
from components.errors import EngineError
from pipeline.engine_failures import translate
from pipeline.local_workers import forked_workers

_LOG = logging.getLogger(__name__)
# How long an engine may take to answer before a component starts, and a job to end once it is cancelled.
WAIT_SECONDS, CANCEL_SECONDS = 120.0, 60.0
_POLL_SECONDS = 2.0
_PR_SET_PDEATHSIG = 1


def is_distributed(beam_args: Sequence[str]) -> bool:
    """Whether a job with these options runs on an engine, and not on this machine."""
    return _runs_elsewhere(PipelineOptions(list(beam_args)))


def _runs_elsewhere(options: PipelineOptions) -> bool:
    runner = options.view_as(StandardOptions).runner or ""
    return runner.lower() in ("flinkrunner", "sparkrunner", "dataflowrunner", "portablerunner")


@contextlib.contextmanager
def on_engine(beam_args: Sequence[str]) -> Iterator[None]:
    """Around the execution of a component; where its job runs on this machine, only its workers are seen to.

    Args:
      beam_args: Beam's options of the component.

    Raises:
      EngineError: the engine does not answer, or failed.
      InputError, GateError: what a worker raised.
      KeyboardInterrupt: the user stopped; the job is cancelled.
    """
    if not is_distributed(beam_args):
        with forked_workers(beam_args):
            yield
        return
    name, address = _engine(beam_args)
    if address:
        await_answer(name, address)
    jobs: list[Any] = []
    with _job_servers(), _recording(jobs):
        try:
            yield
        except KeyboardInterrupt:
            cancel(jobs, name)
            raise
        except Exception as error:
            # Nobody waits for what still runs: a library may have made another error of the user's interruption.
            cancel(jobs, name)
            found = translate(error, name)
            if found is error:
                raise
            raise found from error


def _engine(beam_args: Sequence[str]) -> tuple[str, str]:
    """The engine in words, and the address that has to answer before a job can start; empty: none of ours."""
    options = PipelineOptions(list(beam_args))
    endpoint = options.view_as(PortableOptions).job_endpoint
    if endpoint and endpoint != "embed":
        return f"the job server at {endpoint}", endpoint
    runner = options.view_as(StandardOptions).runner
    if str(runner).lower() == "flinkrunner":
        master = options.view_as(FlinkRunnerOptions).flink_master
        if not master.startswith("["):
            address = master.partition("//")[2] or master
            return f"Flink at {address}", address
    return str(runner).removesuffix("Runner"), ""


def await_answer(name: str, address: str, wait_seconds: float = WAIT_SECONDS) -> None:
    """Waits until somebody listens at an address, and says what for.

    Raises:
      EngineError: nobody did.
    """
    host, _, port = address.rpartition(":")
    end = time.monotonic() + wait_seconds
    while True:
        try:
            socket.create_connection((host, int(port)), _POLL_SECONDS).close()
            return
        except OSError as error:
            left = end - time.monotonic()
            if left <= 0:
                raise EngineError(
                    f"{name} has not answered for {wait_seconds:.0f} s ({error}). Start it, and give the same command "
                    "again: what finished before is kept"
                ) from None
            _LOG.warning("%s does not answer (%s): waiting %.0f s more", name, error, left)
            progress.report(
                progress.Progress(f"waiting for {name}", round(wait_seconds - left), round(wait_seconds), "s")
            )
            time.sleep(min(_POLL_SECONDS, max(left, 0.1)))


@contextlib.contextmanager
def _recording(jobs: list[Any]) -> Iterator[None]:
    """Adds every job that is started in the block on an engine."""
    original = beam.Pipeline.run

    def run(self: beam.Pipeline, *args: Any, **kwargs: Any) -> Any:
        if not _runs_elsewhere(self.options):
            return original(self, *args, **kwargs)
        with _interruptions_later():
            result = original(self, *args, **kwargs)
            jobs.append(result)
        return result

    with _replaced(beam.Pipeline, "run", run):
        yield


@contextlib.contextmanager
def _interruptions_later() -> Iterator[None]:
    """A first SIGINT or SIGTERM in the block is heard at its end: a job that is being started has no name yet."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    handlers: dict[int, Any] = {number: signal.getsignal(number) for number in numbers}
    heard: list[tuple[int, Any]] = []

    def later(number: int, frame: Any) -> None:
        heard.append((number, frame))
        if len(heard) > 1 and callable(handlers[number]):
            handlers[number](number, frame)

    def put(chosen: Callable[[int], Any]) -> None:
        for number in numbers:
            if chosen(number) is not None:
                signal.signal(number, chosen(number))

    put(lambda number: later)
    try:
        yield
    finally:
        # Also in place of Beam's own, which only stops its job server.
        put(handlers.get)
        if heard:
            signal.raise_signal(heard[0][0])


def cancel(jobs: Sequence[Any], name: str, wait_seconds: float = CANCEL_SECONDS) -> None:
    """Cancels what still runs, waits until the engine says so, and tells the user.

    Args:
      jobs: results that Beam gave when the jobs were started.
      name: the engine in words.
      wait_seconds: how long.
    """
    for job in jobs:
        states: list[str] = []

        def end(job: Any = job, states: list[str] = states) -> None:
            try:
                if PipelineState.is_terminal(job.state):
                    states.append("over")
                    return
                progress.report(progress.Progress(f"cancelling the job on {name}", 0, None, ""))
                job.cancel()
                while not PipelineState.is_terminal(job.state):
                    time.sleep(0.2)
                states.append("cancelled")
            except Exception as error:
                _LOG.warning("cancelling: %s", error)

        waiting = threading.Thread(target=end, daemon=True)
        waiting.start()
        waiting.join(wait_seconds)
        if not states:
            progress.note(f"{name} did not confirm that the job is over: look there whether it still runs")
        elif states == ["cancelled"]:
            progress.note(f"the job on {name} is cancelled")


@contextlib.contextmanager
def _job_servers() -> Iterator[None]:
    """Job servers that Beam starts in the block end with it, and with this process; waiting for one ends in time."""
    started: list[job_server.StopOnExitJobServer] = []
    start = job_server.StopOnExitJobServer.start

    def recorded(self: job_server.StopOnExitJobServer) -> Any:
        started.append(self)
        return start(self)

    def connect(self: job_server.ExternalJobServer) -> Any:
        # Beam's own has no keep-alive: a machine that is gone would be waited for as long as the job may take.
        channel = GRPCChannelFactory.insecure_channel(self._endpoint)
        try:
            grpc.channel_ready_future(channel).result(timeout=WAIT_SECONDS)
        except grpc.FutureTimeoutError:
            raise EngineError(
                f"the job server at {self._endpoint} listens but has not spoken for {WAIT_SECONDS:.0f} s: start it "
                "anew, and give the same command again"
            ) from None
        return beam_job_api_pb2_grpc.JobServiceStub(channel)

    with (
        _replaced(job_server.StopOnExitJobServer, "start", recorded),
        _replaced(job_server.ExternalJobServer, "start", connect),
        _replaced(subprocess_server, "subprocess", _mortal()),
    ):
        try:
            yield
        finally:
            for server in started:
                with contextlib.suppress(Exception):
                    server.stop()


@contextlib.contextmanager
def _replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    """Something of Beam's is another in the block."""
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


def _mortal() -> types.ModuleType:
    """The module `subprocess`, whose processes end with this one, however it ends, and do not hear Ctrl-C before it."""
    module = types.ModuleType(subprocess.__name__)
    vars(module).update(vars(subprocess))
    vars(module)["Popen"] = functools.partial(
        subprocess.Popen, preexec_fn=_end_with_parent, start_new_session=True
    )
    return module


def _end_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
