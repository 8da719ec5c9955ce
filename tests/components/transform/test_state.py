"""A log folded day by day, or in any other pieces of time, gives what one pass over it gives: for every part."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.dataset.declaration import Declaration
from components.errors import InputError
from components.transform.state import BehaviourState, cannot_continue, read_state, write_state
from components.transform.tables import Analysis
from components.transform.transform_plan import make_plan
from tests.components.transform import direct
from tests.components.transform.strategies import DAY, DECLARED, log

LEARNED = direct.with_settings(DECLARED, prior_strength="learned", key_decay=0.7)
HOURLY = direct.with_settings(LEARNED, bucket_hours=6)
LONG = direct.with_settings(LEARNED, bucket_hours=84)
AUTO = direct.with_settings(DECLARED, decay="auto")


def fold(declared: Declaration, pieces: list[list[dict[str, Any]]]) -> list[Analysis]:
    """The analysis of every piece after those before it; each state is written and read on the way."""
    found, state = [], None
    for piece in pieces:
        found.append(direct.analyse(declared, piece, state))
        state = BehaviourState.from_bytes(found[-1].state.to_bytes())
    return found


def cut(train: list[dict[str, Any]], times: list[int]) -> list[list[dict[str, Any]]]:
    """The rows between the times, pieces without rows left out."""
    edges = [-1, *sorted(times), 10 * DAY]
    pieces = [
        [row for row in train if start < row["local_time_ms"] <= end]
        for start, end in itertools.pairwise(edges)
    ]
    return [piece for piece in pieces if piece]


def assert_same_state(found: BehaviourState, expected: BehaviourState) -> None:
    """Equal to rounding, in every part."""
    for field in dataclasses.fields(BehaviourState):
        left, right = getattr(found, field.name), getattr(expected, field.name)
        if isinstance(left, str):
            assert left == right
            continue
        if isinstance(left, np.ndarray):
            left, right = {"": left}, {"": right}
        assert set(left) == set(right), field.name
        by_key = field.name in ("counts", "domains", "decays", "sample", "numbers")
        orders = [np.argsort(part["key"]) if by_key else slice(None) for part in (left, right)]
        for name in left:
            one, other = left[name][orders[0]], right[name][orders[1]]
            where = f"{field.name}.{name}"
            if one.dtype == object:
                assert list(map(text, one)) == list(map(text, other)), where
            else:
                np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-7, err_msg=where)


def text(value: object) -> str:
    """A value of a vocabulary, which is bytes once it was written."""
    return value.decode() if isinstance(value, bytes) else str(value)


@pytest.mark.parametrize(
    "declared", [DECLARED, LEARNED, HOURLY, LONG, AUTO], ids=["fixed", "learned", "6h", "84h", "auto"]
)
@settings(max_examples=12)
@given(train=log(40), times=st.lists(st.integers(0, 9 * DAY), max_size=5), data=st.data())
def test_folding_pieces_gives_the_state_of_one_pass(
    declared: Declaration, train: list[dict[str, Any]], times: list[int], data: st.DataObject
) -> None:
    pieces = [data.draw(st.permutations(piece)) for piece in cut(train, times)]
    folded, whole = fold(declared, pieces)[-1], direct.analyse(declared, train)
    assert_same_state(folded.state, whole.state)
    assert folded.summary["vocabularies"] == whole.summary["vocabularies"]
    assert folded.summary["domains"] == whole.summary["domains"]
    for name in ("vocabulary_keys", "vocabulary_ids", "quantiles", "mean", "deviation", "domain_hashes"):
        np.testing.assert_allclose(
            getattr(folded.tables, name), getattr(whole.tables, name), rtol=1e-5, err_msg=name
        )


@pytest.mark.parametrize("declared", [DECLARED, HOURLY, AUTO], ids=["fixed", "6h", "auto"])
@settings(max_examples=12)
@given(train=log(40), times=st.lists(st.integers(0, 9 * DAY), max_size=4), now=st.booleans())
def test_rows_of_a_piece_see_what_they_see_in_one_pass_over_all_rows_so_far(
    declared: Declaration, train: list[dict[str, Any]], times: list[int], now: bool
) -> None:
    declared = direct.with_settings(declared, prior_strength=3.0)
    pieces = cut(train, times)
    for number, analysis in enumerate(fold(declared, pieces)):
        whole = direct.analyse(declared, [row for piece in pieces[: number + 1] for row in piece])
        found = direct.look_up(declared, analysis, pieces[number], now=now)
        expected = direct.look_up(declared, whole, pieces[number], now=now)
        for left, right in zip(found.averages(), expected.averages(), strict=True):
            np.testing.assert_allclose(left, right, atol=1e-4)
        np.testing.assert_array_equal(found.vocabulary_ids(), expected.vocabulary_ids())


def test_tables_hold_a_piece_and_not_the_past() -> None:
    days = [
        [
            {"tab": n % 2, "user": n % 5, "local_time_ms": day * DAY + n, "behaviour.click": n % 2 / 1.0}
            for n in range(20)
        ]
        for day in range(12)
    ]
    declared = direct.with_settings(DECLARED, keys=[["user"], ["user", "domain"]], ranges={}, history=False)
    empty = BehaviourState.empty(make_plan(declared))
    sizes = [
        (
            len(one.tables.buckets),
            one.keys.entries,
            # Its sample of numbers is not full yet.
            len(dataclasses.replace(one.state, numbers=empty.numbers).to_bytes()),
        )
        for one in fold(declared, days)
    ]
    # The past is one bucket more, and one entry more of every key.
    assert sizes[0][0] == sizes[1][0] == 2
    assert sizes[0][1] * 2 == sizes[1][1]
    assert len(set(sizes[2:])) == 1


def test_older_rows_and_other_declarations_are_refused(tmp_path: Path) -> None:
    row = {"tab": 1, "user": 1, "local_time_ms": 5 * DAY, "behaviour.click": 1.0}
    state = direct.analyse(DECLARED, [row]).state
    with pytest.raises(
        InputError, match="rows of 1970-01-05 00:00, but the averages are made up to 1970-01-06"
    ):
        direct.analyse(DECLARED, [{**row, "local_time_ms": 5 * DAY - 1}], state)
    write_state(str(tmp_path / "state"), state, {})
    assert_same_state(read_state(str(tmp_path / "state")), state)
    assert cannot_continue(str(tmp_path / "state"), DECLARED) is None
    assert cannot_continue(str(tmp_path / "state"), direct.with_settings(DECLARED, max_keys=7)) is None
    other = direct.with_settings(DECLARED, decay=0.5)
    assert cannot_continue(str(tmp_path / "state"), other) == "moving_average.decay was 0.8 and is 0.5"
    with pytest.raises(InputError, match=r"moving_average\.decay was 0\.8 and is 0\.5"):
        direct.analyse(other, [row], state)


def test_a_day_needs_averages_of_the_past() -> None:
    declared = direct.with_settings(DECLARED, keys=[["user"]], train_state="other_buckets")
    with pytest.raises(InputError, match="train_state"):
        make_plan(declared, one_day=True)


def visits(days: dict[int, list[int]]) -> list[list[dict[str, Any]]]:
    """Per day the rows of its users; a user has a tab, an item and a tag of its own."""
    return [
        [
            {
                "tab": user % 2 + (user == 7),
                "user": user,
                "item": f"item {user}",
                "tag": [f"tag {user}"],
                "local_time_ms": day * DAY + 1,
                "behaviour.click": 1.0,
            }
            for user in users
        ]
        for day, users in days.items()
    ]


def test_what_is_not_seen_for_days_is_forgotten_and_said() -> None:
    declared = direct.with_settings(DECLARED, expire_days=3, keys=[["user"], ["user", "domain"]], ranges={})
    days = visits({0: [1, 1, 7], 1: [1, 2, 2], 2: [2], 3: [1, 2], 4: [2], 5: [2], 6: [2]})
    found = fold(declared, days)
    # User 7, the only one of domain 2, came on day 0: three days later it is known, then no more.
    for day, users, domains in ((3, {1, 2, 7}, 3), (4, {1, 2}, 2), (6, {1, 2}, 2)):
        state, tables = found[day].state, found[day].tables
        texts = {text(v) for v, c in zip(state.counts["text"], state.counts["column"], strict=True) if c == 3}
        assert texts == {f"item {user}" for user in users}
        assert len(tables.domain_hashes) == domains
        assert found[day].keys.keys == 2 * len(users)
    report = {entry["key"]: entry for entry in found[4].summary["average_keys"]}
    assert report["user"]["expired_values"] == report["user_x_domain"]["expired_values"] == 1
    assert found[4].vocabulary_report["item"] == {"values": 2, "waiting": 0, "dropped": 0, "expired": 1}
    # What comes again starts anew.
    again = direct.analyse(declared, visits({7: [7]})[0], found[-1].state)
    assert again.vocabulary_report["user"]["waiting"] == 1
    seen = direct.averages(declared, again, [{"tab": 1, "user": user} for user in (2, 7)], now=True)
    assert seen["user.count"][0] > seen["user.count"][1] > 0


def test_what_is_carried_and_exported_does_not_grow_with_the_days() -> None:
    declared = direct.with_settings(DECLARED, expire_days=3, keys=[["user"], ["user", "domain"]], ranges={})
    # A feed whose users come and go: each is there for three days, and as many are there on any day.
    days = visits({day: [user for user in range(10 + day, 13 + day) for _ in "ab"] for day in range(24)})
    found = fold(declared, days)
    # The sample of numbers fills up to its bound, whatever the days.
    sizes = [
        (
            one.keys.keys,
            len(one.tables.domain_hashes),
            one.vocabulary_report["user"]["values"],
            len(dataclasses.replace(one.state, numbers=found[0].state.numbers).to_bytes()),
        )
        for one in found
    ]
    assert sizes[0] < sizes[6]
    assert set(sizes[6:]) == {sizes[6]}


def test_values_wait_for_their_rows_over_days_within_bounds() -> None:
    # The vocabulary of users takes three values with two rows each.
    days = visits({0: [1], 1: [2], 2: [1], 3: [3, 4, 5, 6, 8, 9], 4: [2, 2, 2], 5: [3, 4, 4]})
    reports = [one.vocabulary_report["user"] for one in fold(DECLARED, days)]
    assert [one["values"] for one in reports] == [0, 0, 1, 1, 2, 3]
    assert [one["waiting"] for one in reports] == [1, 2, 1, 5, 4, 3]
    assert [one["dropped"] for one in reports][:4] == [0, 0, 0, 2]


def test_what_carries_weight_from_before_keeps_its_place() -> None:
    declared = direct.with_settings(DECLARED, keys=[["user"]], ranges={}, history=False, max_keys=2)
    days = visits({0: [1, 1, 1, 2, 2], 1: [3, 3, 3, 3, 4], 2: [1, 4]})
    found = fold(declared, days)
    known = direct.averages(
        declared, found[-1], [{"tab": 1, "user": user} for user in (1, 2, 3, 4)], now=True
    )
    assert (known["user.count"] > 0).tolist() == [True, False, True, False]
    assert [one.summary["average_keys"][0]["dropped_values"] for one in found] == [0, 2, 1]
