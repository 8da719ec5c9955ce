"""A study from the command line: its comparisons, its page, and what a second call does again."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest


def run(root: Path, *more: str) -> dict[str, object]:
    """One study of new domains, as JSON."""
    words = ["study", "cold", "--root", str(root), "--seen", "0,30", "--domains", "6", "--rows", "2500"]
    done = subprocess.run(
        [sys.executable, "-m", "pipeline", *words, "--seeds", "1", "--json", *more],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


@pytest.mark.slow
def test_a_study_of_new_domains_and_what_is_done_again(tmp_path: Path) -> None:
    first = run(tmp_path, "--models", "dfei")
    groups = {group for point in first["points"] for group in point["groups"]}  # type: ignore[attr-defined, index]
    assert {"new domains", "other domains"} <= groups
    assert "DFEI as its largest domain" in first["models"]  # type: ignore[operator]
    assert "</html>" in (tmp_path / "study.html").read_text()
    again = run(tmp_path, "--models", "dfei,mlp")
    for point in ("0-seen", "30-seen"):
        comparison = json.loads((tmp_path / "points" / point / "comparison.json").read_text())
        assert {"Trainer.dfei.1", "Transform"} <= set(comparison["cached"])
        assert "Trainer.mlp.1" not in comparison["cached"]
    assert "MLP" in again["models"]  # type: ignore[operator]
