"""Every moving average against the row-by-row oracle, as of any row and in serving, and for any bundling and order."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.transform.transform_plan import make_plan
from tests.components.transform import direct, oracle
from tests.components.transform.strategies import CHAINS, DAY, DECAY, DECLARED, STRENGTH, log, row

BEHAVIOURS = ("click", "like")


def expected(
    train: list[dict[str, Any]],
    one: dict[str, Any],
    before: float,
    key: str,
    behaviour: str,
    domain: str = "tab",
) -> float:
    """A standardised average as of bucket `before`; `domain` is the column with the model's domains."""
    if key == "domain":
        value = oracle.expected(train, one, domain, behaviour, before, DECAY, DAY)
        value -= oracle.overall(train, domain, behaviour, before, DECAY, DAY)
        return value / oracle.spread(train, domain, behaviour, before, DAY)
    value = oracle.estimate(
        train,
        CHAINS[key],
        one,
        before,
        behaviour,
        domain=domain,
        strength=STRENGTH,
        decay=DECAY,
        bucket_ms=DAY,
    )
    return value / oracle.spread(train, domain, behaviour, before, DAY)


@settings(max_examples=25)
@given(train=log(), others=st.lists(row(), max_size=3), now=st.booleans())
def test_every_average_equals_the_oracle(
    train: list[dict[str, Any]], others: list[dict[str, Any]], now: bool
) -> None:
    analysis = direct.analyse(DECLARED, train)
    # A domain, a user and an item never seen in training are among the rows that are looked up.
    rows = [
        *train[:6],
        *others,
        {"tab": 77, "user": 99, "item": "new", "tag": ["new"], "local_time_ms": 5 * DAY},
    ]
    found = direct.averages(DECLARED, analysis, rows, now=now)
    end = max(one["local_time_ms"] for one in train)
    for number, one in enumerate(rows):
        before = math.inf if now or one["local_time_ms"] > end else oracle.bucket_of(one, DAY)
        for key in ("domain", *CHAINS):
            for behaviour in BEHAVIOURS:
                assert found[f"{key}.{behaviour}"][number] == pytest.approx(
                    expected(train, one, before, key, behaviour), abs=2e-4
                ), (key, behaviour, one)
        known = any(r["tab"] == one["tab"] and oracle.bucket_of(r, DAY) < before for r in train)
        assert found["domain.known"][number] == float(known)


@settings(max_examples=20)
@given(train=log(), others=st.lists(row(), max_size=2), now=st.booleans())
def test_a_training_row_may_see_all_buckets_but_its_own(
    train: list[dict[str, Any]], others: list[dict[str, Any]], now: bool
) -> None:
    keys = [["user"], ["item"], ["user", "domain"], ["tag", "user"]]
    declared = direct.with_settings(DECLARED, keys=keys, ranges={}, train_state="other_buckets")
    chains = {
        **{key: CHAINS[key] for key in ("user", "user_x_domain", "tag_x_user")},
        "item": [(["item"], 1.0)],
    }
    later = [{**one, "local_time_ms": 20 * DAY} for one in others]
    rows = [*train[:6], *later]
    found = direct.averages(declared, direct.analyse(declared, train), rows, now=now)
    for number, one in enumerate(rows):
        own = None if now else oracle.bucket_of(one, DAY)
        before = math.inf if own is None else own
        for behaviour in BEHAVIOURS:
            assert found[f"domain.{behaviour}"][number] == pytest.approx(
                expected(train, one, before, "domain", behaviour), abs=2e-4
            )
            for key, chain in chains.items():
                value = oracle.estimate(
                    train,
                    chain,
                    one,
                    math.inf,
                    behaviour,
                    domain="tab",
                    strength=STRENGTH,
                    decay=DECAY,
                    bucket_ms=DAY,
                    without=own,
                )
                value /= oracle.spread(train, "tab", behaviour, math.inf, DAY)
                assert found[f"{key}.{behaviour}"][number] == pytest.approx(value, abs=2e-4), (key, one)


