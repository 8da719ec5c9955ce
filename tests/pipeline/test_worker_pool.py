"""The worker pool, asked by two engines that call their harnesses the same, as Flink's task managers do."""

from __future__ import annotations

import contextlib
import os
import queue
import threading
import time
from collections.abc import Callable, Iterator
from concurrent import futures
from typing import Any

import grpc
from apache_beam.portability.api import beam_fn_api_pb2, beam_fn_api_pb2_grpc

from pipeline import worker_pool

MOST = 2
SAME = "1-1"


class Engine(beam_fn_api_pb2_grpc.BeamFnControlServicer, beam_fn_api_pb2_grpc.BeamFnLoggingServicer):
    """One task manager: the services that a harness connects to."""

    def __init__(self, pool: str) -> None:
        self._pool = beam_fn_api_pb2_grpc.BeamFnExternalWorkerPoolStub(grpc.insecure_channel(pool))
        self._server = grpc.server(futures.ThreadPoolExecutor(8))
        beam_fn_api_pb2_grpc.add_BeamFnControlServicer_to_server(self, self._server)
        beam_fn_api_pb2_grpc.add_BeamFnLoggingServicer_to_server(self, self._server)
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()
        self._requests: queue.Queue[Any] = queue.Queue()
        self.answers: queue.Queue[Any] = queue.Queue()
        self.logged: list[str] = []

    def Control(self, responses: Iterator[Any], context: Any) -> Iterator[Any]:  # noqa: N802
        def listen() -> None:
            with contextlib.suppress(grpc.RpcError):
                for response in responses:
                    self.answers.put(response)

        threading.Thread(target=listen, daemon=True).start()
        yield from iter(self._requests.get, None)

    def Logging(self, entries: Iterator[Any], context: Any) -> Iterator[Any]:  # noqa: N802
        for batch in entries:
            self.logged += [entry.message for entry in batch.log_entries]
        yield from ()

    def start(self, name: str = SAME) -> str:
        """Asks for a harness; returns the pool's complaint."""
        end = {"url": self.address}
        request = {"worker_id": name, "control_endpoint": end, "logging_endpoint": end}
        return self._pool.StartWorker(beam_fn_api_pb2.StartWorkerRequest(**request), timeout=120).error

    def ask(self) -> str:
        """Has the harness do something; returns which instruction it did."""
        number = f"instruction-{time.monotonic_ns()}"
        asked = beam_fn_api_pb2.HarnessMonitoringInfosRequest()
        self._requests.put(
            beam_fn_api_pb2.InstructionRequest(instruction_id=number, harness_monitoring_infos=asked)
        )
        assert self.answers.get(timeout=60).instruction_id == number
        return number

    def finish(self, name: str = SAME) -> None:
        """What Flink does with a harness that it needs no more: closes its channel, then says so to the pool."""
        self._requests.put(None)
        self._pool.StopWorker(beam_fn_api_pb2.StopWorkerRequest(worker_id=name), timeout=60)

    def die(self) -> None:
        """Is killed: says nothing to anybody."""
        self._server.stop(0)
        self._requests.put(None)


def eventually(true: Callable[[], bool]) -> bool:
    end = time.monotonic() + 60
    while not true() and time.monotonic() < end:
        time.sleep(0.1)
    return true()


def alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def test_two_engines_that_call_their_harnesses_the_same() -> None:
    harnesses = worker_pool.Harnesses(MOST, 0.5, ["apache_beam.runners.worker.sdk_worker_main"])
    server, port = worker_pool.serve(harnesses, "127.0.0.1", 0)
    first, second, third = (Engine(f"127.0.0.1:{port}") for _ in range(3))
    try:
        assert first.start() == second.start() == ""
        for engine in (first, second):
            engine.ask()
            assert eventually(lambda engine=engine: any(engine.address in text for text in engine.logged))
        processes = {control: process for (_, control), process in harnesses.running.items()}
        assert set(processes) == {first.address, second.address}
        # The engine asks again when the answer was lost.
        assert first.start() == "" and len(harnesses.running) == MOST

        refused = third.start()
        assert "2 harnesses run already" in refused and "--most" in refused

        first.finish()
        assert eventually(lambda: not alive(processes[first.address]))
        second.ask()
        # What Flink says late is of a harness that is gone; the other's goes on.
        first.finish()
        second.ask()
        assert eventually(lambda: len(harnesses.running) == 1)

        assert third.start() == ""
        third.ask()
        [left] = {control for _, control in harnesses.running} - {second.address}
        assert left == third.address

        second.die()
        assert eventually(lambda: not alive(processes[second.address]))
        [last] = harnesses.running.values()
    finally:
        for engine in (first, second, third):
            engine.die()
        server.stop(0)
        harnesses.close()
    assert last is not None and eventually(lambda: not alive(last))
