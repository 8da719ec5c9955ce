"""The HTTP server: uvicorn on a thread of its own, with time limits for slow clients."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from typing import Any

import h11
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from components.errors import InputError
from pipeline.serving.settings import Limits

_KEEP_ALIVE_SECONDS = 60
_HEADER_BYTES = 64 << 10


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens there.

    Raises:
      InputError: the address is taken, or is none.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        # With the protocol spelt out asyncio turns Nagle's algorithm off, which costs 40 ms an answer.
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except socket.gaierror as error:
        raise InputError(
            f"cannot listen on {host}:{port}: {error.strerror}. Give an address of this machine with --host"
        ) from error
    except OSError as error:
        raise InputError(
            f"cannot listen on {host}:{port}: {error.strerror}. Choose another port with --rest-port"
        ) from error
    return listener


class HttpServer:
    """Runs an application.

    Args:
      app: the application.
      listener: where it listens; closed when the server stops.
      limits: of connections and times.
      drain_seconds: for requests under way when it stops.
    """

    def __init__(self, app: ASGIApp, listener: socket.socket, limits: Limits, drain_seconds: float) -> None:
        longest = limits.receive_seconds + limits.rest_seconds + limits.send_seconds
        config = uvicorn.Config(
            _TimeLimit(app, longest),
            http=_protocol(limits.receive_seconds),
            lifespan="off",
            loop="asyncio",
            ws="none",
            access_log=False,
            log_config=None,
            limit_concurrency=limits.connections,
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=max(1, round(drain_seconds)),
            h11_max_incomplete_event_size=_HEADER_BYTES,
            server_header=False,
        )
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


def _protocol(header_seconds: float) -> type[H11Protocol]:
    """uvicorn's protocol, closing connections whose request headers do not arrive in time."""

    class Protocol(H11Protocol):
        _header_timer: asyncio.TimerHandle | None = None

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._wait_for_header()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if self.conn.their_state is not h11.IDLE:
                self._stop_waiting()
            elif self._header_timer is None:
                self._wait_for_header()

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop_waiting()
            super().connection_lost(exc)

        def _wait_for_header(self) -> None:
            self._header_timer = self.loop.call_later(header_seconds, self.transport.abort)

        def _stop_waiting(self) -> None:
            if self._header_timer is not None:
                self._header_timer.cancel()
                self._header_timer = None

    return Protocol
