"""Requests for domains that were not in training: counted, said once for each, and refused where that is wanted."""

from __future__ import annotations

import collections
import logging
import threading
from collections.abc import Mapping

from models.arrays import Array
from pipeline.serving.errors import invalid
from pipeline.serving.metrics import Metrics
from pipeline.serving.saved_model import LoadedModel

log = logging.getLogger(__name__)

# More values than this are counted and no longer named: a caller may send anything.
_NAMED = 100
_SHOWN = 80


class UnknownDomains:
    """Looks at the domains of requests.

    Args:
      metrics: counts the rows.
      refuse: whether such a request is an error.
    """

    def __init__(self, metrics: Metrics, refuse: bool) -> None:
        self._metrics = metrics
        self._refuse = refuse
        self._said: set[tuple[str, str]] = set()
        self._lock = threading.Lock()

    def look(self, name: str, model: LoadedModel, inputs: Mapping[str, Array]) -> None:
        """Looks at one request, whose inputs fit. Serialized examples are not read.

        Raises:
          RequestError: INVALID_ARGUMENT, it asks for a domain that was not in training, and these are refused.
        """
        if model.domains is None or model.domains[0] not in inputs:
            return
        column, known = model.domains
        asked = collections.Counter(inputs[column].ravel().tolist())
        unknown = {_text(value): rows for value, rows in asked.items() if _text(value) not in known}
        if not unknown:
            return
        self._metrics.unknown_domains(name, sum(unknown.values()))
        self._say(name, column, unknown)
        if self._refuse:
            named = ", ".join(map(_shown, sorted(unknown)[:3]))
            raise invalid(
                f"input {column!r}: {named} was not in training, and this server refuses such domains"
            )

    def _say(self, name: str, column: str, unknown: Mapping[str, int]) -> None:
        for value in sorted(unknown):
            with self._lock:
                new = (name, value) not in self._said and len(self._said) < _NAMED
                if new:
                    self._said.add((name, value))
            if new:
                log.warning("%s: %s %s was not in training", name, column, _shown(value))


def _shown(value: str) -> str:
    """The value, or that it is empty."""
    return value or "'' (empty)"


def _text(value: object) -> str:
    return value.decode("utf-8", "replace")[:_SHOWN] if isinstance(value, bytes) else str(value)
