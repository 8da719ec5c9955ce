"""The charts of a feed's days."""

from __future__ import annotations

import pytest

from pipeline.daily import html


def test_of_a_single_day_the_axis_shows_days_and_not_its_milliseconds() -> None:
    day = {"day": "2026-11-19", "progressive": {"calibration": 1.16}}
    axis = html._calibration([day])["layout"]["xaxis"]
    assert axis["range"] == ["2026-11-18T12:00:00", "2026-11-19T12:00:00"]
    assert axis["dtick"] == 24 * 3_600_000
    many = [{"day": f"2026-10-{number:02}", "progressive": {"calibration": 1.0}} for number in range(1, 31)]
    assert html._calibration(many)["layout"]["xaxis"].get("dtick") is None


def test_no_interval_leaves_0_to_1() -> None:
    found = html._interval([(0.97, 0.1), (0.04, 0.1), (0.7, 0.01), (1.0, None)])
    assert found["array"] == pytest.approx([0.03, 0.196, 0.0196, 0.0])
    assert found["arrayminus"] == pytest.approx([0.196, 0.04, 0.0196, 0.0])


def test_labels_of_small_charts_do_not_run_into_each_other() -> None:
    judged = {"rows": 90, "positives": 30, "auc": 0.6, "auc_standard_error": 0.02}
    for many, marks in ((1, ["01"]), (2, ["01", "02"]), (28, ["08", "21"])):
        days = [
            {"day": f"2026-11-{number:02}", "progressive": {"domains": {"a": judged}}}
            for number in range(1, many + 1)
        ]
        assert html._domains(days)["layout"]["xaxis"]["tickvals"] == [f"2026-11-{day}" for day in marks]


def test_a_domain_of_a_few_clicks_does_not_squeeze_those_beside_it() -> None:
    known = {"rows": 900, "positives": 300, "auc": 0.6, "auc_standard_error": 0.01}
    few = {"rows": 60, "positives": 1, "auc": 0.6, "auc_standard_error": 0.3}
    drawn = html._domains([{"day": "2026-11-01", "progressive": {"domains": {"a": known, "b": few}}}])
    low, high = drawn["layout"]["yaxis"]["range"]
    assert 0.3 < low < 0.4 and 0.8 < high < 0.9


def test_a_domain_of_one_class_every_day_has_no_chart() -> None:
    judged = {"rows": 90, "positives": 30, "auc": 0.6, "auc_standard_error": 0.02}
    silent = {"rows": 100, "positives": 0, "auc": None, "auc_standard_error": None}
    days = [
        {"day": f"2026-11-{number}", "progressive": {"domains": {"a": judged, "b": silent}}}
        for number in (18, 19)
    ]
    drawn = html._domains(days)
    assert [title["text"] for title in drawn["layout"]["annotations"]] == ["a (180 rows)"]


def test_how_many_days_the_mean_is_of() -> None:
    judged = {"day": "2026-11-18", "progressive": {"overall_auc": 0.7}}
    other = {"day": "2026-11-19", "progressive": None}
    tally = {"pushed": 1, "learned": 0, "refused": 0, "missing": 0}
    assert html._lead([judged], tally).startswith(
        "1 day from 2026-11-18 to 2026-11-18: 1 pushed. Each was judged"
    )
    both = html._lead([judged, other], tally)
    assert both.endswith(
        "1 of them was judged before the feed learned any of its rows: overall AUC 0.7000 as the mean."
    )
