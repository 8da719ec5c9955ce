"""Answers to requests whose bodies are not read to their end."""

from __future__ import annotations

import asyncio
import contextlib

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from pipeline.serving import json_answers
from pipeline.serving.settings import Limits

# Of the largest request.
_THROWN_AWAY = 16


class RefusedBody(Response):
    """An answer to a request whose body is still arriving.

    Closing a connection with unread bytes resets it, and a reset may overtake the answer. So what arrives is read and
    thrown away until the client has sent all, for as long as a whole request may take, and up to 16 times its size.

    Args:
      status: of the answer.
      message: what was wrong.
      limits: of a request.
    """

    def __init__(self, status: int, message: str, limits: Limits) -> None:
        headers = {"Content-Type": "application/json", "Connection": "close"}
        super().__init__(json_answers.error(message), status, headers)
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends the answer, then lingers."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": True})
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(
                _throw_away(receive, _THROWN_AWAY * self._limits.request_bytes), self._limits.receive_seconds
            )
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _throw_away(receive: Receive, most: int) -> None:
    more = True
    while more and most > 0:
        message = await receive()
        most -= len(message.get("body", b""))
        more = message["type"] == "http.request" and message.get("more_body", False)
