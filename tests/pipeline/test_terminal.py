"""What a run shows of its components: rows out of all, the time left, what it took last time."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from components import progress
from components.progress import Progress
from pipeline import screen, terminal
from pipeline.events import NodeRun, NodeStarted
from pipeline.terminal import RunDisplay
from tests.pipeline.clock import Clock, moved_by_hand
from tests.pipeline.commands.terminal import HOUSE


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of display and estimates."""
    return moved_by_hand(monkeypatch, terminal, screen)


def _ingested(folder: Path) -> NodeRun:
    (folder / "ingest_report.json").write_text(json.dumps({"train": 1000, "eval": 200}))
    artifact = SimpleNamespace(uri=str(folder))
    return NodeRun("DeclaredExampleGen", False, 1.0, 1.0, {"examples": [artifact]})


def test_lines_say_how_many_of_all_rows_and_how_long_still(clock: Clock, tmp_path: Path) -> None:
    out = io.StringIO()
    with RunDisplay(Console(file=out, width=120), {"Transform": 40.0, "Pusher": 0.1}) as display:
        display.node(_ingested(tmp_path))
        display.node(NodeStarted("Transform", 5, 10))
        for done in (0, 250, 500):
            display.progress(Progress("analysing rows", done))
            clock.now += 11
        display.node(NodeRun("Transform", False, 33.0, 30.0, {}))
        display.node(NodeStarted("AtomicPusher", 10, 10))
        display.node(NodeRun("AtomicPusher", True, 0.0, 0.0, {}))
    assert out.getvalue().splitlines() == [
        "✓ ExampleGen         1.0 s",
        "  5/10 Transform: 40 s last time",
        "  5/10 Transform: analysing rows: 250 of 1,000 rows, about 33 s left",
        "  5/10 Transform: analysing rows: 500 of 1,000 rows, about 22 s left",
        "✓ Transform          33.0 s",
        "= from the cache: Pusher",
    ]


def test_what_comes_from_the_cache_is_one_line_and_says_nothing_of_last_time(clock: Clock) -> None:
    out = io.StringIO()
    names = ("StatisticsGen", "Transform", "Trainer", "AtomicPusher")
    with RunDisplay(Console(file=out, width=120), dict.fromkeys(names, 40.0)) as display:
        for place, name in enumerate(names, 1):
            display.node(NodeStarted(name, place, 4))
            display.node(NodeRun(name, name != "Trainer", 1.0, 1.0, {}))
    assert out.getvalue().splitlines() == [
        "= from the cache: StatisticsGen, Transform",
        "✓ Trainer            1.0 s",
        "= from the cache: Pusher",
    ]


def test_a_note_stands_among_the_lines() -> None:
    out = io.StringIO()
    with (
        RunDisplay(Console(file=out, width=120)) as display,
        progress.listening(display.progress, display.note),
    ):
        progress.note("the last blessed model is gone [out/7]")
    assert out.getvalue() == "! the last blessed model is gone [out/7]\n"


@pytest.mark.parametrize(
    ("node", "step", "rows"),
    [
        ("StatisticsGen", "counting values", "1,200"),
        ("Evaluator", "scoring rows", "200"),
        ("Progressive", "scoring rows", "1,200"),
    ],
)
def test_a_component_goes_through_the_rows_of_its_splits(
    clock: Clock, tmp_path: Path, node: str, step: str, rows: str
) -> None:
    out = io.StringIO()
    with RunDisplay(Console(file=out, width=120)) as display:
        display.node(_ingested(tmp_path))
        display.node(NodeStarted(node, 2, 10))
        clock.now += 11
        display.progress(Progress(step, 100))
    assert f"2/10 {node}: {step}: 100 of {rows} rows" in out.getvalue()


def test_on_a_terminal_the_time_of_the_last_run_tells_what_is_left(tmp_path: Path) -> None:
    out = io.StringIO()
    console = Console(file=out, width=120, force_terminal=True, no_color=True)
    with RunDisplay(console, {"StatisticsGen": 30.0}) as display:
        display.node(NodeStarted("StatisticsGen", 2, 10))
        display._bars.refresh()
        display.node(NodeStarted("ImportSchemaGen", 3, 10))
        display._bars.refresh()
    shown = out.getvalue()
    assert "2/10 StatisticsGen" in shown
    assert "about 30 s left" in shown
    assert "left" not in shown[shown.index("3/10 Schema") :]


CHATTER = """
import os, sys
from pathlib import Path
from pipeline.terminal import libraries_to
with libraries_to(Path(sys.argv[1]), as_json=sys.argv[2] == "json") as console:
    print("a library prints")
    os.write(2, b"and so does C++\\n")
    console.print("progress")
print("the result")
"""


@pytest.mark.parametrize(("kind", "shown"), [("json", ("the result\n", "progress\n")), ("text", None)])
def test_the_libraries_chatter_goes_to_the_log(
    kind: str, shown: tuple[str, str] | None, tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CHATTER, str(tmp_path / "log"), kind],
        cwd=HOUSE,
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(HOUSE)},
    )
    assert (done.stdout, done.stderr) == (shown or ("progress\nthe result\n", ""))
    log = (tmp_path / "log").read_text()
    assert "a library prints" in log
    assert "and so does C++" in log


HIDDEN = """
import os
from pipeline.terminal import chatter_hidden
with chatter_hidden() as console:
    os.write(2, b"a library warns\\n")
    console.print("progress")
    print("a result")
os.write(2, b"an error\\n")
"""


def test_the_libraries_chatter_can_be_hidden_without_touching_results() -> None:
    done = subprocess.run(
        [sys.executable, "-c", HIDDEN],
        cwd=HOUSE,
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(HOUSE)},
    )
    assert (done.stdout, done.stderr) == ("a result\n", "progress\nan error\n")
