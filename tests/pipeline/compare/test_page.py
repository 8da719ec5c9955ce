"""The table and the page say what was found, in plain words."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from components.comparison.lead import Lead
from pipeline.cli import app
from pipeline.compare.html import comparison_page, set_aside
from pipeline.compare.result import Champion, Comparison, PastClickRate, Spread
from pipeline.compare.story import champion_words, equal_terms, outcome
from pipeline.compare.table import print_comparison
from pipeline.layout import RunLayout
from pipeline.report.numbers import signed
from tests.pipeline.compare.results import comparison, versus


def _printed(result: Comparison, width: int = 200) -> str:
    out = io.StringIO()
    print_comparison(result, Console(file=out, width=width))
    return out.getvalue()


def test_it_says_plainly_when_the_reference_is_not_first() -> None:
    first, tests = outcome(comparison())
    assert first == "STAR has the highest average AUC: 0.7250. DFEI is number 2, at 0.7150."
    assert "DFEI is ahead beyond chance of MLP" in tests
    assert "these rows are too few to tell how it stands to LightGBM" in tests
    assert "beyond chance behind STAR" in tests


@pytest.mark.parametrize(
    ("trials", "search"), [(0, "--trials 4, which searches"), (2, "than the 2 sets tried")]
)
def test_it_says_what_to_do_where_trees_are_ahead_on_the_same_inputs(trials: int, search: str) -> None:
    assert "trees" not in " ".join(outcome(comparison()))
    models = comparison().models
    models[2].versus = versus(-0.02, -0.03, -0.01)
    told = " ".join(outcome(comparison(models=models, trials=trials)))
    assert "learned from the same inputs: what DFEI falls short by is its training, not the data" in told
    assert search in told
    assert "is its training, not the data" in told


def test_it_says_where_the_reference_is_ahead_of_its_closest_rival() -> None:
    result = comparison()
    assert "DFEI against each, domain by domain" not in comparison_page(result)
    star = result.model("star").versus
    assert star is not None
    star.domains = {
        "1": Lead(difference=0.01, low=0.004, high=0.02),
        "4": Lead(difference=-0.03, low=-0.05, high=-0.01),
    }
    words = "DFEI against STAR is ahead beyond chance in tab 1 and behind in tab 4."
    assert f"Within the 2 values of tab that count, {words}" in outcome(result)
    page = comparison_page(result)
    assert "DFEI against each, domain by domain" in page
    assert '<td class="yes" title="+0.0040 to +0.0200">+0.0100</td>' in page
    low, high, difference = (signed(value) for value in (-0.05, -0.01, -0.03))
    assert f'<td class="no" title="{low} to {high}">{difference}</td>' in page
    star.domains["4"] = Lead(difference=0.0, low=-0.01, high=0.01)
    assert "DFEI against STAR is ahead beyond chance in tab 1." in " ".join(outcome(result))
    star.domains["4"] = Lead(difference=-0.03, low=-0.05, high=-0.01)
    star.domains["1"] = Lead(difference=0.0, low=-0.01, high=0.01)
    assert "DFEI against STAR is behind beyond chance in tab 4." in " ".join(outcome(result))
    star.domains = {str(d): Lead(difference=0.1, low=0.05, high=0.2) for d in range(9)}
    assert "DFEI against STAR is ahead beyond chance in 9 of them." in " ".join(outcome(result))
    star.domains = {"1": Lead(difference=0.0, low=-0.01, high=0.01)}
    assert "is neither ahead nor behind beyond chance in any." in " ".join(outcome(result))
    assert "Within the 1 value of tab that counts, " in " ".join(outcome(result))


def test_it_names_what_all_had_in_common() -> None:
    words = equal_terms(comparison())
    assert "4 models learned from the same 110,000 impressions" in words
    assert "2 sets of settings" in words
    untuned = equal_terms(comparison(trials=0))
    assert "one learning rate for all: --trials 4 searches each model's own" in untuned
    assert "--trials" not in words
    assert "--trials 4" in _printed(comparison(trials=0))


@pytest.mark.parametrize("show", [lambda result: _printed(result, width=400), comparison_page])
def test_the_champion_has_the_figure_of_its_own_training(show: Callable[[Comparison], str]) -> None:
    champion = Champion(name="star", seed=2, validation_average_auc=0.71, average_auc=0.73, pushed_to="/s/1")
    words = "seed 2: average AUC 0.7300 of its own, 0.7250 on average over 2 seeds; chosen by that of the"
    words += " validation days, 0.7100; pushed to /s/1"
    assert f"hampion: STAR, {words}" in show(comparison(champion=champion))
    alone = comparison(champion=champion)
    alone.model("star").trained = alone.model("star").trained[1:]
    assert "on average over" not in champion_words(alone)


def test_a_comparison_of_fewer_models_leaves_the_one_before_it(tmp_path: Path) -> None:
    layout = RunLayout(tmp_path)
    assert set_aside(layout, ["dfei"]) is None
    layout.comparison.write_text(comparison().model_dump_json())
    layout.comparison_page.write_text("page")
    assert set_aside(layout, ["dfei", "mlp", "lightgbm", "star", "ple"]) is None
    kept = set_aside(layout, ["dfei", "mlp"])
    assert kept is not None and kept.read_text() == "page"
    assert kept.name == "comparison-20260101000000.html"
    assert Comparison.model_validate_json(kept.with_suffix(".json").read_text()).model("star")
    assert not layout.comparison.exists()


def test_the_distance_to_the_best_possible_is_told() -> None:
    result = comparison(best_possible_average_auc=0.78)
    for model in result.models:
        model.below_best = 0.78 - model.average_auc.mean
    assert "STAR is 0.0550 below" in " ".join(outcome(result))
    assert "to best" in _printed(result)
    assert "0.0550" in _printed(result)
    assert "to best possible" in comparison_page(result)


def test_the_table_has_a_line_for_each_model_in_order() -> None:
    text = _printed(comparison())
    lines = [line.split()[:2] for line in text.splitlines() if re.match(r"\s+\d ", line)]
    assert lines == [["1", "STAR"], ["2", "DFEI"], ["3", "LightGBM"], ["4", "MLP"]]
    assert "0.7250 ± 0.0071" in text
    assert "+0.1100 [+0.0900, +0.1300]" in text
    assert "0.012" in text
    assert "/serving/champion/1" in text
    assert "training.learning_rate=0.002" in text
    assert len(_printed(comparison(), width=100).splitlines()) > 8


def test_the_page_is_one_file_with_every_part_of_the_result() -> None:
    page = comparison_page(comparison())
    text = re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)
    assert not re.search(r"""(src|href)=["']?https?:""", text)
    for words in ("DFEI is number 2 of 4", "0.7250 ± 0.0071", "123,456", "20,000", "3.20", "+0.1100"):
        assert words in text, words
    assert "&lt;7&gt;" in text
    assert "<7>" not in text
    assert text.count("<h2>") == 6
    assert "dfei compare --dataset kuairand-pure" in text


