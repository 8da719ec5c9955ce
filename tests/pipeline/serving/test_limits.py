"""What a server refuses, with which status: too large, too many, too late, too slow, and while it stops."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from pipeline.client import NO_RETRIES, CallError, Code, connect
from pipeline.client.client import ServingClient
from pipeline.serving.runners import Runner
from pipeline.serving.server import ModelServer
from pipeline.serving.settings import Limits
from tests.pipeline.serving.conftest import ROWS, settings_for
from tests.pipeline.serving.models import NAME, expected

LIMITS = Limits(
    request_bytes=1 << 20,
    buffered_bytes=3 << 20,
    running=1,
    waiting=1,
    rest_seconds=1.0,
    receive_seconds=0.5,
    send_seconds=0.5,
)


class Gate:
    """A runner that holds requests back while it is shut."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self.open = threading.Event()
        self.open.set()
        self.held = 0

    def run(self, *arguments: Any) -> dict[str, np.ndarray]:
        self.held += not self.open.is_set()
        self.open.wait(20)
        return self._runner.run(*arguments)

    def stop(self) -> None:
        self._runner.stop()


@pytest.fixture(scope="module")
def small(saved: Path) -> Iterator[ModelServer]:
    with ModelServer(settings_for(saved, limits=LIMITS)) as server:
        yield server


@pytest.fixture
def gate(small: ModelServer) -> Iterator[Gate]:
    """Shut until the test opens it."""
    original = small.engine._runner
    gate = Gate(original)
    gate.open.clear()
    small.engine._runner = gate
    yield gate
    gate.open.set()
    wait_for(lambda: small.engine.admission.inside == 0)
    small.engine._runner = original


