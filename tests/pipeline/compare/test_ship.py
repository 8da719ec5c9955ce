"""A comparison ends with what to ship and how, or that nothing is to be gained."""

from __future__ import annotations

import html
import io

import pytest
from rich.console import Console

from pipeline.compare.html import comparison_page
from pipeline.compare.result import Champion, Compared, Comparison, Response, Spread
from pipeline.compare.ship import advice
from pipeline.compare.table import legend, print_comparison
from tests.pipeline.compare.results import compared, comparison, versus

TIE, AHEAD, BEHIND = (0.001, -0.003, 0.004), (0.1, 0.09, 0.12), (-0.02, -0.03, -0.01)
UNKNOWN = (0.004, -0.03, 0.05)
PUSH = "dfei compare --dataset kuairand-pure --data D --root R --push"
Found = tuple[float, float, float]


def of(**others: Found) -> Comparison:
    """DFEI validates best; what it is minus each of the others on the evaluation days."""
    models = [model("dfei", [0.71, 0.72]), *(model(name, [0.69, 0.70]) for name in others)]
    against = {name: versus(*found) for name, found in others.items()}
    for name, found in against.items():
        next(one for one in models if one.name == name).versus = found
    return comparison(models=models, champion=None, versus_champion=against)


def model(name: str, validation: list[float], passed: int = 2, seconds: float = 12.5) -> Compared:
    found = compared(name, name.upper(), validation)
    found.training_seconds = seconds
    for number, run in enumerate(found.trained):
        run.training_seconds, run.blessed = seconds, number < passed
    found.blessed = passed
    return found


def refuse(result: Comparison, *names: str) -> Comparison:
    for name in names:
        result.model(name).blessed = 0
        for run in result.model(name).trained:
            run.blessed = False
    return result


@pytest.mark.parametrize(
    ("result", "why"),
    [
        (of(mlp=AHEAD), "By the evaluation days DFEI is ahead of MLP, beyond chance."),
        (of(mlp=TIE), "DFEI is level, within 0.005, with MLP. Nothing is to be gained by another model"),
        (
            of(mlp=UNKNOWN),
            "it is not known how DFEI stands to MLP. That another model is better is not shown",
        ),
        (
            of(star=BEHIND, mlp=AHEAD),
            "DFEI is ahead of MLP; it is behind STAR, beyond chance. The two stretches",
        ),
        (of(), "Ship DFEI: it passed its gates.\n"),
        (refuse(of(mlp=TIE), "mlp"), "Ship DFEI: of 2 models only it passed its gates. By the"),
    ],
)
def test_the_validation_days_choose_and_the_evaluation_days_judge(result: Comparison, why: str) -> None:
    told = advice(result)
    assert told.startswith("Ship DFEI: ")
    assert why in told
    assert told.endswith(f"\n  {PUSH}")


def test_a_lead_on_the_evaluation_days_alone_ships_nothing() -> None:
    result = of(mlp=UNKNOWN)
    result.model("mlp").average_auc, result.model("mlp").training_seconds = Spread.of([0.9, 0.9]), 3.0
    told = advice(result)
    assert told.startswith(
        "Ship DFEI: it validates best (average AUC of the validation days 0.7150, MLP 0.6950)"
    )
    assert "MLP trains in less than half of the time (--champion mlp)." in told


def test_the_advice_is_the_same_once_it_was_followed() -> None:
    result = of(mlp=UNKNOWN, star=TIE)
    ship = advice(result)
    result.champion = Champion(name="dfei", seed=2, validation_average_auc=0.72, pushed_to="/s/1")
    assert advice(result) == ship.replace("Ship ", "Shipped ").removesuffix(f"\n  {PUSH}")
    for shown in (_printed(result), html.unescape(comparison_page(result))):
        assert advice(result) in shown
        assert "chosen by that of the validation days, 0.7200" in shown


def test_what_the_user_chose_is_called_that() -> None:
    result = of(mlp=UNKNOWN)
    result.champion = Champion(name="mlp", seed=1, validation_average_auc=0.69, pushed_to="/s/1")
    result.versus_champion = {"dfei": versus(-0.004, -0.05, 0.03)}
    told = advice(result)
    assert told.startswith(
        "Shipped MLP, your choice (--champion). The validation days choose DFEI: it validates best"
    )
    assert "By the evaluation days it is not known how MLP stands to DFEI." in told
    for shown in (_printed(result), html.unescape(comparison_page(result))):
        assert told in shown
        assert "named by --champion; of the validation days 0.6900" in shown
        assert "chosen by that" not in shown


