"""The table on the terminal, wide and narrow."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest
from rich.console import Console

from components.comparison.lead import Lead
from components.evaluator.results import Overall
from components.study.document import Leads
from pipeline.report import RunSummary, print_summary
from pipeline.report.html import report_page
from pipeline.report.numbers import UNDEFINED
from pipeline.report.story import quality_sentences
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


def test_the_names_of_columns_are_whole_on_a_usual_terminal() -> None:
    found = evaluation({"Beilage & Magazin": domain(1900, 90, 0.7)}, baseline=Overall(average_auc=0.69))
    text = printed(run(evaluation=found), 80)
    assert "model before: AUC of the one blessed before, on these rows" in text
    assert "calibration" in text


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


def test_the_verdict_says_against_what_by_how_much_and_whether_it_is_chance() -> None:
    summary = run()
    assert summary.study is not None
    assert summary.evaluation is not None
    assert summary.evaluation.average_auc is not None
    rate, mlp = summary.study.baselines
    gain = summary.evaluation.average_auc - 0.55
    deciding = {
        name: Lead(difference=gain, low=gain - 0.01, high=gain + 0.01) for name in summary.evaluation.deciding
    }
    ahead = Lead(difference=gain, low=0.11, high=0.19)
    level = Lead(difference=gain - 0.04, low=-0.008, high=0.004)

    def over(lead: Lead, within: dict[str, Lead]) -> Leads:
        return Leads(within=within, over=[lead] * len(within))

    baselines = [
        rate.model_copy(update={"leads": over(ahead, {**deciding, "smaller": ahead})}),
        mlp.model_copy(update={"leads": over(level, deciding)}),
        rate.model_copy(update={"name": "other domains", "leads": over(ahead, {"other": ahead, **deciding})}),
    ]
    text = printed(
        summary.model_copy(update={"study": summary.study.model_copy(update={"baselines": baselines})}), 200
    )
    interval = "(95 % of resampled users +0.1100 to +0.1900): ahead beyond chance"
    assert f"against past click rate: 0.5500, this model +{gain:.4f} {interval}" in text
    minus = "\N{MINUS SIGN}"
    assert f"(95 % of resampled users {minus}0.0080 to +0.0040): not known, the interval is wide" in text
    none = "not known, of these domains there is no interval"
    assert f"against other domains: 0.5500, this model +{gain:.4f}: {none}\n" in text


@pytest.mark.parametrize("show", [lambda summary: printed(summary, 300), report_page])
def test_nothing_is_beyond_chance_between_two_models_that_were_trained_once(
    show: Callable[[RunSummary], str],
) -> None:
    summary = run(command="dfei run --dataset my.yaml --data . --root out/mine --set seed=3 --quiet")
    assert summary.study is not None and summary.evaluation is not None
    deciding = summary.evaluation.deciding
    for rate, mlp in (("ahead", "behind"), ("behind", "ahead")):
        leads = {"ahead": Lead(difference=0.05, low=0.02, high=0.08)}
        leads["behind"] = Lead(difference=-0.05, low=-0.08, high=-0.02)
        for baseline, verdict in zip(summary.study.baselines, (rate, mlp), strict=True):
            lead = leads[verdict]
            baseline.leads = Leads(within=dict.fromkeys(deciding, lead), over=[lead] * len(deciding))
        text = show(summary)
        assert text.count(f"{rate} beyond chance") == 1
        assert text.count(f"{mlp}, as far as one training of each tells") == 1
        assert f"{mlp} beyond chance" not in text
        first = "MLP" if mlp == "behind" else "past click rate"
        assert f"The gates ask for less than {first} reaches here." in text
        assert (
            "dfei compare --dataset my.yaml --data . --set seed=3 --root out/mine-compared --models dfei,mlp,lightgbm"
            in text
        )


def test_the_change_against_the_last_blessed_model_has_its_interval() -> None:
    found = evaluation(
        {"a": domain(900, 90, 0.7)},
        baseline=Overall(average_auc=0.69),
        lead=Lead(difference=0.01, low=-0.002, high=0.022),
    )
    text = printed(run(evaluation=found), 200)
    minus = "\N{MINUS SIGN}"
    told = f"+0.0100 (95 % of resampled users {minus}0.0020 to +0.0220): not known, the interval is wide"
    assert f"against the last blessed model: 0.6900, this model {told}" in text
    assert text.count("last blessed model") == 1


def test_domains_that_have_no_say_are_named_with_the_reason() -> None:
    found = {"a": domain(900, 90, 0.7), "b": domain(40, 3, 0.6), "c": domain(31, 31, None)}
    assert "no say in the average: b (40 rows, 3 clicks), c (one class, 31 clicks)" in printed(
        run(evaluation=evaluation(found))
    )


def test_an_evaluation_of_few_clicks_is_said_to_tell_little() -> None:
    little = "the evaluation has 4 clicks in 72 rows: too few of a class to tell a good model from a bad one"
    few = evaluation({"a": domain(72, 4, 0.9)}, rows=72, positives=4, average_auc=None)
    assert little in printed(run(evaluation=few))
    assert "T" + little[1:] in " ".join(quality_sentences(few))
    assert "to tell a good model from a bad one" not in printed(run())


def test_a_run_in_which_nothing_was_new_does_not_look_like_a_success() -> None:
    text = printed(run(unchanged_since="2026-11-30T05:39:00+00:00"), 200)
    assert (
        "= Nothing changed since 30 November 2026, 05:39 UTC, still served: /out/serving/dfei/1770127331"
        in text
    )
    assert "1 file of impressions, as before; the newest row is of 5 May 2022" in text
    assert "Blessed and pushed" not in text
    assert "against the last blessed model" not in text


def test_a_run_that_came_to_the_model_which_was_served_does_not_look_like_a_push() -> None:
    text = printed(run(still_served=run().pushed_to), 200)
    assert f"= Blessed again, the same model, still served: {run().pushed_to}" in text


def test_a_refusal_says_what_is_served_and_where_the_bounds_stand() -> None:
    refused = {"blessed": False, "pushed_to": None, "reasons": ["average AUC 0.58 is below 0.6"]}
    said = {"still_served": "/out/serving/dfei/17", "bounds": "The bound is set in my.yaml"}
    text = printed(run(**refused, **said), 300)
    assert "Still served: /out/serving/dfei/17\n" in text
    assert "The bound is set in my.yaml\n" in text
    assert "may be chance" not in text
    assert "Nothing is served yet" in printed(run(**refused), 300)


def test_a_fall_that_may_be_chance_is_said_to_be_one() -> None:
    wide = Lead(difference=-0.012, low=-0.039, high=0.015)
    found = evaluation({"a": domain(900, 90, 0.7)}, lead=wide)
    reason = "average AUC fell by 0.0120: evaluation.thresholds.average_auc.max_drop"
    text = printed(run(blessed=False, pushed_to=None, reasons=[reason], evaluation=found), 400)
    assert "The fall may be chance: its interval holds 0." in text
    found = evaluation({"a": domain(900, 90, 0.7)}, lead=Lead(difference=-0.03, low=-0.04, high=-0.02))
    text = printed(run(blessed=False, pushed_to=None, reasons=[reason], evaluation=found), 400)
    assert "may be chance" not in text


def test_a_refusal_for_the_level_of_probabilities_names_the_values_that_are_fixed() -> None:
    found = evaluation({"a": domain(900, 90, 0.7)})
    for key, told in (
        ("normalized_entropy.max", True),
        ("calibration.max", True),
        ("overall_auc.min", False),
    ):
        reason = f"it missed evaluation.thresholds.{key}"
        refused = run(
            blessed=False, pushed_to=None, reasons=[reason], evaluation=found, fixed={"position": 10}
        )
        text = printed(refused, 400)
        assert ("Evaluation and serving have position at 10 (at_serving)" in text) == told


def test_a_served_model_that_is_judged_once_more_is_not_held_against_itself() -> None:
    """As where a bound was raised: what it is compared with was served before it."""
    earlier = Overall(average_auc=0.72)
    found = evaluation(
        {"a": domain(900, 90, 0.7)}, baseline=earlier, lead=Lead(difference=-0.012, low=-0.039, high=0.015)
    )
    again = {"still_served": "/out/serving/dfei/17", "is_served": True, "reasons": ["below 0.7"]}
    text = printed(run(blessed=False, pushed_to=None, evaluation=found, **again), 400)
    assert "against the model blessed before it: 0.7200" in text
    assert "Still served: /out/serving/dfei/17, which is this very model, blessed under other bounds" in text


def test_the_past_click_rate_that_is_ahead_over_all_rows_beyond_chance_is_named() -> None:
    usual = run()
    assert usual.study is not None

    def told(low: float, high: float) -> RunSummary:
        lead = Lead(difference=(low + high) / 2, low=low, high=high)
        past = usual.study.baselines[0]
        leads = past.leads.model_copy(update={"overall": lead, "log_loss": lead})
        others = [past.model_copy(update={"leads": leads}), *usual.study.baselines[1:]]
        return run(study=usual.study.model_copy(update={"baselines": others}))

    behind = told(-0.03, -0.01)
    said = (
        "past click rate does better over all rows together, beyond chance: overall AUC 0.6700, this model "
        "\u22120.0200 (95 % of resampled users \u22120.0300 to \u22120.0100), log loss 0.6300, this model +0.0200 "
        "(95 % of resampled users +0.0100 to +0.0300)"
    )
    assert said in printed(behind, 800)
    assert said[1:] in report_page(behind)
    for level in (told(-0.03, 0.001), told(0.01, 0.03), usual):
        assert "over all rows together" not in printed(level, 800)


def test_days_without_rows_inside_the_log_are_named() -> None:
    ingest = {**run().ingest, "gaps": [["2022-05-02", "2022-05-02"], ["2022-04-20", "2022-04-22"]]}
    page = report_page(run(ingest=ingest))
    assert "The log has no rows of 2 May 2022 and 20 April 2022 to 22 April 2022." in page
    assert ", without 2 May 2022 and 20 April 2022 to 22 April 2022" in page
    assert "without 2 May" not in report_page(run())