def wait_for(condition: Any, seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def client(server: ModelServer, protocol: str, timeout: float = 10.0) -> ServingClient:
    port = server.grpc_port if protocol == "grpc" else server.rest_port
    return connect(f"{protocol}://127.0.0.1:{port}", NAME, timeout, NO_RETRIES)


def code_of(call: Any) -> Code:
    with pytest.raises(CallError) as caught:
        call()
    return caught.value.code


def raw(server: ModelServer, head: bytes, seconds: float = 10.0) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", server.rest_port or 0), timeout=seconds)
    connection.sendall(head)
    return connection


def read_status(connection: socket.socket) -> int:
    response = http.client.HTTPResponse(connection)
    response.begin()
    return response.status


HEAD = f"POST /v1/models/{NAME}:predict HTTP/1.1\r\nHost: x\r\n".encode()


def test_a_full_server_refuses_at_once(small: ModelServer, gate: Gate) -> None:
    with ThreadPoolExecutor(2) as pool, client(small, "grpc") as one, client(small, "http") as two:
        two.metadata()
        waiting = [pool.submit(one.predict, ROWS) for _ in range(2)]
        wait_for(lambda: small.engine.admission.inside == 2)
        begun = time.monotonic()
        assert code_of(lambda: one.predict(ROWS)) == Code.RESOURCE_EXHAUSTED
        assert code_of(lambda: two.predict(ROWS)) == Code.RESOURCE_EXHAUSTED
        assert time.monotonic() - begun < 1.0
        assert [state.state for state in one.status()] == ["AVAILABLE"]
        gate.open.set()
        for answer in waiting:
            np.testing.assert_allclose(answer.result()["click_probability"], expected(ROWS, 1.0), rtol=1e-5)


def test_a_full_server_answers_429(small: ModelServer, gate: Gate) -> None:
    with ThreadPoolExecutor(2) as pool, client(small, "grpc") as one:
        waiting = [pool.submit(one.predict, ROWS) for _ in range(2)]
        wait_for(lambda: small.engine.admission.inside == 2)
        body = json.dumps({"inputs": ROWS}).encode()
        connection = raw(small, HEAD + b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
        assert read_status(connection) == 429
        gate.open.set()
        assert len([answer.result() for answer in waiting]) == 2


def test_deadlines(small: ModelServer, gate: Gate) -> None:
    with client(small, "grpc", timeout=0.3) as one, client(small, "http", timeout=10) as two:
        two.metadata()
        assert code_of(lambda: one.predict(ROWS)) == Code.DEADLINE_EXCEEDED
        begun = time.monotonic()
        assert code_of(lambda: two.predict(ROWS)) == Code.DEADLINE_EXCEEDED
        assert 0.9 < time.monotonic() - begun < 3.0


def test_a_declared_size_above_the_limit_is_refused_unread(small: ModelServer) -> None:
    connection = raw(small, HEAD + b"Content-Length: 1000000000\r\n\r\n")
    assert read_status(connection) == 413


def test_a_client_that_sends_a_gigabyte_reads_the_refusal(small: ModelServer) -> None:
    memory = psutil.Process().memory_info().rss
    connection = raw(small, HEAD + b"Content-Length: 1000000000\r\n\r\n")
    sent, part = 0, b"x" * 65536
    with pytest.raises(OSError):
        while sent < 1_000_000_000:
            sent += connection.send(part)
            if sent == len(part):
                assert read_status(connection) == 413
                time.sleep(2.5)
    assert sent < 500_000_000
    assert psutil.Process().memory_info().rss - memory < 100 << 20


def test_a_chunked_body_above_the_limit_is_cut_off(small: ModelServer) -> None:
    connection = raw(small, HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
    for _ in range(20):
        connection.sendall(b"10000\r\n" + b"x" * 65536 + b"\r\n")
    assert read_status(connection) == 413


def test_bodies_together_are_limited(small: ModelServer) -> None:
    head = HEAD + b"Content-Length: 1048576\r\n\r\n{"
    arriving = [raw(small, head) for _ in range(3)]
    time.sleep(0.2)
    connection = raw(small, head)
    assert read_status(connection) == 503
    for one in arriving:
        assert read_status(one) == 408


def test_a_large_grpc_message_is_refused(small: ModelServer) -> None:
    with client(small, "grpc") as one:
        rows = {**ROWS, "duration": np.zeros(1 << 19, np.float32)}
        assert code_of(lambda: one.predict(rows)) == Code.RESOURCE_EXHAUSTED
        assert len(one.predict(ROWS)["click_probability"]) == 3


def test_slow_clients_are_let_go_while_others_are_served(small: ModelServer) -> None:
    slow = [
        raw(small, b"POST /v1/models/clicks:pre"),
        raw(small, b""),
        raw(small, HEAD),
        raw(small, HEAD + b'Content-Length: 100\r\n\r\n{"inp'),
    ]
    with client(small, "http") as one:
        assert len(one.predict(ROWS)["click_probability"]) == 3
    begun = time.monotonic()
    assert [one.recv(1) for one in slow[:3]] == [b"", b"", b""]
    assert read_status(slow[3]) == 408
    assert time.monotonic() - begun < 5.0


def test_a_client_that_dribbles_is_let_go(small: ModelServer) -> None:
    connection = raw(small, HEAD + b"Content-Length: 100\r\n\r\n")
    status = 0
    begun = time.monotonic()
    connection.settimeout(0.05)
    while not status and time.monotonic() - begun < 5.0:
        connection.send(b"x")
        try:
            status = int(connection.recv(12).split()[1])
        except TimeoutError:
            continue
    assert status == 408


def test_stopping_finishes_what_is_under_way_and_refuses_the_rest(saved: Path) -> None:
    server = ModelServer(settings_for(saved, limits=LIMITS))
    server.start()
    gate = Gate(server.engine._runner)
    gate.open.clear()
    server.engine._runner = gate
    with ThreadPoolExecutor(2) as pool, client(server, "grpc") as one, client(server, "http") as two:
        under_way = pool.submit(one.predict, ROWS)
        wait_for(lambda: gate.held == 1)
        stopping = pool.submit(server.stop)
        wait_for(lambda: not server.engine.admission.is_open)
        assert not server.engine.ready
        assert code_of(lambda: two.predict(ROWS)) == Code.UNAVAILABLE
        gate.open.set()
        np.testing.assert_allclose(under_way.result()["click_probability"], expected(ROWS, 1.0), rtol=1e-5)
        stopping.result()
        assert code_of(lambda: one.predict(ROWS)) == Code.UNAVAILABLE
