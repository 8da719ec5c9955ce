"""The page and the table of a study."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from pipeline.study.html import study_page
from pipeline.study.result import StudyResult
from pipeline.study.table import print_study
from tests.pipeline.study.results import result


def test_the_page_holds_every_group_every_test_and_every_cost() -> None:
    page = study_page(result())
    assert page.count("points/21/comparison.html") == 2
    assert "&lt;MLP&gt;" in page
    assert "<MLP>" not in page.split("<script", 1)[0]
    assert page.count('<td class="yes">ahead</td>') == 4
    assert "ms, 512 rows" in page
    assert "dfei study domains" in page
    assert page.count('class="plot"') == 4


def test_the_table_names_what_is_beyond_chance() -> None:
    text = io.StringIO()
    print_study(result(), Console(file=text, width=200))
    assert "21, tail, AUC: DFEI ahead of <MLP> by +0.0100" in text.getvalue()
    assert "Of 4 tests 4 find the reference ahead beyond chance and 0 behind" in text.getvalue()


@pytest.mark.parametrize("width", [60, 80, 200])
def test_no_figure_is_cut(width: int) -> None:
    text = io.StringIO()
    many = result(("DFEI", "<MLP>", *(f"another model {letter}" for letter in "abcdef")))
    print_study(many, Console(file=text, width=width))
    table = text.getvalue().split("AUC: DFEI ahead")[0]
    assert "…" not in table
    assert table.count("0.7000") == len(many.measured)


def test_a_result_is_read_back_as_it_was_written() -> None:
    assert StudyResult.model_validate_json(result().model_dump_json()) == result()
