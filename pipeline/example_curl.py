"""A request that a pushed version answers, as a command to paste."""

from __future__ import annotations

import shlex
from pathlib import Path

from components.version_notes import REQUEST, read_request

_INLINE = 600


def example_curl(version: Path, model: str, address: str = "http://localhost:8501") -> str | None:
    """curl with a real row of the evaluation; `None` where the version has none beside it.

    Args:
      version: the version's folder.
      model: its name on the server.
      address: of the server's REST interface.
    """
    body = read_request(version)
    if body is None:
        return None
    # A row of many columns is better looked at in its file.
    data = shlex.quote(body if len(body) <= _INLINE else f"@{version / REQUEST}")
    return f"curl -s {address}/v1/models/{model}:predict -d {data}"


def how_to_ask(version: Path) -> list[str]:
    """What to do with a version that was just pushed, line by line."""
    curl = example_curl(version, version.parent.name)
    if curl is None:
        return []
    return [f"ask it: dfei serve {shlex.quote(str(version.parent))}, and in another terminal", f"  {curl}"]
