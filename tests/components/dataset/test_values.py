"""Texts to types: what fits, what is missing, what is refused."""

from __future__ import annotations

import math
import re
from datetime import date, datetime, timezone
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.dataset.sections import Feature
from components.dataset.times import to_local_ms
from components.dataset.values import MISSING_NUMBERS, to_type

BAD = "bad"


def cast(values: list[Any], kind: Any, separator: str | None = None) -> list[Any]:
    typed = to_type(pl.Series(values), kind, separator)
    return [
        BAD if bad else value for value, bad in zip(typed.values.to_list(), typed.bad.to_list(), strict=True)
    ]


def local(values: list[Any], unit: Any, zone: str = "Asia/Shanghai") -> list[Any]:
    typed = to_local_ms(pl.Series(values), unit, zone)
    return [
        BAD if bad else value for value, bad in zip(typed.values.to_list(), typed.bad.to_list(), strict=True)
    ]


def ms(*parts: int) -> int:
    return int(datetime(*parts, tzinfo=timezone.utc).timestamp() * 1000)  # type: ignore[misc, arg-type]


def test_ints() -> None:
    texts = [
        "1",
        "-5",
        "+5",
        " 7 ",
        "4.0",
        "1e3",
        "",
        "NaN",
        "null",
        "N/A",
        "\\N",
        "1.5",
        "x",
        "0x1",
        "1_0",
        "inf",
    ]
    assert cast(texts, "int") == [1, -5, 5, 7, 4, 1000, None, None, None, None, None, BAD, BAD, BAD, BAD, BAD]


def test_large_ints_keep_every_digit() -> None:
    texts = ["9223372036854775807", " 9007199254740993", "9223372036854775808", "-9223372036854775808"]
    assert cast(texts, "int") == [2**63 - 1, 2**53 + 1, BAD, -(2**63)]
    with_fraction = [
        "9007199254740993.0",
        " 9223372036854775807.00 ",
        "9223372036854775808.0",
        "7.",
        ".",
        ".0",
    ]
    assert cast(with_fraction, "int") == [2**53 + 1, 2**63 - 1, BAD, 7, BAD, 0]


def test_floats() -> None:
    texts = ["1", "2.5", ".5", "5.", "1e-3", " 7 ", "", "nan", "none", "inf", "1e39", "x", "1,5"]
    assert cast(texts, "float") == [1.0, 2.5, 0.5, 5.0, 0.001, 7.0, None, None, None, BAD, BAD, BAD, BAD]


def test_strings_keep_all_but_the_empty_one() -> None:
    assert cast(["a", " b ", "", None, "NaN"], "string") == ["a", " b ", None, None, "NaN"]


def test_lists() -> None:
    assert cast(["a;b", " a ; ;c", "", None, ";"], "string", ";") == [
        ["a", "b"],
        ["a", "c"],
        None,
        None,
        None,
    ]
    assert cast(["1|2.0", "1|x", "", "nan|3"], "int", "|") == [[1, 2], BAD, None, [3]]


def test_types_of_parquet() -> None:
    assert cast([True, False, None], "int") == [1, 0, None]
    assert cast([1.0, math.nan, 1.5, math.inf, None], "int") == [1, None, BAD, BAD, None]
    assert cast([1, None], "float") == [1.0, None]
    assert cast([math.nan, 2.0, math.inf], "float") == [None, 2.0, BAD]
    assert cast([5, None], "string") == ["5", None]
    assert cast([[1, 2], [], None, [None, 3]], "int", ";") == [[1, 2], None, None, [3]]


def test_bytes_are_text_or_unfit() -> None:
    assert cast([b"a", b"", None, b"\xff"], "string") == ["a", None, None, BAD]
    assert cast([b"7", b" 8.0", b"", b"x", b"\xff"], "int") == [7, 8, None, BAD, BAD]
    assert cast([b"a;b", b"\xff;b"], "string", ";") == [["a", "b"], BAD]
    assert cast([[b"a", b"b"], [b"\xff"]], "string", ";") == [["a", "b"], BAD]
    assert local([b"2022-04-25", b"", b"\xff"], "iso") == [ms(2022, 4, 25), None, BAD]


@pytest.mark.parametrize("kind", ["int", "float", "string"])
def test_no_rows(kind: Any) -> None:
    empty = pl.Series([], dtype=pl.String)
    assert len(to_type(empty, kind).values) == len(to_type(empty, kind, ",").values) == 0


def test_instants_become_wall_clock_times() -> None:
    expected = ms(2022, 4, 24, 23, 5, 41) + 436
    assert local(["1650812741436", "", "x", "12"], "ms") == [expected, None, BAD, BAD]
    assert local(["1650812741.436", "1650812741436"], "s") == [expected, BAD]
    assert local(["1650812741436999"], "us") == [expected]
    assert local([1650812741436, None], "ms") == [expected, None]


def test_iso_texts() -> None:
    texts = {
        "2022-04-25T00:30:00Z": ms(2022, 4, 25, 8, 30),
        "2022-04-25 00:30:00+08:00": ms(2022, 4, 25, 0, 30),
        "2022-04-25T00:30:00.1234-0500": ms(2022, 4, 25, 13, 30) + 123,
        "2022-04-25 00:30:00 UTC": ms(2022, 4, 25, 8, 30),
        "2022-04-25 10:30": ms(2022, 4, 25, 10, 30),
        "2022-04-25": ms(2022, 4, 25),
        "2022-13-25": BAD,
        "25.04.2022": BAD,
        "": None,
    }
    assert local(list(texts), "iso") == list(texts.values())


def test_the_reference_lists_the_marks_of_a_missing_number() -> None:
    description = Feature.model_fields["type"].description or ""
    listed = {mark.lower() for mark in re.findall("`(.*?)`", description)}
    assert listed == set(MISSING_NUMBERS) - {""}
    assert cast(["NULL", "x"], "string") == ["NULL", "x"]


def test_times_of_parquet() -> None:
    assert local([datetime(2022, 4, 25, 0, 30, tzinfo=timezone.utc)], "ms") == [ms(2022, 4, 25, 8, 30)]
    assert local([datetime(2022, 4, 25, 0, 30)], "ms") == [ms(2022, 4, 25, 0, 30)]
    assert local([date(2022, 4, 25)], "iso") == [ms(2022, 4, 25)]


def test_wall_clock_across_the_change_to_summer_time() -> None:
    before, after = ms(2022, 3, 27, 0, 59), ms(2022, 3, 27, 1, 0)
    assert local([before, after], "ms", "Europe/Paris") == [ms(2022, 3, 27, 1, 59), ms(2022, 3, 27, 3, 0)]


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False, width=32)))
def test_every_float_comes_back(values: list[float]) -> None:
    assert cast([*map(repr, values), "x"], "float")[:-1] == values


@given(st.lists(st.integers(-(2**63), 2**63 - 1)))
def test_every_int_comes_back(values: list[int]) -> None:
    assert cast([*map(str, values), "x"], "int")[:-1] == values
