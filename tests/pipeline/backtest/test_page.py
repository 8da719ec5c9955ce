"""The table and the page of a backtest."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

from rich.console import Console
from typer.testing import CliRunner

from pipeline.backtest.html import backtest_page
from pipeline.backtest.result import Backtest
from pipeline.backtest.story import outcome, protocol
from pipeline.backtest.table import print_backtest
from pipeline.cli import app
from pipeline.report.numbers import signed
from tests.pipeline.backtest.results import backtest


def printed(result: Backtest, width: int) -> str:
    out = io.StringIO()
    print_backtest(result, Console(file=out, width=width))
    return out.getvalue()


def test_the_sentences_say_how_often_and_beyond_chance() -> None:
    text = " ".join(outcome(backtest()))
    assert re.search(r"Over 2 periods, DFEI has the highest average AUC: 0\.\d{4}\.", text)
    assert "DFEI is first in 1 of the 2 periods." in text
    assert "ahead beyond chance of STAR" in text
    assert "a search over 2 sets of settings, 2 trainings" in protocol(backtest())
    assert "search" not in protocol(backtest(trials=0))


def test_a_reference_that_is_not_first_is_said_to_be_so() -> None:
    result = backtest()
    models = sorted(result.models, key=lambda model: model.name != "mlp")
    for rank, model in enumerate(models, 1):
        model.rank = rank
    result = result.model_copy(update={"models": models})
    assert "MLP has the highest" in outcome(result)[0]
    assert "DFEI is number 2" in outcome(result)[0]
    assert 'class="verdict good"' in backtest_page(backtest())
    assert 'class="verdict good"' not in backtest_page(result)


def test_wide_and_narrow_tables() -> None:
    wide, narrow = printed(backtest(), 160), printed(backtest(), 80)
    assert "to 2024-01-14" in wide
    assert "to 2024-01-14" not in narrow
    for text in (wide, narrow):
        lines = [line for line in text.splitlines() if re.match(r"\s+\d ", line)]
        assert len(lines) == 3
        assert lines[2].split()[1] == "STAR"
        assert "2/2" in lines[2]


def test_it_says_in_which_domains_the_reference_is_ahead() -> None:
    result = backtest()
    assert "Within the 3 values of scene that count in every period, DFEI against MLP is" in " ".join(
        outcome(result)
    )
    page = backtest_page(result)
    assert "DFEI against each, domain by domain" in page
    versus = result.model("star").versus
    assert versus is not None
    for lead in versus.domains.values():
        assert f'<td class="yes" title="{signed(lead.low)} to {signed(lead.high)}">' in page
    for model in result.models:
        if model.versus is not None:
            model.versus.domains = {}
    assert "DFEI against each, domain by domain" not in backtest_page(result)
    assert "Within" not in " ".join(outcome(result))


def test_the_page_has_every_period_and_links_to_its_comparison() -> None:
    page = backtest_page(backtest())
    assert 'href="periods/2024-01-12/comparison.html"' in page
    assert "2024-01-11 to 2024-01-12" in page
    assert "What the searches chose" in page
    assert "What the searches chose" not in backtest_page(backtest(trials=0))


def test_one_period_is_not_counted_out() -> None:
    whole = backtest()
    one = whole.model_copy(update={"periods": whole.periods[:1]})
    for model in one.models:
        model.periods = model.periods[:1]
    assert "is first in" not in " ".join(outcome(one))
    assert "on 1 period of simulated" in backtest_page(one)


def test_the_best_possible_is_shown_where_it_is_known() -> None:
    known = [p.model_copy(update={"best_possible_average_auc": 0.9}) for p in backtest().periods]
    assert "best possible" in backtest_page(backtest(periods=known))
    assert backtest(periods=known).best_possible == 0.9
    assert "best possible" not in backtest_page(backtest(periods=[known[0], backtest().periods[1]]))


def test_report_builds_it_again(tmp_path: Path) -> None:
    (tmp_path / "backtest.json").write_text(backtest().model_dump_json())
    finished = CliRunner().invoke(app, ["report", str(tmp_path), "--json", "--quiet"])
    assert finished.exit_code == 0, finished.output
    assert json.loads(finished.output)["reference"] == "dfei"
    assert "Period by period" in (tmp_path / "backtest.html").read_text()
