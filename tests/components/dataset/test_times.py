"""Dates as logs write them, read as they stand; what is no time is marked."""

from __future__ import annotations

from datetime import datetime, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.dataset.sections import TimeUnit
from components.dataset.times import to_local_ms

BAD = "bad"


def local(values: list[object], unit: TimeUnit, zone: str = "UTC") -> list[str | None]:
    typed = to_local_ms(pl.Series(values), unit, zone)
    found = [
        None if ms is None else str(datetime(1970, 1, 1) + timedelta(milliseconds=ms)) for ms in typed.values
    ]
    return [BAD if bad else text for text, bad in zip(found, typed.bad.to_list(), strict=True)]


@pytest.mark.parametrize(
    ("unit", "text", "expected"),
    [
        ("iso", "2017/05/05", "2017-05-05 00:00:00"),
        ("iso", "2017/5/5 4:03 PM", "2017-05-05 16:03:00"),
        ("iso", "Fri May  5 16:03:21 2017", "2017-05-05 16:03:21"),
        ("iso", "Fri May 05 09:03:21 -0700 2017", "2017-05-05 16:03:21"),
        ("iso", "Fri, 5 May 2017 16:03:21 GMT", "2017-05-05 16:03:21"),
        ("iso", "05/May/2017:18:03:21 +0200", "2017-05-05 16:03:21"),
        ("iso", "May 5, 2017 4:03 PM", "2017-05-05 16:03:00"),
        ("iso", "5 Sept. 2017, 16:03", "2017-09-05 16:03:00"),
        ("iso", "05-DEC-2017", "2017-12-05 00:00:00"),
        ("iso", "Marvel 5 2017", BAD),
        ("iso", "31 Feb 2017", BAD),
        ("iso", "2017-05-05 12:03:21 AM", "2017-05-05 00:03:21"),
        ("iso", "2017-05-05 12:03:21 p.m.", "2017-05-05 12:03:21"),
        ("iso", "2017-05-05 13:03 PM", BAD),
        ("iso", "2017-05-05T16", "2017-05-05 16:00:00"),
        ("iso", "20170505", "2017-05-05 00:00:00"),
        ("iso", "20170505.0", "2017-05-05 00:00:00"),
        ("iso", "2017050516", "2017-05-05 16:00:00"),
        ("iso", "201705051603", "2017-05-05 16:03:00"),
        ("iso", "20170505160321", "2017-05-05 16:03:21"),
        ("iso", "20170505160321250", "2017-05-05 16:03:21.250000"),
        ("iso", "20170505T160321Z", "2017-05-05 16:03:21"),
        ("iso", "20170505T160321+0200", "2017-05-05 14:03:21"),
        ("iso", "20170505 16:03:21", "2017-05-05 16:03:21"),
        ("iso", "2017131316", BAD),
        ("iso", "2017050525", BAD),
        ("iso", "17050516", BAD),
        ("iso", "2017-02-30", BAD),
        ("iso", "noon", BAD),
        ("yymmddhh", "17050516", "2017-05-05 16:00:00"),
        ("yymmddhh", "1705051603", "2017-05-05 16:03:00"),
        ("yymmddhh", "9050516", "2009-05-05 16:00:00"),
        ("yymmddhh", "17130516", BAD),
        ("dmy", "5.12.2017 16:03", "2017-12-05 16:03:00"),
        ("dmy", "05/12/2017 16h03", "2017-12-05 16:03:00"),
        ("dmy", "13/12/2017", "2017-12-13 00:00:00"),
        ("dmy", "12/13/2017", BAD),
        ("mdy", "12/5/2017 4:03:21 PM", "2017-12-05 16:03:21"),
        ("mdy", "12/05/2017, 4:03 pm", "2017-12-05 16:03:00"),
        ("ns", "1494000201250000000", "2017-05-05 16:03:21.250000"),
        ("ns", "1494000201250", BAD),
    ],
)
def test_forms(unit: TimeUnit, text: str, expected: str) -> None:
    assert local([text, ""], unit) == [expected, None]
    if text.isdigit():
        assert local([int(text)], unit) == [expected]


def test_columns_of_several_forms() -> None:
    assert local(["20170505", "2017-05-06", "2017/05/07 1:00 AM", None], "iso") == [
        "2017-05-05 00:00:00",
        "2017-05-06 00:00:00",
        "2017-05-07 01:00:00",
        None,
    ]


@given(st.datetimes(datetime(2000, 1, 1), datetime(2099, 12, 31)))
def test_every_form_of_a_moment_is_the_moment(moment: datetime) -> None:
    moment = moment.replace(microsecond=0)
    forms: list[tuple[TimeUnit, str]] = [
        ("iso", "%Y-%m-%d %H:%M:%S"),
        ("iso", "%Y/%m/%d %I:%M:%S %p"),
        ("iso", "%Y%m%dT%H%M%SZ"),
        ("iso", "%Y%m%d%H%M%S"),
        ("yymmddhh", "%y%m%d%H%M%S"),
        ("dmy", "%d.%m.%Y %H:%M:%S"),
        ("mdy", "%m/%d/%Y %I:%M:%S %p"),
    ]
    for unit, form in forms:
        assert local([moment.strftime(form)], unit) == [str(moment)], form
