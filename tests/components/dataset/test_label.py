"""Labels that are made of ratings and texts."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from components.dataset.label import is_positive, label_of
from components.dataset.sections import Positive
from tests.components.dataset.test_declaration import MINIMAL, load, refusal


def test_a_rating_counts_from_a_bound_on() -> None:
    rule = Positive(at_least=4)
    found = is_positive(pl.Series([5.0, 4.0, 3.5, None, -1.0]), rule)
    assert found.to_list() == [1, 1, 0, None, 0]
    assert is_positive(pl.Series([3, 4]), rule).to_list() == [0, 1]


def test_texts_count_as_they_are_written() -> None:
    rule = Positive(one_of=["purchase", "Add to cart"])
    found = is_positive(pl.Series(["purchase", " purchase ", "Purchase", "view", None, "Add to cart"]), rule)
    assert found.to_list() == [1, 1, 0, 0, None, 1]
    assert is_positive(pl.Series([True, False, None]), Positive(one_of=["true"])).to_list() == [1, 0, None]


def test_without_a_rule_the_column_is_the_label(tmp_path: Path) -> None:
    rows = pl.DataFrame({"click": [1, 0, None]})
    assert label_of(rows, load(tmp_path, MINIMAL)).to_list() == [1, 0, None]


def test_a_rated_label_is_read_as_a_number_and_written_as_0_and_1(tmp_path: Path) -> None:
    text = (
        MINIMAL
        + "behaviours:\n  rating: {column: click}\n  liked: {column: click, positive: {at_least: 4}}\n"
    )
    declaration = load(tmp_path, text, "positive.at_least=4")
    assert declaration.raw_columns()["click"] == "float"
    assert declaration.example_columns()["click"] == "int"
    assert declaration.example_columns()["behaviour.liked"] == "float"
    assert declaration.from_json(declaration.to_json()) == declaration


def test_a_text_label_is_read_as_text(tmp_path: Path) -> None:
    text = MINIMAL + "behaviours:\n  viewed: {column: event, positive: {one_of: [view]}}\n"
    declaration = load(tmp_path, text, "positive={one_of: [purchase]}", "label=event")
    assert declaration.raw_columns()["event"] == "string"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["positive={}"], "give either `at_least` (a number) or `one_of`"),
        (["positive={at_least: 4, one_of: [a]}"], "give either `at_least` (a number) or `one_of`"),
        (["columns.click=string", "positive.at_least=4"], "click is a text: `at_least` needs a number"),
        (["columns.click=float"], "the label click must be of type int (0 or 1), or have `positive`"),
        (
            ["behaviours.b={numerator: a, denominator: price, positive: {at_least: 1}}"],
            "`positive` needs `column`",
        ),
    ],
)
def test_rules_that_say_nothing_are_refused(tmp_path: Path, settings: list[str], message: str) -> None:
    assert message in refusal(tmp_path, MINIMAL, *settings)
