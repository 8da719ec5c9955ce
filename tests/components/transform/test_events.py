"""Behaviour from elsewhere: it feeds the averages of keys, and nothing else."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.transform.columns import NO_INTEGER
from tests.components.transform import direct, oracle
from tests.components.transform.strategies import CHAINS, DAY, DECAY, DECLARED, STRENGTH, log
from tests.components.transform.test_state import assert_same_state, cut, fold

Rows = list[dict[str, Any]]


def as_events(rows: Rows) -> Rows:
    """Rows as ExampleGen writes events: no label, no domain, and one behaviour that nobody recorded."""
    return [
        {**row, "tab": NO_INTEGER, "home": "elsewhere", "click": -1, "behaviour.like": None} for row in rows
    ]


@settings(max_examples=15)
@given(train=log(), events=log(), now=st.booleans())
def test_events_count_as_deviations_from_an_average_of_their_own(
    train: Rows, events: Rows, now: bool
) -> None:
    events = as_events(events)
    everything = [*({**row, "home": row["tab"]} for row in train), *events]
    analysis, without = direct.analyse(DECLARED, [*train, *events]), direct.analyse(DECLARED, train)
    rows = train[:5]
    found = direct.averages(DECLARED, analysis, rows, now=now)
    plain = direct.averages(DECLARED, without, rows, now=now)
    for number, one in enumerate(rows):
        before = math.inf if now else oracle.bucket_of(one, DAY)
        for name in ("domain.click", "domain.like", "domain.known"):
            assert found[name][number] == pytest.approx(plain[name][number], abs=1e-5)
        for key, chain in CHAINS.items():
            # A key with the domain has no events: they have none.
            value = oracle.estimate(
                everything,
                [(["home" if column == "tab" else column for column in columns], d) for columns, d in chain],
                {**one, "home": one["tab"]},
                before,
                "click",
                domain="home",
                strength=STRENGTH,
                decay=DECAY,
                bucket_ms=DAY,
            )
            value /= oracle.spread(train, "tab", "click", before, DAY)
            assert found[f"{key}.click"][number] == pytest.approx(value, abs=2e-4), (key, one)


@settings(max_examples=10)
@given(train=log(), events=log())
def test_events_are_no_rows_of_the_log(train: Rows, events: Rows) -> None:
    analysis, without = (
        direct.analyse(DECLARED, [*train, *as_events(events)]),
        direct.analyse(DECLARED, train),
    )
    for name in (
        "vocabulary_keys",
        "vocabulary_ids",
        "quantiles",
        "mean",
        "deviation",
        "domain_hashes",
        "latest",
    ):
        np.testing.assert_allclose(
            getattr(analysis.tables, name), getattr(without.tables, name), rtol=1e-6, err_msg=name
        )
    assert analysis.summary["domains"] == without.summary["domains"]
    assert analysis.summary["domain_rows"] == without.summary["domain_rows"]
    assert analysis.vocabulary == without.vocabulary


@settings(max_examples=10)
@given(rows=log(40), times=st.lists(st.integers(0, 9 * DAY), max_size=4))
def test_events_fold_like_rows(rows: Rows, times: list[int]) -> None:
    mixed = [*rows[::2], *as_events(rows[1::2])]
    pieces = cut(mixed, times)
    # A piece of events alone has nothing to analyse.
    if all(any(row["click"] >= 0 for row in piece) for piece in pieces):
        assert_same_state(fold(DECLARED, pieces)[-1].state, direct.analyse(DECLARED, mixed).state)


@settings(max_examples=10)
@given(rows=log(20), events=log(20))
def test_rows_of_a_day_see_the_events_of_the_days_before_alone(rows: Rows, events: Rows) -> None:
    """A feed of days: state(t) is state(t-1) and the rows and events of day t, of which the day's rows see nothing."""
    day = max(row["local_time_ms"] for row in rows) // DAY * DAY
    today = [row for row in rows if row["local_time_ms"] >= day]
    past = [row for row in rows if row["local_time_ms"] < day]
    before = as_events([row for row in events if row["local_time_ms"] < day])
    of_today = as_events([{**row, "local_time_ms": day + row["local_time_ms"] % DAY} for row in events])
    prior = direct.analyse(DECLARED, [*past, *before]).state if past else None
    pending = [] if past else before
    found = direct.analyse(DECLARED, [*today, *pending, *of_today], prior)
    without = direct.analyse(DECLARED, [*today, *pending], prior)
    for name, values in direct.averages(DECLARED, without, today).items():
        np.testing.assert_allclose(
            direct.averages(DECLARED, found, today)[name], values, atol=1e-5, err_msg=name
        )
    assert_same_state(found.state, direct.analyse(DECLARED, [*past, *before, *today, *of_today]).state)
