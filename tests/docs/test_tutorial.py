"""The tutorial's commands, in their order, as a reader types them."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.blocks import DOCS, commands


def run(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """A command of the page in this folder, as a shell expands it."""
    words = [
        found
        for word in shlex.split(command)[1:]
        for found in (sorted(map(str, folder.glob(word))) if "*" in word else [word])
    ]
    return subprocess.run(
        [sys.executable, "-m", "pipeline", *words],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=1800,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.timeout(5400)
def test_every_command_of_the_tutorial_works(tmp_path: Path) -> None:
    outputs = {}
    for command in commands(DOCS / "tutorial.md"):
        done = run(command, tmp_path)
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        assert "taken as missing" not in done.stderr, command
        outputs[command] = done.stdout
    made = tmp_path / "tutorial"
    assert (made / "first" / "report.html").is_file()
    assert (made / "shop.yaml").is_file()
    assert (made / "comparison" / "comparison.html").is_file()
    assert "click_probability" in (made / "scored.csv").read_text().partition("\n")[0]
    assert (made / "dfei.yaml").stat().st_size > 1000
    assert json.loads(outputs["dfei report tutorial/first --json --quiet"])["blessed"] is True
