"""Licences of all that is shipped are allowed ones."""

from __future__ import annotations

import importlib.util
from email.message import Message
from pathlib import Path
from typing import Any

import pytest

PATH = Path(__file__).resolve().parents[2] / "tools" / "licences.py"


@pytest.fixture(scope="module")
def tool() -> Any:
    spec = importlib.util.spec_from_file_location("licences_tool", PATH)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_what_is_shipped_is_allowed(tool: Any) -> None:
    packages = tool.shipped()
    assert {"tfx", "tensorflow", "httptools"} <= set(packages)
    assert tool.refused(packages) == {}


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ([("License-Expression", "MPL-2.0 AND (Apache-2.0 OR MIT)")], {"MPL-2.0", "Apache-2.0", "MIT"}),
        ([("Classifier", "License :: OSI Approved :: BSD License")], {"BSD-3-Clause"}),
        ([("Classifier", "License :: OSI Approved"), ("License", "Apache 2.0\nmore")], {"Apache-2.0"}),
        ([("Classifier", "License :: GNU GPL v3")], {"GNU GPL v3"}),
        ([("License-Expression", "AGPL-3.0-only")], {"AGPL-3.0-only"}),
        ([], set()),
    ],
)
def test_what_a_package_says(
    tool: Any, monkeypatch: pytest.MonkeyPatch, fields: list[tuple[str, str]], said: set[str]
) -> None:
    message = Message()
    for name, value in fields:
        message[name] = value
    monkeypatch.setattr(tool.metadata, "metadata", lambda package: message)
    assert tool.licences("x") == said
    assert ("x" in tool.refused(["x"])) == (not said or not said <= tool.ALLOWED)
