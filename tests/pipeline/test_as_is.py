"""What goes on a screen is shown as it is: no pictures, no markup from data, no control characters obeyed."""

from __future__ import annotations

import io
import re
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.table import Table
from typer.testing import CliRunner

import pipeline
from pipeline.cli import app
from pipeline.datasets.checking.findings import Finding
from pipeline.datasets.checking.table import findings_table
from pipeline.screen import Screen, as_is, visible

HOSTILE = "tab:fire: [bold]x[/] \x1b[2J\x9b1m\x00\u202eevil \\[red]"
SHOWN = "tab:fire: [bold]x[/] \\x1b[2J\\x9b1m\\x00\\u202eevil \\[red]"
COMMANDS = ["run", "compare", "backtest", "simulate", "report", "serve", "predict", "worker"]
COMMANDS += ["dataset new", "dataset check", "dataset download"]


def printed(*renderables: object, terminal: bool = False, **options: object) -> str:
    stream = io.StringIO()
    console = Screen(file=stream, width=200, force_terminal=terminal)
    console.print(*renderables, highlight=False, **options)
    return stream.getvalue()


def test_data_between_our_own_words() -> None:
    assert printed(f"[bold]error:[/] {as_is(HOSTILE)}") == f"error: {SHOWN}\n"
    assert printed(HOSTILE, markup=False) == f"{SHOWN}\n"
    on_terminal = printed(f"[bold]error:[/] {as_is(HOSTILE)}", terminal=True)
    assert on_terminal == f"\x1b[1merror:\x1b[0m {SHOWN}\n"


def test_data_in_tables() -> None:
    table = Table(title=as_is(HOSTILE))
    table.add_column(as_is(HOSTILE))
    table.add_row(as_is(HOSTILE))
    assert printed(table).count(SHOWN) == 3
    assert SHOWN in printed(findings_table([Finding("warn", "files", HOSTILE, "")], "x"))


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=20))
def test_every_text(text: str) -> None:
    shown = visible(text)
    assert not any(unicodedata.category(c) == "Cc" and c not in "\n\t" for c in shown)
    # Rich doubles a backslash at the end, so that it is not taken for one before the next tag.
    if not re.search(r"[\n\t\u2028\u2029]|\\$", text):
        assert printed(as_is(text), soft_wrap=True).removesuffix("\n") == shown


def test_only_one_module_makes_consoles() -> None:
    """A console of rich's own turns `:fire:` into a picture."""
    root = Path(pipeline.__file__).parent
    for path in sorted(root.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        if path.name != "screen.py":
            assert not re.search(r"\bConsole\(", text), path
            assert "rich.markup import escape" not in text, path


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_no_pictures(command: str) -> None:
    """`COLUMN:KEY:PREFIX` has the name of one between its colons."""
    text = CliRunner().invoke(app, [*command.split(), "--help"]).output
    assert "Usage" in text
    assert not [c for c in text if ord(c) > 0x1F000]


def test_what_was_typed_is_quoted_as_typed() -> None:
    text = CliRunner().invoke(app, ["dataset", "new", "--tab:fire:"]).output
    assert "--tab:fire:" in text
