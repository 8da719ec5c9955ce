"""The summary takes what the components hand over, and comes back from its JSON unchanged."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pytest

from pipeline.report.numbers import (
    UNDEFINED,
    chance,
    count,
    day,
    duration,
    figure,
    listing,
    percent,
    plural,
    short,
    signed,
)
from pipeline.report.summary import BestPossible, RunSummary
from tests.pipeline.report.summaries import run


def test_the_json_gives_the_same_summary() -> None:
    summary = run()
    assert RunSummary.model_validate_json(summary.model_dump_json()) == summary


def test_an_epoch_is_read_from_the_trainers_record() -> None:
    [first, second, refit] = run().history
    assert (first.train_loss, first.validation_average_auc, first.best) == (0.63, 0.69, True)
    assert second.validation_average_auc is None
    assert refit.phase == "refit"


@dataclass
class History:
    """What Transform's reader returns."""

    domains: tuple[str, ...]
    buckets: tuple[datetime, ...]
    behaviours: tuple[str, ...]
    averages: np.ndarray


def test_moving_averages_are_read_from_the_transforms_table() -> None:
    averages = np.array([[[0.25], [0.5]], [[np.nan], [0.125]]], np.float32)
    history = History(("a", "b"), (datetime(2022, 4, 25), datetime(2022, 4, 26)), ("click",), averages)
    found = run(moving_averages=history).moving_averages
    assert found is not None
    assert found.buckets == ["2022-04-25T00:00:00", "2022-04-26T00:00:00"]
    assert found.values == [[[0.25], [0.5]], [[None], [0.125]]]


@pytest.mark.parametrize(
    "given",
    [
        {"average_auc": 0.78, "overall_auc": 0.8, "rows": 9, "domains": {"1": {"auc": 0.7, "rows": 3}}},
        {"average": 0.78, "overall": 0.8, "domains": {"1": 0.7}},
    ],
)
def test_the_best_possible_is_read_in_both_forms(given: dict[str, object]) -> None:
    assert run(best_possible_auc=given).best_possible_auc == BestPossible(
        average=0.78, overall=0.8, domains={"1": 0.7}
    )


def test_models_and_domains_have_titles() -> None:
    assert run(model="hinet").model_title == "HiNet"
    assert run(model="mine").model_title == "mine"
    assert run().domain_title("4") == "tab 4"
    assert run(domain="").domain_title("4") == "domain 4"


def test_numbers_are_written_for_people() -> None:
    assert (figure(0.70999), figure(None)) == ("0.7100", UNDEFINED)
    assert [chance(p) for p in (0.03149, 0.001, 0.00099, None)] == ["0.031", "0.001", "< 0.001", UNDEFINED]
    assert (count(30_329), count(None)) == ("30,329", UNDEFINED)
    assert (percent(0.1234), percent(None)) == ("12.3 %", UNDEFINED)
    assert (signed(-0.01), signed(0.01), signed(None)) == ("\N{MINUS SIGN}0.0100", "+0.0100", UNDEFINED)
    assert [duration(s) for s in (None, 8.42, 59.97, 185, 7800)] == [
        UNDEFINED,
        "8.4 s",
        "1 min 00 s",
        "3 min 05 s",
        "2 h 10 min",
    ]
    assert (short("abc"), short("a" * 30, 5)) == ("abc", "aaaa…")
    assert [listing(words) for words in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == [
        "",
        "a",
        "a and b",
        "a, b and c",
    ]
    assert (plural(1, "domain"), plural(1200, "domain")) == ("1 domain", "1,200 domains")
    assert [day(value) for value in (None, "2022-05-05", "2022-05-05T10:00:00", "Monday")] == [
        UNDEFINED,
        "5 May 2022",
        "5 May 2022",
        "Monday",
    ]
