"""Names of columns in requests."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.dataset.input_names import input_name


@pytest.mark.parametrize(
    ("column", "name"),
    [
        ("user_id", "user_id"),
        ("A1__", "A1__"),
        ("Price ($)", "Price"),
        ("a.b-c d", "a_b_c_d"),
        ("_hidden", "hidden"),
        ("2nd", "column_2nd"),
        ("crème brûlée", "creme_brulee"),
        ("价格", "column"),
    ],
)
def test_examples(column: str, name: str) -> None:
    assert input_name(column) == name


@given(st.text(min_size=1))
def test_every_name_is_an_input_of_a_signature(column: str) -> None:
    name = input_name(column)
    assert re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name)
    assert input_name(name) == name
