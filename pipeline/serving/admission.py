"""How many requests a server works on, and how many REST bytes it holds, at the same time."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

from pipeline.serving.errors import Code, RequestError


class Admission:
    """A count that requests are part of from their first to their last moment.

    Args:
      most: requests at the same time.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._inside = 0
        self._open = True

    @contextlib.contextmanager
    def request(self) -> Iterator[None]:
        """Lets a request in, or refuses it at once.

        Raises:
          RequestError: RESOURCE_EXHAUSTED, the server is full; UNAVAILABLE, it is stopping.
        """
        with self._lock:
            if not self._open:
                raise RequestError(Code.UNAVAILABLE, "the server is stopping")
            if self._inside >= self._most:
                raise RequestError(
                    Code.RESOURCE_EXHAUSTED, f"the server is full: {self._most} requests are being worked on"
                )
            self._inside += 1
        try:
            yield
        finally:
            with self._lock:
                self._inside -= 1

    @property
    def inside(self) -> int:
        """Requests being worked on."""
        return self._inside

    @property
    def is_open(self) -> bool:
        """Whether new requests are let in at all."""
        return self._open

    def close(self) -> None:
        """Lets no request in any more."""
        with self._lock:
            self._open = False


class ByteBudget:
    """Bytes of request bodies in memory. Used on one event loop only.

    Args:
      most: bytes at the same time.
    """

    def __init__(self, most: int) -> None:
        self._left = most

    def take(self, size: int) -> None:
        """Sets bytes aside.

        Raises:
          RequestError: UNAVAILABLE, there are not so many left.
        """
        if size > self._left:
            raise RequestError(Code.UNAVAILABLE, "too many bytes of requests are being worked on; try again")
        self._left -= size

    def give_back(self, size: int) -> None:
        """Ends the use of bytes that were taken."""
        self._left += size
