"""What the hostile tests have in common: a pushed model to ask, and commands in processes of their own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.conftest import Finished
from tests.pipeline.serving.models import NAME, save_version


@pytest.fixture(scope="session")
def pushed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model directory with one version. Read only."""
    base = tmp_path_factory.mktemp("pushed") / NAME
    save_version(base, 1, 0.0)
    return base


def refused(done: Finished, *words: str) -> None:
    """The input was refused: exit code 2, one message with these words, no traceback."""
    assert done.code == 2, (done.code, done.text)
    assert "Traceback" not in done.text, done.text
    assert "should not have happened" not in done.text, done.text
    for word in words:
        assert word in done.text, done.text
