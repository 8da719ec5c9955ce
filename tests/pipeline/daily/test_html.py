"""The charts of a feed's days."""

from __future__ import annotations

from pipeline.daily import html


def test_of_a_single_day_the_axis_shows_days_and_not_its_milliseconds() -> None:
    day = {"day": "2026-11-19", "progressive": {"calibration": 1.16}}
    axis = html._calibration([day])["layout"]["xaxis"]
    assert axis["range"] == ["2026-11-18T12:00:00", "2026-11-19T12:00:00"]
    assert axis["dtick"] == 24 * 3_600_000
    many = [{"day": f"2026-10-{number:02}", "progressive": {"calibration": 1.0}} for number in range(1, 31)]
    assert html._calibration(many)["layout"]["xaxis"].get("dtick") is None
