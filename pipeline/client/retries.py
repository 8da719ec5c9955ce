"""Retries within a deadline."""

from __future__ import annotations

import dataclasses
import random
import time
from collections.abc import Callable
from typing import TypeVar

from pipeline.client.errors import CallError, Code

T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class Retries:
    """When a call is made again. Predictions change nothing, so every call may be.

    Attributes:
      attempts: calls at most, the first one included.
      first_wait: seconds before the second call; doubled for each further one, with a random share left out so
        that many callers do not come back at once.
      longest_wait: seconds, at most.
      codes: what is tried again: servers that are not there (yet) or are full.
    """

    attempts: int = 5
    first_wait: float = 0.05
    longest_wait: float = 2.0
    codes: frozenset[Code] = frozenset({Code.UNAVAILABLE, Code.RESOURCE_EXHAUSTED})

    def call(self, function: Callable[[float], T], timeout: float) -> T:
        """Calls `function(seconds left)` until it answers.

        Args:
          function: raises `CallError`.
          timeout: seconds for all attempts together.

        Raises:
          CallError: the last one, when attempts or time are used up.
        """
        deadline = time.monotonic() + timeout
        for attempt in range(1, self.attempts + 1):
            try:
                return function(max(deadline - time.monotonic(), 0.001))
            except CallError as error:
                wait = min(self.first_wait * 2 ** (attempt - 1), self.longest_wait) * random.uniform(0.5, 1)
                left = deadline - time.monotonic()
                if error.code not in self.codes or attempt == self.attempts or wait >= left:
                    raise
            time.sleep(wait)
        raise ValueError(f"at least one attempt is needed, got {self.attempts}")


NO_RETRIES = Retries(attempts=1)
