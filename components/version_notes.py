"""What lies beside an exported model for whoever serves or asks it, where a model server passes it over."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

REQUEST = Path("assets.extra") / "request.json"
"""A request with a real row of the evaluation: the body of `POST .../v1/models/MODEL:predict` as it is sent."""
DOMAINS = Path("assets.extra") / "domains.json"
"""The input of the domain, and the values that were in training."""
WRITTEN = Path("assets.extra") / "written.json"
"""How the texts of numbers are written in the logs, by input, where that is not plain."""


def write_written(version: Path, written: Mapping[str, str]) -> None:
    """Notes how the logs of a model write their numbers.

    Args:
      version: the export's folder.
      written: by input, as declared; inputs that are written plainly may be left out.
    """
    _write(version / WRITTEN, written)


def read_written(version: Path) -> dict[str, str]:
    """How the numbers of a version's logs are written, by input; none where that was not noted."""
    return {name: str(written) for name, written in (_read(version / WRITTEN) or {}).items()}


def write_domains(version: Path, name: str, values: Iterable[str]) -> None:
    """Notes which domains a model knows.

    Args:
      version: the export's folder.
      name: the input of the domain in requests.
      values: as text, most rows first.
    """
    _write(version / DOMAINS, {"input": name, "values": list(values)})


def read_domains(version: Path) -> tuple[str, tuple[str, ...]] | None:
    """The domain's input and the values that a version knows, most rows first; `None` where that was not noted."""
    found = _read(version / DOMAINS)
    return None if found is None else (str(found["input"]), tuple(map(str, found["values"])))


def write_request(path: Path, row: Mapping[str, Any]) -> None:
    """Writes a request of one row.

    Args:
      path: the file.
      row: the value of each input; NaN for a missing number, as TensorFlow Serving reads it.
    """
    _write(path, {"instances": [row]})


def read_request(version: Path) -> str | None:
    """The body of a request that a version answers, as it was written; `None` where none was."""
    return None if _read(version / REQUEST) is None else (version / REQUEST).read_text(encoding="utf-8")


def _write(path: Path, document: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, ensure_ascii=False), encoding="utf-8")


def _read(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None