def test_one_model_alone_and_one_seed_make_a_page_too() -> None:
    whole = comparison()
    alone = comparison(models=[whole.model("dfei")], seeds=[1], champion=None)
    alone.models[0].average_auc = Spread.of([0.71])
    assert "Better, or luck?" not in comparison_page(alone)
    assert "DFEI has the highest" in " ".join(outcome(alone))
    undefined = comparison()
    for model in undefined.models:
        model.average_auc, model.versus = Spread(), None
    assert "No average AUC is defined" in " ".join(outcome(undefined))
    assert "No average AUC is defined" in comparison_page(undefined)
    assert _printed(undefined)


def test_the_result_is_read_back_as_it_was_written() -> None:
    result = comparison()
    assert Comparison.model_validate_json(result.model_dump_json()) == result


def test_a_spread_over_seeds() -> None:
    spread = Spread.of([0.5, 0.7])
    assert (spread.mean, spread.sd) == (pytest.approx(0.6), pytest.approx(0.02**0.5))
    assert Spread.of([0.5]).sd is None
    assert Spread.of([0.5, None]) == Spread()


def test_the_page_is_rebuilt_from_the_result(tmp_path: Path) -> None:
    (tmp_path / "comparison.json").write_text(comparison().model_dump_json())
    done = CliRunner().invoke(app, ["report", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert (tmp_path / "comparison.html").read_text() == comparison_page(comparison())
    assert "STAR has the highest average AUC" in done.output
    assert CliRunner().invoke(app, ["report", str(tmp_path / "nowhere")]).exit_code == 2


def test_what_needs_no_model_is_a_row_and_a_sentence() -> None:
    past = PastClickRate(
        description="the click rate of the video_id in the domain, over 9 training rows, smoothed",
        average_auc=0.61234,
        overall_auc=0.7,
        gauc=None,
        log_loss=0.54321,
        versus=versus(0.1027, 0.08, 0.12),
    )
    assert "past click rate" not in comparison_page(comparison()).lower() + _printed(comparison())
    result = comparison(past_click_rate=past)
    printed, page = _printed(result, 400), comparison_page(result)
    row = next(line for line in printed.splitlines() if "past click rate" in line)
    assert "0.6123" in row and "0.5432" in row and "✓" in row
    assert "Without a model, by the click rate of the video_id" in " ".join(outcome(result))
    assert "DFEI is ahead of it, by +0.1027 (95 % +0.0800 to +0.1200)" in " ".join(outcome(result))
    assert "past click rate" in page and "0.6123" in page
    unknown = past.model_copy(update={"versus": versus(0.0, -0.02, 0.02)})
    assert "it is not known how DFEI stands to it" in " ".join(outcome(comparison(past_click_rate=unknown)))
    assert "Without a model" not in " ".join(
        outcome(comparison(past_click_rate=past.model_copy(update={"versus": None})))
    )
