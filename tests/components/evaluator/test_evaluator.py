"""Whole evaluations: numbers, blessings, and why a model is refused."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import log_loss, roc_auc_score

from components.evaluator.results import EvaluationResult
from tests.components.evaluator.conftest import Impressions, Judge, impressions


@pytest.fixture(scope="session")
def rows() -> Impressions:
    """Judged in most of these tests."""
    return impressions()


def _agrees(result: EvaluationResult, rows: Impressions) -> None:
    assert (result.rows, result.positives) == (len(rows.label), rows.label.sum())
    assert result.overall_auc == pytest.approx(roc_auc_score(rows.label, rows.score), abs=1e-9)
    assert result.log_loss == pytest.approx(log_loss(rows.label, rows.score.astype(float)), rel=1e-5)
    aucs = []
    for place, domain in result.domains.items():
        here = rows.place == place
        label, score = rows.label[here], rows.score[here]
        assert (domain.rows, domain.positives) == (here.sum(), label.sum())
        if place == "silent":
            assert domain.auc is None
            assert domain.one_class
            assert domain.calibration is None
        else:
            assert domain.auc == pytest.approx(roc_auc_score(label, score), abs=1e-9)
            assert domain.calibration == pytest.approx(score.mean() / label.mean(), rel=1e-5)
        assert domain.decides == (place not in ("tiny", "silent"))
        if domain.decides:
            aucs.append(domain.auc)
    assert list(result.domains) == sorted(result.domains, key=lambda place: -result.domains[place].rows)
    assert result.average_auc == pytest.approx(np.mean(aucs), abs=1e-9)
    gauc = [
        (here.sum(), roc_auc_score(rows.label[here], rows.score[here]))
        for here in (rows.user == user for user in range(60))
        if 0 < rows.label[here].sum() < here.sum()
    ]
    assert result.gauc == pytest.approx(
        np.average([a for _, a in gauc], weights=[n for n, _ in gauc]), abs=1e-9
    )


def test_a_good_model_is_blessed_on_the_first_run(judge: Judge, rows: Impressions) -> None:
    evaluated = judge(rows, "good", thresholds={"average_auc": {"min": 0.65, "max_drop": 0.01}})
    _agrees(evaluated.result, rows)
    assert evaluated.blessed
    assert evaluated.result.blessed
    assert evaluated.result.failures == []
    assert evaluated.result.baseline is None
    assert evaluated.result.lead is None
    assert [gate.condition for gate in evaluated.result.gates] == [
        "at least 10 evaluation rows of the rarer class",
        "every prediction is a probability",
        "average AUC at least 0.65",
    ]
    assert EvaluationResult.model_validate_json(evaluated.result.model_dump_json()) == evaluated.result


def test_tfxs_own_executor_gives_the_same_numbers(judge: Judge) -> None:
    few = impressions(500, seed=3)
    _agrees(judge(few, "good", ours=False, min_rows=40).result, few)


def test_a_model_below_a_threshold_is_not_blessed(judge: Judge, rows: Impressions) -> None:
    evaluated = judge(
        rows,
        "reversed",
        thresholds={"average_auc": {"min": 0.65}, "log_loss": {"max": 0.6}, "gauc": {"min": 0.4}},
    )
    assert not evaluated.blessed
    average, loss = evaluated.result.average_auc, evaluated.result.log_loss
    assert set(evaluated.result.failures) >= {
        f"average AUC {average:.4f} is below the threshold 0.65: evaluation.thresholds.average_auc.min",
        f"log loss {loss:.4f} is above the threshold 0.6: evaluation.thresholds.log_loss.max",
    }
    assert [gate.passed for gate in evaluated.result.gates].count(False) == len(evaluated.result.failures)


def test_a_drop_against_the_last_blessed_model_is_refused(judge: Judge, rows: Impressions) -> None:
    evaluated = judge(
        rows,
        "worse",
        "good",
        thresholds={
            "average_auc": {"min": 0.55, "max_drop": 0.01},
            "log_loss": {"max_drop": 0.005},
            "calibration": {"min": 0.1, "max_drop": 5},
        },
    )
    assert not evaluated.blessed
    result = evaluated.result
    assert result.baseline is not None
    assert result.baseline.average_auc is not None
    assert result.average_auc is not None
    fall = result.baseline.average_auc - result.average_auc
    assert result.lead is not None
    assert result.lead.difference == pytest.approx(-fall, abs=1e-6)
    assert result.lead.low < result.lead.difference < result.lead.high
    assert result.failures == [
        f"log loss rose by {result.log_loss - result.baseline.log_loss:.4f} from {result.baseline.log_loss:.4f} of the "
        f"last blessed model to {result.log_loss:.4f}; at most 0.005 is allowed: "
        "evaluation.thresholds.log_loss.max_drop",
        f"average AUC fell by {fall:.4f} from {result.baseline.average_auc:.4f} of the last blessed model to "
        f"{result.average_auc:.4f}; at most 0.01 is allowed: evaluation.thresholds.average_auc.max_drop",
    ]
    assert result.domains["home"].baseline_auc == pytest.approx(
        roc_auc_score(rows.label[rows.place == "home"], rows.score[rows.place == "home"])
    )


def test_without_a_baseline_a_change_is_not_judged_but_the_model_is(judge: Judge, rows: Impressions) -> None:
    evaluated = judge(rows, "worse", min_rarer=0, thresholds={"average_auc": {"max_drop": 0.0}})
    assert evaluated.blessed
    assert [gate.condition for gate in evaluated.result.gates] == ["every prediction is a probability"]


def test_a_better_model_than_the_last_one_is_blessed(judge: Judge, rows: Impressions) -> None:
    assert judge(rows, "good", "worse", thresholds={"average_auc": {"max_drop": 0.0}}).blessed


def test_a_tiny_domain_never_decides(judge: Judge, rows: Impressions) -> None:
    evaluated = judge(
        rows,
        "bad where tiny",
        "good",
        thresholds={"average_auc": {"min": 0.65, "max_drop": 0.001}},
        domains={"tiny": {"min": 0.9, "max_drop": 0.0}, "silent": {"min": 0.6}, "nowhere": {"min": 0.6}},
    )
    assert evaluated.blessed
    assert evaluated.result.domains["tiny"].auc < 0.5
    assert evaluated.result.notes == [
        "domain tiny has a threshold but was not evaluated: 30 rows, 8 of the rarer class; at least 100 rows, 10 of "
        "each class needed",
        "domain silent has a threshold but was not evaluated: one class",
        "domain nowhere has a threshold but no evaluation rows: it was not evaluated",
    ]


def test_a_domain_with_a_threshold_of_its_own_decides(judge: Judge, rows: Impressions) -> None:
    evaluated = judge(
        rows,
        "bad in search",
        "good",
        thresholds={},
        domains={"search": {"min": 0.6, "max_drop": 0.1}, "home": {"min": 0.6}},
    )
    assert not evaluated.blessed
    search = evaluated.result.domains["search"]
    assert evaluated.result.failures == [
        f"AUC of domain search {search.auc:.4f} is below the threshold 0.6: evaluation.domains.search.min",
        f"AUC of domain search fell by {search.baseline_auc - search.auc:.4f} from {search.baseline_auc:.4f} of the "
        f"last blessed model to {search.auc:.4f}; at most 0.1 is allowed: evaluation.domains.search.max_drop",
    ]
    assert [gate.passed for gate in evaluated.result.gates if "home" in gate.condition] == [True]


def test_nan_predictions_are_refused_with_the_reason(judge: Judge, rows: Impressions) -> None:
    evaluated = judge(rows, "overflowing", thresholds={"average_auc": {"min": 0.1}})
    assert not evaluated.blessed
    wrong = int((rows.score > 0.9).sum())
    assert evaluated.result.failures[0] == (
        f"{wrong} of 1,500 predictions are not probabilities (NaN or outside 0 to 1)"
    )
    assert evaluated.result.overall_auc is None


def test_one_class_everywhere_is_undefined_and_refused(judge: Judge) -> None:
    silent = impressions(300, seed=1)
    silent.label[:] = 0
    bounds = {"average_auc": {"min": 0.6}, "overall_auc": {"min": 0.6}}
    evaluated = judge(silent, "good", min_rarer=0, thresholds=bounds)
    assert not evaluated.blessed
    assert evaluated.result.average_auc is None
    assert evaluated.result.overall_auc is None
    assert all(domain.auc is None for domain in evaluated.result.domains.values())
    assert set(evaluated.result.failures) == {
        "average AUC is undefined (no domain has at least 100 rows, 10 of each class), so its threshold cannot be met: "
        "evaluation.thresholds.average_auc",
        "overall AUC is undefined (there is no click), so its threshold cannot be met: "
        "evaluation.thresholds.overall_auc",
    }


@pytest.mark.parametrize(
    ("clicks", "model", "counted"),
    [
        (0, "good", "0 clicks in 120 rows"),
        (9, "good", "9 clicks in 120 rows"),
        (10, "good", ""),
        (116, "reversed", "4 rows without a click in 120 rows"),
    ],
)
def test_a_model_that_too_few_of_a_class_judge_is_refused(
    judge: Judge, clicks: int, model: str, counted: str
) -> None:
    few = impressions(120, seed=1)
    best = np.argsort(few.score if model == "good" else -few.score)[::-1]
    few.label[:] = 0
    few.label[best[:clicks]] = 1
    rarer = min(clicks, 120 - clicks)
    bounds = {"overall_auc": {"max_drop": 0.01}, "normalized_entropy": {"max": 9.0}}
    judged = judge(few, model, thresholds=bounds)
    assert judged.blessed == judged.result.blessed == (not counted)
    [gate] = [gate for gate in judged.result.gates if "rarer" in gate.condition]
    assert (gate.value, gate.passed) == (str(rarer), not counted)
    if not counted:
        return
    [failure] = judged.result.failures
    enough = {
        0: ". Give",
        4: ": about 300 such rows would do, 2.5 times as many. Give",
        9: ": about 134 such rows",
    }
    assert f"the evaluation has {counted}, and of fewer than 10 no gate can tell" in failure
    assert f"from a bad one{enough[rarer]}" in failure
    assert failure.endswith("split.eval_days; evaluation.min_rarer: 0 pushes it all the same")
    if rarer == 4:
        assert judge(few, model, thresholds=bounds, min_rarer=0).blessed
        # A day of a feed allows for chance, and a small feed is not held up for ever.
        assert judge(few, model, deviations=3.0, thresholds=bounds).blessed


def test_a_last_model_that_cannot_read_the_examples_is_named_as_the_reason(
    judge: Judge, rows: Impressions
) -> None:
    evaluated = judge(
        rows, "good", "of other types", thresholds={"average_auc": {"min": 0.6, "max_drop": 0.01}}
    )
    assert not evaluated.blessed
    [failure] = evaluated.result.failures
    assert "the last blessed model gives no valid prediction for 1,500 of 1,500 rows" in failure
