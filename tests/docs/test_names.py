"""Files and modules that docs and docstrings name are there, under the names that they have now."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.blocks import DOCS, HOUSE

TOP = ("pipeline", "components", "models", "kubeflow", "schemas", "tests", "benchmarks", "tools", "docs")
_ROOTS = "|".join(TOP)
# What was renamed is history there.
PAGES = [HOUSE / "README.md", HOUSE / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]
# Files that a page names by a part of their path alone.
_BELOW = (HOUSE, HOUSE / "kubeflow" / "serving")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_are_there(page: Path) -> None:
    for name in re.findall(rf"`((?:{_ROOTS})/[\w./*-]*)`", page.read_text(encoding="utf-8")):
        assert any(list(below.glob(name)) for below in _BELOW), name


def test_modules_and_what_they_hold_are_there() -> None:
    sources = [path for top in TOP for path in (HOUSE / top).rglob("*.py")]
    wrong, checked = [], 0
    for file in [*PAGES, *sources]:
        for name in set(re.findall(rf"`((?:{_ROOTS})(?:\.\w+)+)`", file.read_text(encoding="utf-8"))):
            checked += 1
            if not _is_there(name):
                wrong.append(f"{file.relative_to(HOUSE)}: {name}")
    # A file of TF Serving's, which has the shape of a module's name.
    assert wrong == ["docs/serving.md: models.config"]
    assert checked > 50


def _is_there(name: str) -> bool:
    """Whether a dotted name is a module, or one and a name that stands in it."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        path = HOUSE.joinpath(*parts[:length])
        source = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        if source.is_file():
            return length == len(parts) or bool(
                re.search(rf"\b{parts[length]}\b", source.read_text(encoding="utf-8"))
            )
    return False
