"""A comparison ends with what to ship and how, or that nothing is to be gained."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from pipeline.compare.html import comparison_page
from pipeline.compare.result import Compared, Comparison, Response, Spread
from pipeline.compare.ship import advice
from pipeline.compare.table import legend, print_comparison
from tests.pipeline.compare.results import compared, comparison, versus

TIE, AHEAD, BEHIND = (0.001, -0.003, 0.004), (0.1, 0.09, 0.12), (-0.02, -0.03, -0.01)
PUSH = "dfei compare --dataset kuairand-pure --data D --root R --push --champion"


def of(*others: Compared, blessed: int = 2) -> Comparison:
    reference = compared("dfei", "DFEI", [0.71, 0.72])
    reference.blessed = blessed
    return comparison(models=[*others, reference], champion=None)


def other(name: str, found: tuple[float, float, float], blessed: int = 2) -> Compared:
    model = compared(name, name.upper(), [0.7, 0.71], versus(*found))
    model.blessed = blessed
    return model


@pytest.mark.parametrize(
    ("result", "begins", "holds"),
    [
        (of(other("mlp", AHEAD)), "Ship DFEI: ahead of all others beyond chance.", "dfei"),
        (of(other("star", BEHIND), other("mlp", AHEAD)), "Ship STAR: +0.0200 over DFEI", "star"),
        (of(other("mlp", TIE)), "Ship DFEI: nothing is to be gained by another model", "dfei"),
        (of(other("star", BEHIND, blessed=1)), "Ship DFEI: nothing is to be gained", "dfei"),
        (of(other("mlp", AHEAD), blessed=0), "Ship MLP: DFEI did not pass its gates", "mlp"),
        (of(), "Ship DFEI: it passed its gates; nothing was compared with it", "dfei"),
    ],
)
def test_what_is_worth_shipping(result: Comparison, begins: str, holds: str) -> None:
    told = advice(result)
    assert told.startswith(begins)
    assert f"{PUSH} {holds}" in told


def test_what_no_gate_lets_through_is_not_shipped() -> None:
    told = advice(of(other("mlp", AHEAD, blessed=0), blessed=1))
    assert told == "Nothing to ship: no model passed its gates with every seed."


def test_where_no_gate_judged_nothing_is_said_of_gates() -> None:
    result = of(other("mlp", AHEAD, blessed=0), blessed=0)
    for gated in (True, False):
        result.gated = gated
        out = io.StringIO()
        print_comparison(result, Console(file=out, width=200))
        page = comparison_page(result)
        assert ("gates" in out.getvalue(), "to ship" in out.getvalue()) == (gated, gated)
        assert ("gates passed" in page, "Nothing to ship" in page) == (gated, gated)


def test_what_is_level_and_answers_sooner_is_named() -> None:
    mlp = other("mlp", TIE)
    mlp.latency = {"1": Response(median_ms=1.0, p95_ms=2.0)}
    assert "MLP would do as well and answer in less time" in advice(of(mlp))
    mlp.latency = {"1": Response(median_ms=3.1, p95_ms=4.0)}
    assert "less time" not in advice(of(mlp))
    assert "MLP" not in advice(of(other("mlp", TIE)))


def test_what_came_out_first_for_less_is_shipped_though_nothing_is_known() -> None:
    mlp = other("mlp", (-0.01, -0.05, 0.03))
    mlp.average_auc, mlp.training_seconds = Spread.of([0.72, 0.73]), 3.0
    told = advice(of(mlp))
    assert told.startswith(
        "Ship MLP: it came out first, at 0.7250 where DFEI has 0.7150, with no larger log loss"
    )
    assert "Which of the two is better is not known: more --seeds" in told
    assert f"{PUSH} mlp" in told
    # As costly, behind, of a larger log loss, refused by a gate: there is no reason to change.
    for change in (
        {"training_seconds": 1000.0},
        {"average_auc": Spread.of([0.7, 0.71])},
        {"log_loss": Spread.of([9.0, 9.0])},
        {"blessed": 1},
    ):
        assert advice(of(mlp.model_copy(update=change))).startswith("Ship DFEI: nothing is to be gained"), (
            change
        )


def test_what_costs_less_and_may_be_as_good_is_named() -> None:
    mlp = other("mlp", (0.004, -0.03, 0.05))
    assert "not known" not in advice(of(mlp))
    mlp.training_seconds = 3.0
    assert (
        "; how MLP stands to it is not known, for less than half of the training time: more --seeds"
        in advice(of(mlp))
    )


def test_what_was_pushed_needs_no_advice() -> None:
    assert advice(comparison()) == ""


def test_it_is_the_last_line_and_stands_on_the_page() -> None:
    result = of(other("mlp", TIE))
    out = io.StringIO()
    print_comparison(result, Console(file=out, width=200))
    assert out.getvalue().splitlines()[-1].strip() == f"{PUSH} dfei"
    page = comparison_page(result)
    assert "Ship DFEI: nothing is to be gained" in page
    # As it is to be copied: no browser breaks a line at its hyphens.
    assert f"<pre>{PUSH} dfei</pre>" in page


def test_the_legend_names_the_reference_and_seeds_that_bear_no_p_value_are_not_asked_for_one() -> None:
    assert "DFEI is ahead of this model" in legend("DFEI")
    result = of(other("mlp", TIE))
    assert "The p value is of" in comparison_page(result)
    model = result.models[0]
    assert model.versus is not None
    model.versus.seed_p_value = None
    assert "The p value is of" not in comparison_page(result)


def test_the_best_possible_of_few_rows_is_not_compared() -> None:
    result = comparison(best_possible_average_auc=0.78, best_possible_overall_auc=0.8)
    for name, best in (("1", 0.7123), ("<7>", 0.3913)):
        result.domains[name].best_possible_auc = best
    page = comparison_page(result)
    assert "0.7123" in page
    assert "0.3913" not in page


def test_the_pages_head_is_no_warning_where_nobody_is_ahead_beyond_chance() -> None:
    assert 'class="verdict good"' in comparison_page(of(other("mlp", TIE)))
    assert 'class="verdict bad"' in comparison_page(of(other("star", BEHIND)))