@pytest.mark.parametrize("train_state", ["past", "other_buckets"])
def test_rows_to_evaluate_see_the_end_of_training_in_a_bucket_that_began_before_it(train_state: str) -> None:
    declared = direct.with_settings(
        DECLARED, keys=[["user"], ["user", "domain"]], ranges={}, train_state=train_state, bucket_hours=168
    )
    train = [
        {
            "tab": n % 2,
            "user": n % 3,
            "local_time_ms": (n + 9) * DAY // 4,
            "behaviour.click": n % 2 / 1.0,
            "behaviour.like": n % 5 / 5,
        }
        for n in range(60)
    ]
    later = [{**train[n], "local_time_ms": train[-1]["local_time_ms"] + 1 + n} for n in range(6)]
    assert oracle.bucket_of(later[0], 7 * DAY) == oracle.bucket_of(train[-1], 7 * DAY)
    analysis = direct.analyse(declared, train)
    evaluated = direct.averages(declared, analysis, later)
    served = direct.averages(declared, analysis, later, now=True)
    for name, values in evaluated.items():
        np.testing.assert_array_equal(values, served[name], err_msg=name)
    assert (served["user.count"] > 0).all()


@settings(max_examples=15)
@given(train=log())
def test_counts_are_decayed_impressions(train: list[dict[str, Any]]) -> None:
    analysis = direct.analyse(DECLARED, train)
    found = direct.averages(DECLARED, analysis, train)
    scales = dict(zip([k.name for k in make_plan(DECLARED).keys], analysis.tables.count_scale, strict=True))
    for number, one in enumerate(train):
        for key, chain in CHAINS.items():
            *_, rows = oracle.decayed(
                train,
                chain[0][0],
                one,
                oracle.bucket_of(one, DAY),
                "click",
                domain="tab",
                decay=DECAY,
                key_decay=chain[0][1],
                bucket_ms=DAY,
            )
            assert found[f"{key}.count"][number] * scales[key] == pytest.approx(math.log1p(rows), abs=1e-4)


@settings(max_examples=10)
@given(train=log(), now=st.booleans())
def test_history_holds_the_user_in_every_domain(train: list[dict[str, Any]], now: bool) -> None:
    analysis = direct.analyse(DECLARED, train)
    _, history = direct.look_up(DECLARED, analysis, train[:4], now=now).averages()
    domains = [int(text) for text in analysis.summary["domains"]]
    names = make_plan(DECLARED).history_names
    assert names == ("user.click", "user.like", "user.count")
    values = history.numpy().reshape(-1, len(domains), len(names))
    for number, one in enumerate(train[:4]):
        before = math.inf if now else oracle.bucket_of(one, DAY)
        for place, domain in enumerate(domains):
            elsewhere = {**one, "tab": domain}
            for column, behaviour in enumerate(BEHAVIOURS):
                assert values[number, place, column] == pytest.approx(
                    expected(train, elsewhere, before, "user_x_domain", behaviour), abs=2e-4
                )


def test_the_history_may_hold_some_behaviours() -> None:
    train = [
        {
            "tab": n % 3,
            "user": n % 2,
            "local_time_ms": n * DAY,
            "behaviour.click": n % 2 / 1.0,
            "behaviour.like": 0.25,
        }
        for n in range(12)
    ]
    some = direct.with_settings(DECLARED, history_behaviours=["like"])
    _, whole = direct.look_up(DECLARED, direct.analyse(DECLARED, train), train).averages()
    _, part = direct.look_up(some, direct.analyse(some, train), train).averages()
    assert make_plan(some).history_names == ("user.like", "user.count")
    np.testing.assert_array_equal(part.numpy().reshape(12, 3, 2), whole.numpy().reshape(12, 3, 3)[..., 1:])


