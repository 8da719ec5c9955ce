"""A new root of Debian 13: what a machine without the module venv is told, and the environment without a compiler."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

HOUSE = Path(__file__).resolve().parents[2]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(3000),
    pytest.mark.skipif(os.getuid() != 0, reason="a root is made and entered as root"),
    pytest.mark.skipif(
        shutil.which("debootstrap") is None, reason="debootstrap is not here: apt-get install debootstrap"
    ),
]


def test_debian_13_gets_the_newer_stack(tmp_path: Path) -> None:
    def run(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["sh", "tools/current_root.sh", str(tmp_path / "root"), *command],
            cwd=HOUSE,
            capture_output=True,
            text=True,
            check=False,
        )

    assert run("rm", "-r", "/usr/lib/python3.13/ensurepip").returncode == 0
    bare = run("make", "env")
    assert bare.returncode != 0
    assert "apt-get install python3.13-venv" in bare.stderr
    assert (
        run("sh", "-c", "apt-get update && apt-get install --reinstall --yes python3.13-venv").returncode == 0
    )
    assert run("sh", "-c", "! command -v cc && ! command -v c++").returncode == 0
    made = run("make", "env")
    assert made.returncode == 0, made.stderr
    assert made.stdout.splitlines()[-1].startswith("TFX 1.21.0, TensorFlow 2.21.0, Python 3.13, glibc 2.41")
    named = run(
        ".venv/bin/python", "-c", "import pipeline.create; from components import stack; print(stack.name())"
    )
    assert named.stdout.startswith("TFX 1.21.0, TensorFlow 2.21.0, Python 3.13"), named.stderr
