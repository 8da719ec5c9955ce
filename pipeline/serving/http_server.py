"""The HTTP server: uvicorn on a thread of its own, with limits for slow, wordy and broken clients.

Requests are parsed by httptools, in C: with a parser in Python, four clients that sent a body in chunks of one byte
kept the only event loop busy.
"""

from __future__ import annotations

import asyncio
import http
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from components.errors import InputError
from pipeline.serving import json_answers
from pipeline.serving.refused_body import RefusedBody
from pipeline.serving.settings import Limits

_KEEP_ALIVE_SECONDS = 60
_HEADER_BYTES = 64 << 10
# What chunk sizes, their extensions and trailers may take, beside so many times the payload.
_FRAMING_BYTES, _FRAMING_SHARE = 16 << 10, 2
# A request may arrive in so many pieces of the network, beside one for so many bytes.
_PIECES, _BYTES_OF_A_PIECE = 2000, 256


class HttpServer:
    """Runs an application.

    Args:
      app: the application.
      listener: where it listens; closed when the server stops.
      limits: of connections and times.
      drain_seconds: for requests under way when it stops.
      certificate: PEM files of the certificate chain and its key; `None` for no TLS.

    Raises:
      InputError: there is no such certificate or key, or they do not belong together.
    """

    def __init__(
        self,
        app: ASGIApp,
        listener: socket.socket,
        limits: Limits,
        drain_seconds: float,
        certificate: tuple[str, str] | None = None,
    ) -> None:
        longest = limits.receive_seconds + limits.rest_seconds + limits.send_seconds
        config = uvicorn.Config(
            _TimeLimit(_Door(app, limits, lambda: len(self._server.server_state.connections)), longest),
            http=_protocol(limits),
            lifespan="off",
            loop="asyncio",
            ws="none",
            access_log=False,
            log_config=None,
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=max(1, round(drain_seconds)),
            server_header=False,
            ssl_certfile=certificate[0] if certificate else None,
            ssl_keyfile=certificate[1] if certificate else None,
        )
        try:
            config.load()
        except (OSError, ValueError) as error:
            files = " and ".join(certificate or ())
            raise InputError(f"{files}: not a certificate and its key, as PEM: {error}") from error
        self._server = uvicorn.Server(config)
        self._listener = listener
        self._thread = threading.Thread(target=self._server.run, args=([listener],), name="http", daemon=True)

    def start(self) -> None:
        """Starts, and returns when it listens."""
        self._thread.start()
        while not self._server.started and self._thread.is_alive():
            time.sleep(0.005)

    def stop(self) -> None:
        """Takes no more connections, and waits for the requests under way."""
        self._server.should_exit = True
        self._thread.join()
        self._listener.close()


class _TimeLimit:
    """Ends a request that takes longer than all its parts may: its client does not take the answer."""

    def __init__(self, app: ASGIApp, seconds: float) -> None:
        self._app = app
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await asyncio.wait_for(self._app(scope, receive, send), self._seconds)
        except asyncio.TimeoutError:
            # Returning without an end of the answer makes the server close the connection.
            return


class _Door:
    """Answers 503 where there are too many connections, after which the connection is closed."""

    def __init__(self, app: ASGIApp, limits: Limits, connections: Callable[[], int]) -> None:
        self._app = app
        self._limits = limits
        self._connections = connections

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._connections() <= self._limits.connections:
            await self._app(scope, receive, send)
            return
        refusal = RefusedBody(
            503, f"there are more than {self._limits.connections} connections", self._limits
        )
        await refusal(scope, receive, send)


def _protocol(limits: Limits) -> type[HttpToolsProtocol]:
    """uvicorn's protocol, closing connections whose headers are late or long, or whose framing is most of them."""

    class Protocol(HttpToolsProtocol):
        _header_timer: asyncio.TimerHandle | None = None
        _in_head = True
        # Of the request that is arriving. What came in one piece with the end of another is not counted.
        _received = 0
        _piece = 0
        _head = 0
        _body = 0
        _pieces = 0

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            if len(self.connections) > 2 * limits.connections:
                transport.abort()
                return
            self._wait_for_header()

        def data_received(self, data: bytes) -> None:
            self._received += len(data)
            self._piece = len(data)
            self._pieces += 1
            super().data_received(data)
            if self.parser is None or self.transport.is_closing():
                return
            if self._in_head and max(self._received, self._head) > _HEADER_BYTES:
                self._refuse(431, f"the headers have more than {_HEADER_BYTES} bytes")
            elif (
                not self._in_head
                and self._received - self._body > _FRAMING_BYTES + _FRAMING_SHARE * self._body
            ):
                self._refuse(400, "the chunks of the body are far smaller than what frames them")
            elif self._pieces > _PIECES + self._received / _BYTES_OF_A_PIECE:
                self._refuse(400, "the request arrives in far too many pieces")

        def on_message_begin(self) -> None:
            super().on_message_begin()
            self._in_head = True
            self._received = self._piece
            self._head = self._body = self._pieces = 0
            if self._header_timer is None:
                self._wait_for_header()

        def on_url(self, url: bytes) -> None:
            self._head += len(url)
            super().on_url(url)

        def on_header(self, name: bytes, value: bytes) -> None:
            self._head += len(name) + len(value)
            if self._head > _HEADER_BYTES:
                raise ValueError("the headers are too long")
            super().on_header(name, value)

        def on_headers_complete(self) -> None:
            self._in_head = False
            self._received = self._piece = 0
            self._stop_waiting()
            super().on_headers_complete()

        def on_body(self, body: bytes) -> None:
            self._body += len(body)
            super().on_body(body)

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop_waiting()
            super().connection_lost(exc)

        def send_400_response(self, msg: str) -> None:
            if self._head > _HEADER_BYTES:
                self._refuse(431, f"the headers have more than {_HEADER_BYTES} bytes")
            else:
                self._refuse(400, "this is not HTTP as RFC 9112 has it")

        def _refuse(self, status: int, message: str) -> None:
            if self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
                body = json_answers.error(message)
                head = (
                    f"HTTP/1.1 {status} {http.HTTPStatus(status).phrase}\r\ncontent-type: application/json\r\n"
                    f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
                )
                self.transport.write(head.encode() + body)
            self.transport.close()

        def _wait_for_header(self) -> None:
            self._header_timer = self.loop.call_later(limits.receive_seconds, self.transport.abort)

        def _stop_waiting(self) -> None:
            if self._header_timer is not None:
                self._header_timer.cancel()
                self._header_timer = None

    return Protocol
