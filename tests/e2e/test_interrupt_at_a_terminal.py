"""Ctrl-C at a terminal while a component runs: the bar is gone, the cursor is back, and it is said how to go on."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.pipeline.commands.terminal import at_a_terminal


@pytest.mark.slow
def test_a_run_that_is_interrupted_says_how_to_go_on(small_feed: Path, tmp_path: Path) -> None:
    arguments = ["run", "--dataset", "simulated", "--data", str(small_feed), "--root", str(tmp_path / "root")]
    shown = at_a_terminal(*arguments, interrupt_at="StatisticsGen", timeout=600)
    assert shown.code == 130
    assert "stopped; the same command goes on from here" in " ".join(shown.text.split())
    assert "Traceback" not in shown.text
    assert shown.text.rfind("\x1b[?25h") > shown.text.rfind("\x1b[?25l")
