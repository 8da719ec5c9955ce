"""What a model predicts, written into its export: models that predict something else are no baseline of each other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tfx.dsl.io import fileio

from components.dataset.declaration import Declaration

TARGET = "assets.extra/target.json"


def write_target(declaration: Declaration, saved_model: Path) -> None:
    """Writes into an export its label, what of the label's column counts as 1, and the column of its domains."""
    positive = declaration.positive
    target = {
        "label": declaration.label,
        "positive": None if positive is None else positive.model_dump(mode="json"),
        "domain": declaration.domain,
    }
    path = saved_model / TARGET
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(target, sort_keys=True))


def read_target(saved_model: str) -> dict[str, Any] | None:
    """What `write_target` wrote; `None` for an export from before there was a record."""
    path = f"{saved_model}/{TARGET}"
    if not fileio.exists(path):
        return None
    with fileio.open(path, "r") as stream:
        target: dict[str, Any] = json.loads(stream.read())
    return target