def test_what_was_refused_is_not_said_to_be_shipped() -> None:
    result = of(mlp=TIE)
    result.refused = ["no training of mlp passed its gates"]
    assert advice(result).startswith(
        "Not shipped: what --champion named was not pushed. The validation days choose D"
    )


def test_a_cheaper_model_that_the_seeds_do_not_tell_apart_is_shipped() -> None:
    result = comparison(
        models=[model("dfei", [0.72, 0.70]), model("mlp", [0.71, 0.705], seconds=3.0)], champion=None
    )
    assert advice(result).startswith(
        "Ship MLP: DFEI validates best, but not with every seed (average AUC of the validation days 0.7100, MLP "
        "0.7075), and this one takes 24 % of its training time"
    )


def test_what_no_gate_lets_through_is_not_shipped() -> None:
    told = advice(refuse(of(mlp=AHEAD), "dfei", "mlp"))
    assert told == "Nothing to ship: no model passed its gates."


def test_where_no_gate_judged_nothing_is_said_of_gates() -> None:
    result = refuse(of(mlp=AHEAD), "dfei", "mlp")
    for gated in (True, False):
        result.gated = gated
        printed, page = _printed(result), comparison_page(result)
        assert ("gates" in printed, "to ship" in printed) == (gated, gated)
        assert ("gates passed" in page, "Nothing to ship" in page) == (gated, gated)


def test_what_is_level_and_answers_sooner_is_named() -> None:
    result = of(mlp=TIE, star=TIE)
    for name in ("mlp", "star"):
        result.model(name).latency = {"1": Response(median_ms=1.0, p95_ms=2.0)}
    assert "MLP and STAR answer in less time (--champion mlp)." in advice(result)
    result.model("star").latency = {"1": Response(median_ms=3.1, p95_ms=4.0)}
    assert "MLP answers in less time (--champion mlp)." in advice(result)
    assert "less time" not in advice(of(mlp=TIE))


def test_it_is_the_last_line_and_stands_on_the_page() -> None:
    result = of(mlp=TIE)
    assert _printed(result).splitlines()[-1].strip() == PUSH
    page = comparison_page(result)
    assert "Ship DFEI: it validates best" in page
    # As it is to be copied: no browser breaks a line at its hyphens.
    assert f"<pre>{PUSH}</pre>" in page


def test_the_legend_names_the_reference_and_seeds_that_bear_no_p_value_are_not_asked_for_one() -> None:
    assert "DFEI is ahead of this model" in legend("DFEI")
    result = of(mlp=TIE)
    assert "The p value is of" in comparison_page(result)
    found = result.model("mlp").versus
    assert found is not None
    found.seed_p_value = None
    assert "The p value is of" not in comparison_page(result)


def test_the_best_possible_of_few_rows_is_not_compared() -> None:
    result = comparison(best_possible_average_auc=0.78, best_possible_overall_auc=0.8)
    for name, best in (("1", 0.7123), ("<7>", 0.3913)):
        result.domains[name].best_possible_auc = best
    page = comparison_page(result)
    assert "0.7123" in page
    assert "0.3913" not in page


def test_the_pages_head_is_no_warning_where_nobody_is_ahead_beyond_chance() -> None:
    assert 'class="verdict good"' in comparison_page(of(mlp=TIE))
    assert 'class="verdict bad"' in comparison_page(of(star=BEHIND))


def test_the_model_that_came_out_first_is_named_where_another_is_shipped() -> None:
    result = of(lightgbm=(-0.0169, -0.0344, 0.0007))
    said = advice(result.model_copy(update={"models": result.models[::-1]}))
    assert "LIGHTGBM came out first there, by +0.0169 (95 % \N{MINUS SIGN}0.0007 to +0.0344)." in said
    assert "That another model is better is not shown" in said
    assert "came out first" not in advice(of(mlp=UNKNOWN))


def test_a_place_behind_others_that_nothing_is_known_of_is_no_success_either() -> None:
    result = of(mlp=TIE)
    page = comparison_page(result.model_copy(update={"models": result.models[::-1]}))
    assert 'class="verdict "' in page


def _printed(result: Comparison) -> str:
    out = io.StringIO()
    print_comparison(result, Console(file=out, width=1000))
    return out.getvalue()
