"""The domains served worst, and what is said of the reasons."""

from __future__ import annotations

from typing import Any

from components.comparison.lead import ONE_TRAINING, Lead
from components.evaluator.results import DomainResult, Overall
from components.study.document import PAST_CLICK_RATE, Baseline, IdGroup, Leads, Study, TrainedDomain
from pipeline.report.reasons import fallen_words, weakest
from pipeline.report.story import weakness_sentences
from pipeline.report.summary import RunSummary
from tests.pipeline.report.summaries import evaluation, run


def evaluated(auc: float, rows: int = 2000, positives: int = 800, **changes: Any) -> DomainResult:
    """A domain that decides."""
    fields = {
        "rows": rows,
        "positives": positives,
        "auc": auc,
        "auc_standard_error": 0.01,
        "calibration": 1.0,
        "decides": True,
    }
    return DomainResult(**{**fields, **changes})


def test_a_refusal_says_whether_the_model_before_falls_on_the_same_rows() -> None:
    here = Overall(auc=0.52, average_auc=0.525, auc_standard_error=0.01)
    found = evaluation({"1": evaluated(0.52)}, baseline=here, overall=here)
    refused = {"blessed": False, "pushed_to": None, "evaluation": found}
    own_run = Overall(auc=0.705, average_auc=0.575, auc_standard_error=0.01)
    assert fallen_words(run(**refused, blessed_before=own_run)) == (
        "The model blessed before falls on these rows too (average AUC 0.5750 in its own run, 0.5250 here; overall AUC "
        "0.7050 in its own run, 0.5200 here): look at these days' labels"
    )
    assert fallen_words(run(**refused, blessed_before=here.model_copy(update={"auc": 0.53}))) is None
    assert "is not known here" in (fallen_words(run(**refused)) or "")
    better = found.model_copy(update={"baseline": Overall(auc=0.7)})
    assert fallen_words(run(**{**refused, "evaluation": better})) is None
    assert fallen_words(run(evaluation=found, blessed_before=own_run)) is None


def summary(
    worst: DomainResult, trained: TrainedDomain, baselines: dict[str, float], **changes: Any
) -> RunSummary:
    """A run of three domains, of which `1` is served worst."""
    normal = TrainedDomain(rows=20_000, positives=8000, rare_users=0.1, rare_items=0.1)
    study = Study(
        rows=6000,
        of=6000,
        baselines=[
            Baseline(name=name, description="", domains={"1": auc}) for name, auc in baselines.items()
        ],
        groups=[
            IdGroup(role="item", column="v", known=known, min_count=1, rows=rows, positives=9, auc=auc)
            for known, rows, auc in ((True, 5400, 0.75), (False, 600, 0.62))
        ],
        domains={"1": trained, "2": normal, "3": normal},
    )
    domains = {"1": worst, "2": evaluated(0.75), "3": evaluated(0.76)}
    return run(evaluation=evaluation(domains), study=study, best_possible_auc=None, **changes)


NORMAL = TrainedDomain(rows=20_000, positives=8000, rare_users=0.1, rare_items=0.1)


def first(run_summary: RunSummary) -> list[str]:
    """The reasons of the domain served worst."""
    return weakest(run_summary)[0].reasons


def test_the_worst_come_first_and_not_all_are_called_bad() -> None:
    found = weakest(summary(evaluated(0.6), NORMAL, {}))
    assert [(domain.name, domain.auc) for domain in found] == [("tab 1", 0.6), ("tab 2", 0.75)]
    assert found[0].clear
    assert not found[1].clear


def test_only_what_is_ahead_beyond_its_interval_is_named_as_better() -> None:
    better = "the data holds more than this model has learned of it."
    reasons = first(summary(evaluated(0.6), NORMAL, {"MLP": 0.65, PAST_CLICK_RATE: 0.53}))
    # Two models that were trained once each: nothing is beyond chance, and the data is not said to hold more.
    assert reasons == [
        "MLP (0.650) came out higher here, which may be luck: each was trained once.",
        "It is ahead here of past click rate (0.530).",
    ]
    [reason] = first(summary(evaluated(0.6), NORMAL, {PAST_CLICK_RATE: 0.65}))
    assert reason == f"The past click rate (0.650) does better here, beyond chance: {better}"
    [reason] = first(summary(evaluated(0.6), NORMAL, {PAST_CLICK_RATE: 0.65, "MLP": 0.66}))
    assert "beyond chance; MLP (0.660) came out higher, too: the data holds more" in reason


UNKNOWN = "How it stands here to MLP (0.650) is not known: these rows are too few to tell."


def test_what_is_within_the_interval_is_not_held_against_the_model() -> None:
    uncertain = evaluated(0.6, auc_standard_error=0.06)
    assert first(summary(uncertain, NORMAL, {"MLP": 0.65}))[0] == UNKNOWN
    assert first(summary(evaluated(0.6, auc_standard_error=None), NORMAL, {"MLP": 0.65})) == [UNKNOWN]
    for high, said in ((0.001, UNKNOWN), (-0.001, "MLP (0.650) came out higher here")):
        # The same users judge both, so the interval of the difference is the one that counts.
        assert first(_paired("MLP", 0.65, Lead(difference=-0.05, low=-0.09, high=high)))[0].startswith(said)


