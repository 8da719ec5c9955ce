"""HTTP that is slow, wordy, ambiguous or too large: closed or answered, and nobody else notices."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from pipeline.serving.http_server import _protocol
from pipeline.serving.server import ModelServer
from pipeline.serving.settings import Limits
from tests.pipeline.serving.conftest import ROWS, settings_for
from tests.pipeline.serving.models import NAME

LIMITS = Limits(request_bytes=1 << 20, buffered_bytes=3 << 20, receive_seconds=20.0)
PREDICT = f"POST /v1/models/{NAME}:predict HTTP/1.1\r\nHost: x\r\n".encode()
BODY = json.dumps({"inputs": ROWS}).encode()


@pytest.fixture(scope="module")
def server(pushed: Path) -> Iterator[ModelServer]:
    with ModelServer(settings_for(pushed, limits=LIMITS)) as server:
        yield server


def connect(server: ModelServer) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.rest_port or 0), timeout=20)


def answer(connection: socket.socket, method: str = "POST") -> tuple[int, bytes, bool]:
    """Status, body, and whether the connection is closed after it."""
    response = http.client.HTTPResponse(connection, method=method)
    response.begin()
    body = response.read()
    return response.status, body, response.will_close


def exchange(server: ModelServer, data: bytes) -> tuple[int, bytes, bool]:
    with closing(connect(server)) as connection:
        connection.sendall(data)
        return answer(connection)


def health(server: ModelServer) -> float:
    begun = time.monotonic()
    connection = http.client.HTTPConnection("127.0.0.1", server.rest_port, timeout=20)
    connection.request("GET", "/healthz")
    assert connection.getresponse().status == 200
    connection.close()
    return time.monotonic() - begun


def chunked(body: bytes, size: int) -> bytes:
    parts = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


def test_a_body_in_sensible_chunks_is_taken(server: ModelServer) -> None:
    for size in (16, 100, len(BODY)):
        status, body, _ = exchange(
            server, PREDICT + b"Transfer-Encoding: chunked\r\n\r\n" + chunked(BODY, size)
        )
        assert status == 200, body


def test_a_body_of_one_byte_chunks_ends_the_connection_and_health_answers(server: ModelServer) -> None:
    stop = threading.Event()
    refused: list[int] = []

    def attack() -> None:
        while not stop.is_set():
            with closing(connect(server)) as connection:
                try:
                    connection.sendall(PREDICT + b"Transfer-Encoding: chunked\r\n\r\n")
                    for _ in range(10_000):
                        connection.sendall(b"1\r\nx\r\n" * 100)
                except OSError:
                    refused.append(1)
                    continue
                status, _, closed = answer(connection)
                assert (status, closed) == (400, True)
                refused.append(1)

    threads = [threading.Thread(target=attack) for _ in range(4)]
    for thread in threads:
        thread.start()
    while len(refused) < 8:
        health(server)
    stop.set()
    for thread in threads:
        thread.join()
    assert exchange(server, PREDICT + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY)[0] == 200


@pytest.mark.parametrize(
    "framing",
    [
        b"1;" + b"x" * 60_000 + b"\r\n{\r\n" + b"0\r\n\r\n",
        b"1\r\n{\r\n0\r\n" + b"Trailer: x\r\n" * 8_000 + b"\r\n",
        b"1;a=b\r\n{\r\n" * 20_000,
    ],
    ids=["a long extension", "many trailers", "many extensions"],
)
def test_other_framing_without_a_body(server: ModelServer, framing: bytes) -> None:
    with closing(connect(server)) as connection:
        connection.sendall(PREDICT + b"Transfer-Encoding: chunked\r\n\r\n")
        time.sleep(0.2)
        try:
            connection.sendall(framing)
            status, _, closed = answer(connection)
        except OSError:
            return
        assert (status, closed) in ((400, True), (431, True))


class Transport(asyncio.Transport):
    """Takes note of what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written, self.closed = b"", False

    def write(self, data: Any) -> None:
        self.written += bytes(data)

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


@pytest.mark.parametrize(
    ("piece", "pieces", "closed"), [(1, 1_500, False), (1, 3_000, True), (500, 20_000, False)]
)
def test_a_body_in_tiny_pieces_of_the_network(piece: int, pieces: int, closed: bool) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        while (await receive())["type"] == "http.request":
            pass

    async def feed() -> tuple[bool, bytes]:
        config = uvicorn.Config(app, http=_protocol(LIMITS), ws="none", log_config=None)
        config.load()
        protocol, transport = config.http_protocol_class(config, ServerState(), {}), Transport()
        protocol.connection_made(transport)
        protocol.data_received(PREDICT + b"Content-Length: 1000000000\r\n\r\n")
        for _ in range(pieces):
            protocol.data_received(b"x" * piece)
            if transport.closed:
                break
        found = transport.closed, transport.written
        protocol.connection_lost(None)
        return found

    was_closed, written = asyncio.run(feed())
    assert was_closed == closed
    assert (b" 400 " in written) == closed


CL = b"Content-Length: %d\r\n" % len(BODY)
TE = b"Transfer-Encoding: chunked\r\n"


