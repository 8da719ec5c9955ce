"""A worker pool: starts Beam's SDK harnesses for engines that ask for them, as a side-car of their task managers.

    python -m pipeline.worker_pool --port 50000

Engines number their harnesses each for itself, so two task managers may both call theirs "1-1": a harness is known by
its id and the engine's control endpoint. It ends when its control channel closes, be it that the engine is done with
it or was killed; what an engine says of an id ends none, for it may be another's.
"""

from __future__ import annotations

import argparse
import functools
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

import grpc
from apache_beam.portability.api import beam_fn_api_pb2, beam_fn_api_pb2_grpc
from apache_beam.utils import thread_pool_executor

from pipeline.harness import PRELOADED

_LOG = logging.getLogger("dfei.worker_pool")
PORT, MOST, WAIT_SECONDS = 50000, 16, 60.0
# The imports of the first harness come before it.
_START_SECONDS = 180.0


class PoolError(Exception):
    """A harness cannot be started; the engine is told why."""


@dataclass
class _Harness:
    name: str
    control: str
    process: int | None = None
    ready: threading.Event = field(default_factory=threading.Event)

    def __str__(self) -> str:
        return f"harness {self.name} of {self.control}"


class Harnesses:
    """The harnesses of a pool, by id and control endpoint.

    Args:
      most: how many run at a time.
      wait_seconds: how long one more waits for another to end.
      preloaded: modules that are imported once for all.
      lost: called when the process that harnesses are forked from is gone; by default this one ends, too.
      killed: called when a harness was ended by a signal, which most engines see for themselves.
    """

    def __init__(
        self,
        most: int = MOST,
        wait_seconds: float = WAIT_SECONDS,
        preloaded: Sequence[str] = PRELOADED,
        lost: Callable[[], None] | None = None,
        killed: Callable[[], None] | None = None,
    ) -> None:
        self._killed = killed
        self._lost = lost or functools.partial(os._exit, 1)
        self._most, self._wait_seconds = most, wait_seconds
        self._known: dict[tuple[str, str], _Harness] = {}
        self._numbers: dict[int, _Harness] = {}
        self._count = 0
        self._changed = threading.Condition()
        self._closing = False
        ours, theirs = socket.socketpair()
        command = [sys.executable, "-m", "pipeline.harness", str(theirs.fileno()), *preloaded]
        with theirs:
            self._parent = subprocess.Popen(command, pass_fds=[theirs.fileno()])
        self._socket = ours
        threading.Thread(target=self._listen, daemon=True).start()

    @property
    def running(self) -> dict[tuple[str, str], int | None]:
        """Process ids by worker id and control endpoint."""
        with self._changed:
            return {key: harness.process for key, harness in self._known.items()}

    def start(self, name: str, control: str, log: str, provision: str) -> None:
        """Starts a harness; one that runs already is left alone.

        Args:
          name: the engine's id of it.
          control, log, provision: addresses of the engine's services; the last two may be empty.

        Raises:
          PoolError: as many run as may, or the process that they are forked from is gone.
        """
        with self._changed:
            if (name, control) not in self._known:
                self._wait_for_room()
            harness = self._known.get((name, control))
            if harness is None:
                harness = self._known[name, control] = _Harness(name, control)
                self._count += 1
                self._numbers[self._count] = harness
                request = {"number": self._count, "worker_id": name, "control": control}
                request |= {"logging": log, "provision": provision}
                self._socket.sendall(json.dumps(request).encode() + b"\n")
        if not harness.ready.wait(_START_SECONDS) or self._closing:
            raise PoolError(f"{harness} did not start within {_START_SECONDS:.0f} s")

    def _wait_for_room(self) -> None:
        if self._closing:
            raise PoolError("the worker pool has ended")
        if not self._changed.wait_for(lambda: len(self._known) < self._most, self._wait_seconds):
            raise PoolError(
                f"{self._most} harnesses run already, and none ended within {self._wait_seconds:.0f} s: give the "
                "pool more (--most) if its machine has the memory, or the job less parallelism"
            )

    @property
    def parent(self) -> int:
        """The process that harnesses are forked from."""
        return self._parent.pid

    def await_idle(self, wait_seconds: float) -> bool:
        """Waits until none runs; whether that came about."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._known, wait_seconds)

    def close(self) -> None:
        """Ends every harness."""
        self._closing = True
        self._socket.close()
        self._parent.kill()  # the harnesses end with the process they are forks of
        self._parent.wait()

    def _listen(self) -> None:
        try:
            with self._socket.makefile("rb") as lines:
                for line in lines:
                    self._hear(json.loads(line))
        except OSError:
            pass
        if not self._closing:
            _LOG.error("the process that harnesses are forked from is gone: no more of them")
            self._lost()

    def _hear(self, message: dict[str, int]) -> None:
        with self._changed:
            if "started" in message:
                harness = self._numbers.pop(message["started"])
                harness.process = message["process"]
                harness.ready.set()
                _LOG.info("%s: process %d, %d running", harness, harness.process, len(self._known))
                return
            for key, harness in list(self._known.items()):
                if harness.process == message["ended"]:
                    del self._known[key]
                    _LOG.info("%s ended with %d, %d running", harness, message["code"], len(self._known))
            self._changed.notify_all()
        if message["code"] < 0 and self._killed is not None:
            self._killed()


class _Service(beam_fn_api_pb2_grpc.BeamFnExternalWorkerPoolServicer):
    def __init__(self, harnesses: Harnesses) -> None:
        self._harnesses = harnesses

    def StartWorker(self, request: Any, context: Any) -> Any:  # noqa: N802 - the name is Beam's
        try:
            self._harnesses.start(
                request.worker_id,
                request.control_endpoint.url,
                request.logging_endpoint.url,
                request.provision_endpoint.url,
            )
        except (PoolError, OSError) as error:
            _LOG.error("%s", error)
            return beam_fn_api_pb2.StartWorkerResponse(error=str(error))
        return beam_fn_api_pb2.StartWorkerResponse()

    def StopWorker(self, request: Any, context: Any) -> Any:  # noqa: N802
        # Which engine asks is not said: see above.
        _LOG.info("an engine is done with a harness %s", request.worker_id)
        return beam_fn_api_pb2.StopWorkerResponse()


def serve(harnesses: Harnesses, host: str, port: int) -> tuple[grpc.Server, int]:
    """Starts the service; returns it with its port."""
    options = [
        ("grpc.http2.max_pings_without_data", 0),
        ("grpc.http2.max_ping_strikes", 0),
        ("grpc.so_reuseport", 0),
    ]
    server = grpc.server(thread_pool_executor.shared_unbounded_instance(), options=options)
    beam_fn_api_pb2_grpc.add_BeamFnExternalWorkerPoolServicer_to_server(_Service(harnesses), server)
    bound = server.add_insecure_port(f"{host}:{port}")
    server.start()
    return server, bound


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line's options."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.worker_pool", description=__doc__)
    parser.add_argument("--port", type=int, default=PORT, help=f"default {PORT}")
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen at; default this machine's own"
    )
    parser.add_argument("--most", type=int, default=MOST, help=f"harnesses at a time; default {MOST}")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Serves until SIGTERM or SIGINT; the harnesses end with it."""
    given = parse(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os._exit(0))
    harnesses = Harnesses(given.most)
    try:
        _, port = serve(harnesses, given.host, given.port)
    except RuntimeError as error:
        harnesses.close()
        sys.stderr.write(f"error: {given.host}:{given.port}: {error}; give another --port\n")
        os._exit(2)
    _LOG.info("worker pool at %s:%d, %d harnesses at most", given.host, port, given.most)
    while True:
        time.sleep(3600)


if __name__ == "__main__":
    main()
