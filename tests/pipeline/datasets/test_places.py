"""A place among what is shown is found by its name or by its values, and served where clicks are as on the whole."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest

from pipeline.datasets.proposal.kinds import values_of
from pipeline.datasets.proposal.places import Place, Places
from pipeline.datasets.proposal.roles import Column

ROWS = 20_000


def column(name: str, values: npt.NDArray[np.generic], in_log: bool = True) -> Column:
    series = pl.Series(name, values)
    return Column(name, values_of(series), series.n_unique(), in_log)


def found(
    name: str, values: npt.NDArray[np.generic], clicks: npt.NDArray[np.bool_], *others: Column
) -> Place | None:
    moments = pl.Series(np.arange(len(values)) // 7)
    user = next((other for other in others if other.name == "user"), None)
    it = column(name, values)
    return Places([it, *others], pl.Series(clicks.astype(int)), user, moments).find(it)


def drawn(falls: float, places: int = 20) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Places at random, and clicks whose rate is multiplied by so much from one to the next."""
    rng = np.random.default_rng(3)
    place = rng.integers(1, places + 1, ROWS)
    return place, rng.random(ROWS) < 0.2 * falls**place


@pytest.mark.parametrize("name", ["rang", "itemPosition", "posición", "page_slot", "位置"])
def test_a_name_tells(name: str) -> None:
    place = found(name, *drawn(1.0))
    assert place is not None and place.certain
    assert found("rank_of_user_age", *drawn(1.0)) is None


def test_a_place_may_begin_at_two() -> None:
    place, clicks = drawn(0.9)
    named, falling = found("platz", place + 1, clicks), found("ordre", place + 1, clicks)
    assert named is not None and named.certain
    assert falling is not None and not falling.certain
    assert found("rank", place + 5_000, clicks) is None


def test_the_place_that_is_served_is_clicked_as_all_places_are() -> None:
    place, clicks = drawn(0.8)
    told = found("rang", place, clicks)
    assert told is not None
    rates = {int(p): clicks[place == p].mean() for p in np.unique(place)}
    nearest = sorted(rates, key=lambda p: abs(rates[p] - clicks.mean()))[:2]
    # The median place, 10, is clicked half as often.
    assert told.served in nearest and told.served < 8
    assert rates[10] < 0.7 * clicks.mean()


def test_the_place_that_is_served_is_near_in_truth_though_single_rates_are_noise() -> None:
    near = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        place = rng.geometric(0.12, 50_000).clip(1, 30)
        truth = 0.2 * 0.93**place
        told = found("slot", place, rng.random(50_000) < truth)
        assert told is not None
        near.append(0.2 * 0.93**told.served / truth.mean())
    assert np.median(near) == pytest.approx(1, abs=0.04)
    assert min(near) > 0.88 and max(near) < 1.15


def test_of_too_few_clicks_to_tell_the_middle_place_is_served() -> None:
    place, _ = drawn(0.8)
    few = np.zeros(ROWS, bool)
    few[:3] = True
    told = found("rang", place, few)
    assert told is not None and 9 <= told.served <= 12
    none = found("rang", place, np.zeros(ROWS, bool))
    assert none is not None and none.served in (10, 11)


def test_a_click_rate_that_falls_is_asked_about_whatever_the_name() -> None:
    told = found("ordre", *drawn(0.9))
    assert told is not None and not told.certain
    assert told.why.startswith("its click rate falls from 1") and " at 1 to 2." in told.why
    assert found("ordre", *drawn(1.0)) is None
    assert found("age", *drawn(0.9)) is None
    place, clicks = drawn(0.9)
    # Numbers that leave some out, or begin later, are no places.
    assert found("ordre", place * 2, clicks) is None
    assert found("ordre", place + 4, clicks) is None


def test_rows_of_one_request_that_hold_each_number_once_are_at_places() -> None:
    rng = np.random.default_rng(5)
    request = np.arange(ROWS) // 10
    place = np.concatenate([rng.permutation(10) + 1 for _ in range(ROWS // 10)])
    clicks = rng.random(ROWS) < 0.1
    query = column("query", request.astype(str))
    told = found("ordre", place, clicks, query)
    assert told is not None and told.certain
    assert told.why == "rows of one query hold no number twice, as places do"
    by_user = found("ordre", place, clicks, column("user", request.astype(str)))
    assert by_user is not None and by_user.certain
    # Any number of them in any request: chance.
    assert found("ordre", rng.permutation(place), clicks, query) is None