@settings(max_examples=20)
@given(train=log(40), data=st.data())
def test_tables_do_not_depend_on_bundles_and_order(train: list[dict[str, Any]], data: st.DataObject) -> None:
    plan = make_plan(DECLARED)
    block = direct.block_of(DECLARED, plan, train)
    order = np.array(data.draw(st.permutations(range(len(train)))))
    cuts = data.draw(st.lists(st.integers(0, len(train)), max_size=20))
    whole = direct.analyse_block(plan, block)
    parts = direct.analyse_block(plan, tuple(column[order] for column in block), cuts)
    for name, value in vars(whole.tables).items():
        if name == "assets":
            continue
        np.testing.assert_allclose(getattr(parts.tables, name), value, rtol=1e-5, atol=1e-6, err_msg=name)
    assert parts.summary["domains"] == whole.summary["domains"]
    assert sorted(parts.vocabulary) == sorted(whole.vocabulary)


def test_largest_domain_comes_first() -> None:
    train = [{"tab": tab, "local_time_ms": 0, "behaviour.click": 1.0} for tab in (5, 7, 7, 7, 5, 9)]
    analysis = direct.analyse(DECLARED, train)
    assert analysis.summary["domains"] == ["7", "5", "9"]
    assert analysis.summary["domain_rows"] == [3, 2, 1]
    unseen = [{"tab": 5}, {"tab": 1234}, {}]
    assert direct.look_up(DECLARED, analysis, unseen).domain.numpy().tolist() == [1, 3, 3]


def test_small_tables_keep_the_heaviest_keys_and_say_so() -> None:
    declared = direct.with_settings(DECLARED, max_keys=2, keys=[["user"]], history=False)
    train = [
        {"tab": 1, "user": user, "local_time_ms": DAY * (n % 3), "behaviour.click": 1.0}
        for user, rows in {10: 5, 11: 1, 12: 3, 13: 1}.items()
        for n in range(rows)
    ]
    train.append({"tab": 1, "local_time_ms": 0, "behaviour.click": 0.0})
    analysis = direct.analyse(declared, train)
    (entry,) = analysis.summary["average_keys"]
    assert (entry["values"], entry["dropped_values"], entry["dropped_rows"]) == (2, 2, 2)
    found = direct.averages(declared, analysis, [{"tab": 1, "user": u} for u in (10, 11, 12, 13)], now=True)
    assert (found["user.count"] > 0).tolist() == [True, False, True, False]
    assert found["user.click"][1] == 0.0


@settings(max_examples=15)
@given(train=log(), evaluation=log(12))
def test_the_daily_state_knows_every_row_before_its_bucket_and_nothing_else_of_the_rows_to_evaluate(
    train: list[dict[str, Any]], evaluation: list[dict[str, Any]]
) -> None:
    evaluation = [
        {**one, "local_time_ms": (10 + one["local_time_ms"] // DAY % 2) * DAY} for one in evaluation
    ]
    evaluation += [{**evaluation[0], "tab": 77, "user": 98, "local_time_ms": day * DAY} for day in (10, 11)]
    daily = direct.with_settings(DECLARED, eval_state="daily")
    everything = [*train, *evaluation]
    analysis = direct.analyse(daily, everything)
    frozen = direct.analyse(DECLARED, train)
    found = direct.averages(daily, analysis, everything)
    # The domains of the model are those of training: what happens elsewhere is no domain's average.
    domains = {row["tab"] for row in train}
    rows = [{**row, "home": row["tab"] if row["tab"] in domains else None} for row in everything]
    for number, one in enumerate(rows):
        before = oracle.bucket_of(one, DAY)
        for key in ("domain", *CHAINS):
            assert found[f"{key}.click"][number] == pytest.approx(
                expected(rows, one, before, key, "click", "home"), abs=2e-4
            ), (key, one)
    for name in ("vocabulary_keys", "vocabulary_ids", "mean", "deviation", "quantiles", "domain_hashes"):
        np.testing.assert_array_equal(
            getattr(analysis.tables, name), getattr(frozen.tables, name), err_msg=name
        )
    assert analysis.summary["domains"] == frozen.summary["domains"]