def test_what_comes_as_far_is_said_to_only_where_the_interval_is_narrow() -> None:
    level = Lead(difference=0.002, low=-0.002, high=0.004)
    [reason] = first(_paired("MLP", 0.598, level))
    gained = f"another kind of model gains nothing here, {ONE_TRAINING}; other inputs or more rows may."
    assert reason == f"Level with it, within 0.005, is MLP (0.598): {gained}"
    [reason] = first(_paired(PAST_CLICK_RATE, 0.598, level))
    assert reason.endswith("the inputs say no more here yet than past clicks do.")
    assert "not known" in first(summary(evaluated(0.6), NORMAL, {"MLP": 0.598}))[0]


def _paired(name: str, auc: float, lead: Lead) -> RunSummary:
    found = summary(evaluated(0.6), NORMAL, {name: auc})
    assert found.study is not None
    found.study.baselines[0].leads = Leads(within={"1": lead}, over=[lead])
    return found


def test_probabilities_are_off_only_beyond_chance_and_in_whichever_domain() -> None:
    few = evaluated(0.6, rows=700, positives=60, calibration=1.26)
    many = evaluated(0.7, rows=1000, positives=150, calibration=1.36, decides=False)
    run_summary = summary(few, NORMAL, {})
    run_summary.evaluation.domains["4"] = many
    assert not any("too high" in reason for reason in first(run_summary))
    assert "Probabilities are farthest off in tab 4 (36 % too high)." in weakness_sentences(run_summary)


def test_a_verdict_calls_none_worst_that_may_be_no_worse() -> None:
    run_summary = summary(evaluated(0.74, auc_standard_error=0.03), NORMAL, {})
    [sentence] = weakness_sentences(run_summary)
    assert sentence.startswith(
        "No domain is below the average beyond chance; the lowest: tab 1 (AUC 0.740 ± 0.059"
    )
    [sentence] = weakness_sentences(summary(evaluated(0.6), NORMAL, {}))
    assert sentence == "Served worst: tab 1 (AUC 0.600 ± 0.020, 2,000 rows); the reasons are below."


def test_little_training_data_is_named() -> None:
    [reason] = first(summary(evaluated(0.6), TrainedDomain(rows=1000, positives=400), {}))
    assert reason == "Training had only 400 clicks of it (1,000 impressions, 2.4 % of all)."
    [reason] = first(summary(evaluated(0.6), TrainedDomain(rows=6000, positives=2400), {}))
    assert reason == "Training had only 6,000 impressions of it, 13.0 % of all."


def test_a_click_rate_that_moved_is_named_unless_chance_explains_it() -> None:
    moved = TrainedDomain(rows=20_000, positives=4000)
    assert "Its click rate moved from 20.0 % in training to 40.0 % on the evaluation days." in first(
        summary(evaluated(0.6), moved, {})
    )
    few = evaluated(0.6, rows=40, positives=16)
    near = TrainedDomain(rows=20_000, positives=7000)
    assert not any("moved" in reason for reason in first(summary(few, near, {})))


def test_ids_that_training_hardly_knew_are_named_with_what_they_cost() -> None:
    rare = TrainedDomain(rows=20_000, positives=8000, rare_items=0.4)
    [reason] = first(summary(evaluated(0.6), rare, {}))
    assert reason == (
        "40 % of its impressions are of items that training hardly knew, 10 % over all domains "
        "(overall AUC with such items 0.620, with known ones 0.750)."
    )


def test_a_wide_interval_and_wrong_probabilities_are_named() -> None:
    uncertain = evaluated(0.6, rows=600, positives=240, auc_standard_error=0.03, calibration=1.4)
    assert first(summary(uncertain, NORMAL, {})) == [
        "It was evaluated on only 240 clicks: its AUC is known to ± 0.059.",
        "Its probabilities are 40 % too high on average.",
    ]


def test_the_last_blessed_model_and_the_best_possible_are_named() -> None:
    regressed = summary(evaluated(0.6, baseline_auc=0.64), NORMAL, {})
    higher = "The last blessed model came out higher here: 0.640 (−0.040)"  # noqa: RUF001
    assert first(regressed) == [f"{higher}, {ONE_TRAINING}."]
    assert "last blessed" not in first(summary(evaluated(0.6, baseline_auc=0.61), NORMAL, {}))[0]
    best = {"average": 0.8, "overall": 0.8, "domains": {"1": 0.605}}
    limited = regressed.model_copy(
        update={"best_possible_auc": run(best_possible_auc=best).best_possible_auc}
    )
    assert "No model can do much better: the true probabilities reach 0.605." in first(limited)


def test_a_domain_without_a_recorded_reason_says_so() -> None:
    [reason] = first(summary(evaluated(0.6), NORMAL, {}))
    assert reason.startswith("Nothing that this report records")


def test_there_is_no_worst_of_one() -> None:
    assert weakest(run(evaluation=evaluation({"1": evaluated(0.6)}))) == []
    assert weakest(RunSummary(dataset="d", model="m")) == []
