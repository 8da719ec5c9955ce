"""Numbers with currencies, per cent signs, thousands apart and decimal commas, where they are declared."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.dataset.names import Written
from components.dataset.values import to_type


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
        ("1'234'567.5", 1234567.5, "bad"),
        ("12\u00a0345", 12345.0, 12345.0),
        ("12.5%", 12.5, "bad"),
        ("(3)", -3.0, -3.0),
        ("-$5", -5.0, -5.0),
        ("$-5", -5.0, -5.0),
        ("\u22125", -5.0, -5.0),
        ("USD 7", 7.0, 7.0),
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
