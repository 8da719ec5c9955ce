"""How many requests a server works on, and how many of their bytes and predictions, at the same time."""

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


class Budget:
    """What all requests together may hold, of bytes or of predictions.

    Args:
      most: at the same time.
      code: of the refusal.
      what: is held, as the refusal says it.
    """

    def __init__(self, most: int, code: Code, what: str) -> None:
        self._left = self._most = most
        self._code = code
        self._what = what
        self._lock = threading.Lock()

    def take(self, size: int) -> None:
        """Sets so much aside.

        Raises:
          RequestError: there is not so much left.
        """
        with self._lock:
            if size <= self._left:
                self._left -= size
                return
        raise RequestError(
            self._code, f"the server is full: it works on {self._most} {self._what} at most; try again"
        )

    def give_back(self, size: int) -> None:
        """Ends the use of what was taken."""
        with self._lock:
            self._left += size

    @contextlib.contextmanager
    def held(self, size: int) -> Iterator[None]:
        """Sets so much aside until the context ends.

        Raises:
          RequestError: as `take`.
        """
        self.take(size)
        try:
            yield
        finally:
            self.give_back(size)
