"""Scores of groups and their tests."""

from __future__ import annotations

import numpy as np
import pytest

from models.metrics import log_loss, within_auc
from pipeline.study.expected import ExpectedPairs
from pipeline.study.measure import adjust, against, curves, measured
from pipeline.study.plan import LOG_LOSS, Group
from tests.pipeline.study.results import result, scored

SYSTEMS = {"good": scored(1.5), "poor": scored(0.3), "same": scored(1.5)}
ROWS = SYSTEMS["good"][0].rows
GROUPS = {
    "all": Group(np.ones(len(ROWS.label), bool)),
    "small": Group(ROWS.domain >= 2),
    "one": Group(ROWS.user == 7),
}


def test_a_group_has_the_auc_of_its_own_rows_and_no_other() -> None:
    found = measured("here", SYSTEMS, GROUPS, curves(SYSTEMS, GROUPS, samples=5))
    assert len(found) == len(SYSTEMS) * len(GROUPS)
    for one in found:
        at = GROUPS[one.group].rows
        runs = SYSTEMS[one.model]
        label = ROWS.label[at]
        aucs = [within_auc(label, run.score[at], ROWS.domain[at]) for run in runs]
        assert one.auc.mean == (None if None in aucs else pytest.approx(np.mean(aucs)))
        assert one.log_loss.mean == pytest.approx(np.mean([log_loss(label, run.score[at]) for run in runs]))
        calibration = [run.score[at].sum() / label.sum() for run in runs] if label.sum() else None
        assert one.calibration.mean == (None if calibration is None else pytest.approx(np.mean(calibration)))


def test_the_better_is_ahead_beyond_chance_and_the_same_is_not_tested() -> None:
    found = curves(SYSTEMS, GROUPS, samples=50)
    tests = against(
        "here",
        "all",
        ("good", found["all", "good"]),
        [(name, found["all", name]) for name in ("poor", "same")],
    )
    adjust(tests)
    by_name = {test.other: test for test in tests}
    assert by_name["poor"].verdict == "ahead"
    assert by_name["poor"].low > 0
    assert by_name["same"].p_value is None
    assert by_name["same"].verdict == "tie"
    # One test alone is its own family.
    assert by_name["poor"].adjusted == by_name["poor"].p_value


def test_a_smaller_log_loss_is_better() -> None:
    found = curves(SYSTEMS, GROUPS, LOG_LOSS, samples=50)
    for seed, run in enumerate(SYSTEMS["poor"]):
        at = GROUPS["small"].rows
        assert found["small", "poor"].seeds[seed] == pytest.approx(-log_loss(ROWS.label[at], run.score[at]))
    [test] = against(
        "here", "all", ("good", found["all", "good"]), [("poor", found["all", "poor"])], LOG_LOSS
    )
    losses = {name: np.mean([log_loss(ROWS.label, run.score) for run in SYSTEMS[name]]) for name in SYSTEMS}
    assert test.difference == pytest.approx(losses["poor"] - losses["good"])
    assert test.metric == LOG_LOSS
    assert test.low < test.difference < test.high


def test_known_probabilities_are_judged_by_what_is_to_be_expected_of_them() -> None:
    run = SYSTEMS["good"][0]
    rng = np.random.default_rng(3)
    at = np.flatnonzero(ROWS.domain >= 2)[:40]
    rows = np.zeros(len(ROWS.label), bool)
    rows[at] = True
    chance = rng.random(len(at)).round(1)
    weight = rng.integers(0, 3, len(at)).astype(float)
    score, domain = run.score[at], ROWS.domain[at]
    won = pairs = 0.0
    for i in range(len(at)):
        for j in range(len(at)):
            if i != j and domain[i] == domain[j]:
                share = weight[i] * weight[j] * chance[i] * (1 - chance[j])
                pairs += share
                won += share * ((score[i] > score[j]) + (score[i] == score[j]) / 2)
    assert ExpectedPairs(chance, score, domain).auc(weight) == pytest.approx(won / pairs)
    certain = ROWS.label[at].astype(float)
    assert ExpectedPairs(certain, score, domain).auc() == pytest.approx(within_auc(certain, score, domain))
    assert ExpectedPairs([0.3], [0.5], np.array([1])).auc() is None
    assert ExpectedPairs([], [], np.array([], int)).auc() is None
    group = {"known": Group(rows, chance)}
    [found] = measured("here", {"good": [run]}, group, curves({"good": [run]}, group, samples=2))
    assert found.auc.mean == pytest.approx(ExpectedPairs(chance, score, domain).auc())
    assert found.log_loss.mean == pytest.approx(
        -(chance * np.log(score) + (1 - chance) * np.log(1 - score)).mean()
    )
    assert found.calibration.mean == pytest.approx(score.sum() / chance.sum())


def test_the_family_decides() -> None:
    tests = result().tests
    for test in tests:
        test.p_value, test.difference = 0.02, -0.01
    adjust(tests)
    assert [test.adjusted for test in tests] == [pytest.approx(0.08)] * 4
    assert {test.verdict for test in tests} == {"tie"}
    adjust(tests[:2])
    assert {test.verdict for test in tests[:2]} == {"behind"}
