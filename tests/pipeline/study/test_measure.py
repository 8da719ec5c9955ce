"""Scores of groups and their tests."""

from __future__ import annotations

import numpy as np
import pytest

from models.metrics import log_loss, within_auc
from pipeline.study.measure import adjust, against, curves, measured
from pipeline.study.plan import LOG_LOSS, Group
from tests.pipeline.study.results import result, scored

SYSTEMS = {"good": scored(1.5), "poor": scored(0.3), "same": scored(1.5)}
ROWS = SYSTEMS["good"][0].rows
GROUPS = {
    "all": Group(np.ones(len(ROWS.label), bool), 0.9),
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


def test_the_family_decides() -> None:
    tests = result().tests
    for test in tests:
        test.p_value, test.difference = 0.02, -0.01
    adjust(tests)
    assert [test.adjusted for test in tests] == [pytest.approx(0.08)] * 4
    assert {test.verdict for test in tests} == {"tie"}
    adjust(tests[:2])
    assert {test.verdict for test in tests[:2]} == {"behind"}
