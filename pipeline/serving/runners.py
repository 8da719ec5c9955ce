"""Who computes a request, and when: each one for itself, or many as one batch."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Protocol

from models.arrays import Array
from pipeline.serving.errors import Code, RequestError
from pipeline.serving.saved_model import LoadedModel, ServedSignature

Arrays = Mapping[str, Array]


class Runner(Protocol):
    """Computes requests. `deadline` is a time of `time.monotonic`, or `None`."""

    def run(
        self, model: LoadedModel, signature: ServedSignature, inputs: Arrays, deadline: float | None
    ) -> dict[str, Array]:
        """The signature's outputs.

        Raises:
          RequestError: the computation failed, or the deadline passed before it began.
        """

    def stop(self) -> None:
        """Ends its threads, when nothing is waiting any more."""


def too_late() -> RequestError:
    """DEADLINE_EXCEEDED."""
    return RequestError(Code.DEADLINE_EXCEEDED, "the deadline passed before the request was computed")


class DirectRunner:
    """Computes each request on the thread that brings it, so many at the same time.

    Args:
      running: how many.
    """

    def __init__(self, running: int) -> None:
        self._turns = threading.Semaphore(running)

    def run(
        self, model: LoadedModel, signature: ServedSignature, inputs: Arrays, deadline: float | None
    ) -> dict[str, Array]:
        """See `Runner.run`."""
        left = None if deadline is None else deadline - time.monotonic()
        if (left is not None and left <= 0) or not self._turns.acquire(timeout=left):
            raise too_late()
        try:
            return model.run(signature, inputs)
        finally:
            self._turns.release()

    def stop(self) -> None:
        """Nothing to end."""
