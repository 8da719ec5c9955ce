"""At the screen: colours and bars on terminals only, one JSON document, Ctrl-C, completion, help with examples."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console
from typer.main import get_command

from components.dataset.loader import load_declaration
from components.progress import Progress
from pipeline import screen
from pipeline.cli import app
from pipeline.report.metrics import metrics
from tests.pipeline.clock import moved_by_hand
from tests.pipeline.commands.terminal import HOUSE, at_a_terminal
from tests.pipeline.datasets.worlds import shop_log
from tests.pipeline.report.summaries import run

ESCAPE = "\x1b["


def piped(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command without a terminal."""
    return subprocess.run(
        [sys.executable, "-m", "pipeline", *arguments],
        cwd=HOUSE,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, **environment},
    )


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root of a finished run, as far as a report needs it."""
    folder = tmp_path_factory.mktemp("root")
    (folder / "run.json").write_text(run(5).model_dump_json())
    return folder


def test_colours_are_for_terminals(root: Path) -> None:
    assert "\x1b[1;32m" in at_a_terminal("report", str(root)).text
    plain = piped("report", str(root))
    assert plain.returncode == 0
    assert ESCAPE not in plain.stdout + plain.stderr


def test_no_color_is_respected(root: Path) -> None:
    shown = at_a_terminal("report", str(root), environment={"NO_COLOR": "1"})
    assert shown.code == 0
    assert "Blessed and pushed" in shown.text
    assert not [code for code in ("\x1b[32m", "\x1b[1;32m", "\x1b[31m") if code in shown.text]


def test_json_is_one_document_and_the_rest_goes_to_standard_error(root: Path) -> None:
    done = piped("report", str(root), "--json")
    assert json.loads(done.stdout) == metrics(run(5))
    assert "Blessed and pushed" in done.stderr
    silent = piped("report", str(root), "--json", "--quiet")
    assert json.loads(silent.stdout) == json.loads(done.stdout)
    assert silent.stderr == ""


def test_quiet_shows_nothing(root: Path) -> None:
    done = piped("report", str(root), "--quiet")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_simulation_answers_in_json(tmp_path: Path) -> None:
    done = piped("simulate", str(tmp_path / "feed"), "--rows", "3000", "--domains", "3", "--json")
    found = json.loads(done.stdout)
    assert (found["rows"], found["domains"], found["reused"]) == (3000, 3, False)
    assert 0 < found["best_possible"]["overall_auc"] <= 1
    assert "3,000 impressions in 3 domains" in done.stderr


def test_a_proposal_answers_in_json(tmp_path: Path) -> None:
    shop_log(tmp_path / "data", rows=3_000)
    output = tmp_path / "the shop.yaml"
    logs = [str(path) for path in (tmp_path / "data").iterdir()]
    done = piped("dataset", "new", *logs, "--output", str(output), "--yes", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["declaration"], found["rows"]) == (str(output), 3_000)
    declared = load_declaration(str(output))
    roles = {role: guess["column"] for role, guess in found["roles"].items()}
    assert (roles["label"], roles["domain"]) == (declared.label, declared.domain)
    assert set(found["features"]) == set(declared.features)
    assert f"next: dfei dataset check '{output}' --data {tmp_path / 'data'}\n" in done.stderr
    looked = piped("dataset", "check", str(output), "--data", str(tmp_path / "data"), "--quick", "--json")
    assert (looked.returncode, json.loads(looked.stdout)["would_run"]) == (0, None)
    assert "split, domains and schema were not looked at" in looked.stderr


def test_an_interrupted_command_says_how_to_go_on(tmp_path: Path) -> None:
    feed = tmp_path / "feed"
    shown = at_a_terminal("simulate", str(feed), "--rows", "20000000", interrupt_at="simulating")
    assert shown.code == 130
    assert "stopped; nothing was left in" in " ".join(shown.text.split())
    assert "Traceback" not in shown.text
    assert list(tmp_path.iterdir()) == []
    # The cursor that the bar hid is shown again.
    assert shown.text.rfind("\x1b[?25h") > shown.text.rfind("\x1b[?25l")


def test_a_bar_shows_rows_and_the_time_left(tmp_path: Path) -> None:
    shown = at_a_terminal("simulate", str(tmp_path / "feed"), "--rows", "600000", "--domains", "4")
    assert shown.code == 0
    assert "of 600,000 rows" in shown.text


def test_predictions_with_json_need_a_file(tmp_path: Path) -> None:
    rows = tmp_path / "rows.csv"
    rows.write_text("a\n1\n")
    done = piped("predict", str(rows), "--model-dir", str(tmp_path), "--json")
    assert done.returncode == 2
    assert "name a file for the rows with --output" in " ".join(done.stderr.split())
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("dfei r", {"run", "report"}),
        ("dfei run --dataset ", {"kuairand-1k", "kuairand-pure", "kuairand-pure-before", "simulated"}),
        ("dfei run --model h", {"hmoe", "hinet"}),
    ],
)
def test_the_shell_completes(words: str, expected: set[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from pipeline.cli import app; app(prog_name='dfei')"],
        cwd=HOUSE,
        capture_output=True,
        text=True,
        check=False,
        env={
            **os.environ,
            "_DFEI_COMPLETE": "complete_bash",
            "COMP_WORDS": words,
            "COMP_CWORD": str(len(words.split(" ")) - 1),
        },
    )
    assert expected <= set(done.stdout.split()), done.stderr


def _commands() -> list[list[str]]:
    root = get_command(app)
    found: list[list[str]] = []
    for name, command in sorted(root.commands.items()):  # type: ignore[attr-defined]
        below = getattr(command, "commands", None)
        found += [[name, sub] for sub in sorted(below)] if below else [[name]]
    return found


@pytest.mark.parametrize("command", _commands(), ids=" ".join)
def test_every_command_explains_itself_with_an_example(command: list[str]) -> None:
    node = get_command(app)
    for name in command:
        node = node.commands[name]  # type: ignore[attr-defined]
    text = " ".join((node.help or "").split())
    assert len(text) > 80
    assert "Example" in text
    assert f"dfei {' '.join(command)}" in text
    options = {option for parameter in node.params for option in parameter.opts}
    assert all(parameter.help for parameter in node.params if hasattr(parameter, "help"))
    assert "--quiet" in options


def test_the_time_left_is_estimated_from_what_was_done(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = moved_by_hand(monkeypatch, screen)
    remaining = screen.Remaining()
    assert remaining.seconds(Progress("reading", 0, 1000)) is None
    clock.now += 10
    assert remaining.seconds(Progress("reading", 250, 1000)) == pytest.approx(30)
    assert remaining.seconds(Progress("reading", 250, None)) is None
    # A new step begins anew, and so does the same step from the start.
    assert remaining.seconds(Progress("training", 500, 1000)) is None
    clock.now += 5
    assert remaining.seconds(Progress("training", 1000, 1000)) == 0


@pytest.mark.parametrize(
    ("seconds", "words"), [(3.2, "3 s"), (89, "89 s"), (100, "2 min"), (5000, "83 min"), (7300, "2 h")]
)
def test_time_left_is_rough(seconds: float, words: str) -> None:
    assert screen.roughly(seconds) == words


def test_without_a_terminal_a_line_comes_every_ten_seconds(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    clock = moved_by_hand(monkeypatch, screen)
    with (tmp_path / "out").open("w+") as out:
        with screen.Steps(Console(file=out, width=120)) as show:
            for done in range(0, 1000, 100):
                show(Progress("reading", done, 1000))
                clock.now += 4
        out.seek(0)
        lines = out.read().splitlines()
    assert lines == [
        "reading: 300 of 1,000 rows, about 28 s left",
        "reading: 600 of 1,000 rows, about 16 s left",
        "reading: 900 of 1,000 rows, about 4 s left",
    ]


def test_a_step_that_has_counted_nothing_yet_is_named_alone() -> None:
    assert screen.line(Progress("sampling the files", 0), None) == "sampling the files"
    assert screen.line(Progress("sampling the files", 7), None) == "sampling the files: 7 rows"
    assert screen.line(Progress("training", 0, 10), None) == "training: 0 of 10 rows"