@pytest.mark.parametrize(
    "head",
    [
        CL + TE,
        TE + CL,
        CL + b"Transfer-Encoding: identity\r\n",
        CL + b"Content-Length: 5\r\n",
        b"Content-Length: +5\r\n",
        b"Content-Length: -5\r\n",
        b"Content-Length: 0x5\r\n",
        b"Content-Length: 5 5\r\n",
        b"Content-Length: 99999999999999999999999999\r\n",
        b"Transfer-Encoding: chunked, identity\r\n",
        b"Transfer-Encoding: xchunked\r\n",
        TE.replace(b": ", b" : "),
        b"X: a\x00b\r\n" + CL,
        b"X y: z\r\n" + CL,
        b"no colon\r\n" + CL,
    ],
)
def test_ambiguous_framing_is_refused_and_closed(server: ModelServer, head: bytes) -> None:
    smuggled = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    with closing(connect(server)) as connection:
        connection.sendall(PREDICT + head + b"\r\n" + chunked(BODY, 100) + smuggled)
        received = b""
        try:
            while part := connection.recv(65536):
                received += part
        except ConnectionResetError:
            pass
    assert received.startswith(b"HTTP/1.1 4"), received
    assert received.count(b"HTTP/1.1 ") == 1, received
    assert b"connection: close" in received.lower()


def test_headers_have_a_limit(server: ModelServer) -> None:
    for head in (b"X: " + b"y" * 70_000 + b"\r\n", b"X: y\r\n" * 30_000, b"Cookie: " + b"z" * 1_000_000):
        with closing(connect(server)) as connection:
            try:
                connection.sendall(PREDICT + head)
                assert answer(connection)[0] == 431
            except (BrokenPipeError, ConnectionResetError):
                pass
    with closing(connect(server)) as connection:
        connection.sendall(b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\n\r\n")
        assert answer(connection)[0] == 431


@pytest.mark.parametrize("framed", ["length", "chunks", "expect"])
def test_a_refused_body_is_read_to_its_end(server: ModelServer, framed: str) -> None:
    """A client that sends all before it reads finds the whole answer."""
    body = b"x" * (8 << 20)
    with closing(connect(server)) as connection:
        if framed == "chunks":
            connection.sendall(PREDICT + TE + b"\r\n" + chunked(body, 65_536))
        else:
            expect = b"Expect: 100-continue\r\n" if framed == "expect" else b""
            connection.sendall(PREDICT + expect + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        status, text, closed = answer(connection)
    assert (status, closed) == (413, True)
    assert str(LIMITS.request_bytes) in json.loads(text)["error"]


def test_a_body_for_which_there_is_no_room_is_read_too(server: ModelServer) -> None:
    held = [connect(server) for _ in range(3)]
    for one in held:
        one.sendall(PREDICT + b"Content-Length: %d\r\n\r\n{" % (1 << 20))
    time.sleep(0.3)
    status, text, closed = exchange(
        server, PREDICT + b"Content-Length: %d\r\n\r\n" % (1 << 20) + b"x" * (1 << 20)
    )
    assert (status, closed) == (503, True)
    assert "try again" in json.loads(text)["error"]
    for one in held:
        one.close()


def test_too_many_connections_get_their_503_in_full(pushed: Path) -> None:
    with ModelServer(settings_for(pushed, limits=Limits(connections=3, receive_seconds=5.0))) as server:
        idle = [connect(server) for _ in range(3)]
        time.sleep(0.3)
        big = PREDICT + b"Content-Length: %d\r\n\r\n" % (4 << 20) + b"x" * (4 << 20)
        status, text, closed = exchange(server, big)
        assert (status, closed) == (503, True)
        assert "connections" in json.loads(text)["error"]
        for one in idle:
            one.close()
        time.sleep(0.3)
        assert health(server) < 20


DIGITS = [
    "9" * 5_000,
    "9" * 20,
    "9223372036854775808",
    "\u0663",
    "\uff11",
    "\u00b2",
    "1_0",
    "+1",
    "-1",
    "0x1",
]


@pytest.mark.parametrize("version", DIGITS)
def test_versions_that_are_none(server: ModelServer, version: str) -> None:
    quoted = "".join(f"%{byte:02X}" for byte in version.encode()) if not version.isascii() else version
    for verb, tail in (("GET", ""), ("GET", "/metadata"), ("POST", ":predict")):
        head = f"{verb} /v1/models/{NAME}/versions/{quoted}{tail} HTTP/1.1\r\nHost: x\r\n".encode()
        status, body, _ = exchange(server, head + CL + b"\r\n" + BODY if verb == "POST" else head + b"\r\n")
        assert status == (404 if version.isdigit() else 400), body


def test_a_version_with_zeros_in_front(server: ModelServer) -> None:
    head = f"GET /v1/models/{NAME}/versions/{'0' * 5000}1 HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    assert exchange(server, head)[0] == 200


@pytest.mark.parametrize(
    ("number", "taken"),
    [
        ("1e400", False),
        ("-1e400", False),
        ("1" + "0" * 400 + ".0", False),
        ("0.001e403", False),
        ("1e99999999999999999999", False),
        ("1e39", False),
        ("-1e300", False),
        ("1" + "0" * 50, False),
        ("1e38", True),
        ("1e-400", True),
        ("0e400", True),
        ("Infinity", True),
        ("-Infinity", True),
        ("NaN", True),
    ],
)
def test_numbers_beyond_floats_are_refused(server: ModelServer, number: str, taken: bool) -> None:
    body = f'{{"inputs": {{"user_id": [1], "duration": [{number}], "tag": ["1e400"]}}}}'.encode()
    status, text, _ = exchange(server, PREDICT + b"Content-Length: %d\r\n\r\n" % len(body) + body)
    assert (status == 200) == taken, text
    if not taken:
        assert status == 400
