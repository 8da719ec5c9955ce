"""Numbers with currencies, per cent signs, thousands apart and decimal commas, where they are declared."""

from __future__ import annotations

import datetime

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.dataset.names import Written
from components.dataset.values import to_type

DATES: tuple[Written, ...] = ("iso", "dmy", "mdy")


def read(text: str, written: Written) -> float | str | None:
    typed = to_type(pl.Series([text], dtype=pl.String), "float", written=written)
    return "bad" if typed.bad[0] else typed.values[0]


@pytest.mark.parametrize(
    ("text", "point", "comma"),
    [
        ("$3.50", 3.5, "bad"),
        ("3,50 €", "bad", 3.5),
        ("$1,234.50", 1234.5, "bad"),
        ("1.234,50", "bad", 1234.5),
        ("1,234", 1234.0, 1.234),
        ("0,516", "bad", 0.516),
        ("-0.516", -0.516, "bad"),
        ("1'234'567.5", 1234567.5, "bad"),
        ("12\u00a0345", 12345.0, 12345.0),
        ("12.5%", 12.5, "bad"),
        ("(3)", -3.0, -3.0),
        ("-$5", -5.0, -5.0),
        ("$-5", -5.0, -5.0),
        ("\u22125", -5.0, -5.0),
        ("USD 7", 7.0, 7.0),
        ("CHF 1'234.50", 1234.5, "bad"),
        ("R$ 1.234,50", "bad", 1234.5),
        ("HK$7", 7.0, 7.0),
        ("7 Kč", 7.0, 7.0),
        ("7 元", 7.0, 7.0),
        ("ABC 7", "bad", "bad"),
        ("1e3", 1000.0, 1000.0),
        (".5", 0.5, "bad"),
        ("-", None, None),
        ("N/A", None, None),
        ("#N/A", None, None),
        ("", None, None),
        ("12,34,567", "bad", "bad"),
        ("1.2.3", "bad", "bad"),
        ("$", "bad", "bad"),
        ("3.5x", "bad", "bad"),
    ],
)
def test_writings(text: str, point: float | str | None, comma: float | str | None) -> None:
    assert (read(text, "point"), read(text, "comma")) == (point, comma)


@given(st.decimals(-(10**9), 10**9, places=2))
def test_both_ways_of_one_number(number: object) -> None:
    american = f"{number:,}"
    european = american.translate(str.maketrans(",.", ".,"))
    expected = read(str(number), "plain")
    assert read(f"${american}", "point") == expected
    assert read(f"{european} €", "comma") == expected


@given(st.text(max_size=12))
def test_any_text_is_read_or_bad(text: str) -> None:
    for written in ("point", "comma"):
        found = read(text, written)
        assert found in (None, "bad") or isinstance(found, float)


@pytest.mark.parametrize(
    ("text", "iso", "dmy", "mdy"),
    [
        ("2024-03-01", 19783.0, "bad", "bad"),
        (" 2024/3/1 ", 19783.0, "bad", "bad"),
        ("20240301", 19783.0, "bad", "bad"),
        ("20240301.0", 19783.0, "bad", "bad"),
        ("2024-03-01 12:00", 19783.5, "bad", "bad"),
        ("2024-03-01T06:00:00+06:00", 19783.0, "bad", "bad"),
        ("1 Mar 2024", 19783.0, "bad", "bad"),
        ("01.03.2024", "bad", 19783.0, 19725.0),
        ("31/12/1969", "bad", -1.0, "bad"),
        ("12/31/1969 6:00 PM", "bad", "bad", -0.25),
        ("1945-05-08", -9004.0, "bad", "bad"),
        ("0000-00-00", None, None, None),
        ("9999-12-31 23:59:59", None, None, None),
        ("31.12.9999", None, None, None),
        ("NaT", None, None, None),
        ("unknown", None, None, None),
        ("", None, None, None),
        ("2024-02-30", "bad", "bad", "bad"),
        ("19783", "bad", "bad", "bad"),
        ("1066-10-14", "bad", "bad", "bad"),
        ("soon", "bad", "bad", "bad"),
    ],
)
def test_dates_are_days(text: str, iso: object, dmy: object, mdy: object) -> None:
    assert [read(text, written) for written in DATES] == [iso, dmy, mdy]


def test_dates_of_parquet_are_days() -> None:
    noon = datetime.datetime(2024, 3, 1, 12)
    for column in (
        pl.Series([noon.date(), None]),
        pl.Series([noon - datetime.timedelta(hours=12), None]),
        pl.Series([20240301, None]),
        pl.Series([20240301.0, None]),
        pl.Series([b"2024-03-01", None]),
    ):
        typed = to_type(column, "float", written="iso")
        assert typed.values.to_list() == [19783.0, None]
        assert not typed.bad.any()
    tokyo = pl.Series([noon]).dt.replace_time_zone("Asia/Tokyo")
    assert to_type(tokyo, "float", written="iso").values[0] == 19783 + 3 / 24
    assert to_type(pl.Series([20240301.5]), "float", written="iso").bad.all()
