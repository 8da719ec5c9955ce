"""What lies beside an exported model for whoever serves or asks it, where a model server passes it over."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from components.dataset.input_names import LIST_SEPARATOR

REQUEST = Path("assets.extra") / "request.json"
"""A request with a real row of the evaluation: the body of `POST .../v1/models/MODEL:predict` as it is sent."""
DOMAINS = Path("assets.extra") / "domains.json"
"""The input of the domain, and the values that were in training."""
WRITTEN = Path("assets.extra") / "written.json"
"""How the texts of numbers are written in the logs, by input, where that is not plain."""
LISTS = Path("assets.extra") / "lists.json"
"""What separates the values of the list-valued inputs, by input."""


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


def write_lists(version: Path, separators: Mapping[str, str]) -> None:
    """Notes which inputs are list-valued.

    Args:
      version: the export's folder.
      separators: by input, what separates its values in the logs' texts; empty: nothing but U+001F does.
    """
    _write(version / LISTS, separators)


def read_lists(version: Path) -> dict[str, str]:
    """The list-valued inputs and what separates their values.

    Of a version that was exported before this was noted, those of which the request beside it shows several values.
    """
    noted = _read(version / LISTS)
    if noted is not None:
        return {name: str(separator) for name, separator in noted.items()}
    rows = (_read(version / REQUEST) or {}).get("instances") or [{}]
    return {name: "" for name, value in rows[0].items() if isinstance(value, str) and LIST_SEPARATOR in value}


def read_notes(version: Path) -> dict[str, Any]:
    """What a caller has to know beside the signatures: "domain", its input and values, "lists" and "written".

    The request is not among them: it is of a real user, and a server tells everybody who asks.
    """
    return {
        "domain": _read(version / DOMAINS),
        "lists": read_lists(version),
        "written": read_written(version),
    }


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
