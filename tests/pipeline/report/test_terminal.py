"""The table on the terminal, wide and narrow."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from pipeline.report import RunSummary, print_summary
from pipeline.report.numbers import UNDEFINED
from tests.pipeline.report.summaries import domain, evaluation, run


def printed(summary: RunSummary, width: int = 120) -> str:
    console = Console(file=io.StringIO(), width=width)
    print_summary(summary, console)
    return console.file.getvalue()  # type: ignore[attr-defined]


def _line(text: str, name: str) -> list[str]:
    [line] = [line.split() for line in text.splitlines() if line.split()[:1] == [name]]
    return line


def test_domains_come_by_rows_and_undefined_aucs_say_why() -> None:
    text = printed(run())
    first = [line.split()[0] for line in text.splitlines() if line.strip()[:1].isdigit()]
    assert first[0] == "0"
    assert len(first) == 15
    assert _line(text, "14") == [
        "14",
        "30",
        "0",
        "0.0",
        "%",
        UNDEFINED,
        "one",
        "class",
        UNDEFINED,
        "0.6000",
        UNDEFINED,
    ]
    assert "✓ Blessed and pushed: /out/serving/dfei/1770127331" in text


@pytest.mark.parametrize("width", [60, 80, 120])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    best = {"average": 0.8, "overall": 0.8, "domains": {str(i): 0.8 for i in range(15)}}
    text = printed(run(best_possible_auc=best, pushed_to=None), width)
    assert max(map(len, text.splitlines())) <= width


def test_a_refusal_says_why_and_what_was_expected() -> None:
    reasons = ["average AUC 0.5812 is below the threshold 0.6"]
    text = printed(run(blessed=False, pushed_to=None, reasons=reasons))
    assert "✗ Not blessed" in text
    assert f"• {reasons[0]}" in text


def test_of_many_domains_the_largest_are_shown() -> None:
    text = printed(run(1000))
    assert "and 970 smaller domains: see the report" in text
    assert len(text.splitlines()) < 45


def test_names_with_brackets_are_printed_as_they_are() -> None:
    found = evaluation({"[bold]x": domain(600, 60, 0.7)}, notes=["domain [y] was not evaluated"])
    text = printed(run(evaluation=found))
    assert "[bold]x" in text
    assert "domain [y] was not evaluated" in text


def test_a_run_that_was_not_judged_prints_its_outcome() -> None:
    assert "✗ Not blessed" in printed(RunSummary(dataset="d", model="m"))
