"""Keys of the moving averages, chosen from the log."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.datasets.proposal.keys import _PRIOR_RARER, DAY, LABEL, KeyRows, _Judge, choose

ROLES = {"domain": "scene", "user": "visitor", "item": "sku"}
FEATURES = ["age", "device", "colour", "category", "maker", "size"]


def world(rows: int = 20_000, seed: int = 1, rate: float = -2.0) -> pl.DataFrame:
    """A shop: visitors differ, an age likes a category, a device works in a scene; colour and size say nothing."""
    rng = np.random.default_rng(seed)
    visitors, skus = 400, 200
    age, category = rng.integers(0, 5, visitors), rng.integers(0, 12, skus)
    visitor, sku = rng.integers(0, visitors, rows), rng.integers(0, skus, rows)
    scene, device, colour = rng.integers(0, 6, rows), rng.integers(0, 3, rows), rng.integers(0, 4, rows)
    taste, opinion, works = (
        rng.normal(0, 0.7, visitors),
        rng.normal(0, 1, (5, 12)),
        rng.normal(0, 0.8, (3, 6)),
    )
    opinion -= opinion.mean(0) + opinion.mean(1, keepdims=True)
    score = rate + taste[visitor] + opinion[age[visitor], category[sku]] + works[device, scene]
    return pl.DataFrame(
        {
            DAY: np.sort(rng.integers(0, 12, rows)),
            LABEL: (rng.random(rows) < 1 / (1 + np.exp(-score))).astype(np.int8),
            "scene": scene,
            "visitor": visitor,
            "sku": sku,
            "age": age[visitor],
            "device": device,
            "colour": colour,
            "category": category[sku],
            "maker": sku // 3,
            "size": (sku * 7) % 4,
        }
    )


def test_the_keys_that_pay_are_found_and_no_others():
    found = choose(world(), ROLES, FEATURES, ["maker"])
    assert found is not None
    assert found.doubts == []
    names = [key.names for key in found.keys]
    assert {("user",), ("age", "category"), ("device", "domain")} <= set(names)
    assert not any({"colour", "size"} & set(key) for key in names)
    assert all("log loss" in key.why for key in found.keys)


def test_labels_by_chance_choose_nothing():
    rows = world().with_columns(pl.col(LABEL).shuffle(seed=3))
    found = choose(rows, ROLES, FEATURES, ["maker"])
    assert found is not None
    assert (found.keys, found.doubts) == ([], [])


def test_what_says_more_than_can_be_known_is_doubted_and_no_key():
    rows = world()
    rng = np.random.default_rng(5)
    bid = pl.Series(rng.integers(0, 100, len(rows)))
    rows = rows.with_columns(bid=pl.when(pl.col(LABEL) == 1).then(bid))
    found, usual = (choose(rows, ROLES, names, ["maker"]) for names in ([*FEATURES, "bid"], FEATURES))
    assert found is not None
    assert usual is not None
    assert len(found.doubts) == 1
    assert "bid" in found.doubts[0]
    assert "--set-aside" in found.doubts[0]
    assert [key.names for key in found.keys] == [key.names for key in usual.keys]


def test_a_value_that_only_clicks_have_keeps_the_gains_below_the_whole_loss():
    rows = world(rate=-4.0).with_columns(
        contact=pl.when((pl.col(LABEL) == 1) & (pl.int_range(pl.len()) % 5 == 0))
        .then(pl.lit("yes"))
        .otherwise(pl.lit("no"))
    )
    found = choose(rows, ROLES, [*FEATURES, "contact"], ["maker"])
    assert found is not None
    assert all(float(key.why.split("%")[0].removeprefix("takes ")) < 20 for key in found.keys)


def test_a_list_is_judged_by_its_values():
    rows = world(8000).with_columns(tags=pl.concat_list(pl.lit("all"), pl.col("visitor").cast(pl.String)))
    found = choose(rows.drop("visitor"), {**ROLES, "user": None}, ["tags"], ["tags"])
    assert found is not None
    assert ("tags",) in [key.names for key in found.keys]


def test_too_few_clicks_to_tell():
    assert choose(world(600), ROLES, FEATURES, []) is None
    assert choose(world().head(0), ROLES, FEATURES, []) is None


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 1), st.sampled_from(["a", "b", None]), st.integers(0, 2)),
        min_size=2,
        max_size=25,
    ).filter(lambda rows: len({day for day, *_ in rows}) > 1)
)
def test_as_of_is_what_earlier_days_say(rows):
    frame = pl.DataFrame(
        rows, schema={DAY: pl.Int64, LABEL: pl.Int8, "k": pl.String, "j": pl.Int64}, orient="row"
    )
    found = _Judge(frame).as_of(("k", "j"))
    first = min(day for day, *_ in rows)
    expected = []
    for day, _, k, j in (row for row in rows if row[0] > first):
        past = [row for row in rows if row[0] < day]
        overall = (sum(row[1] for row in past) + 0.5) / (len(past) + 1)
        own = [] if k is None else [row for row in past if row[2:] == (k, j)]
        strength = _PRIOR_RARER / min(overall, 1 - overall)
        rate = (sum(row[1] for row in own) + strength * overall) / (len(own) + strength)
        expected.append(np.log(rate / (1 - rate)) - np.log(overall / (1 - overall)))
    np.testing.assert_allclose(found, expected, atol=1e-9)


def test_a_long_log_is_thinned_by_whole_users(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("pipeline.datasets.proposal.keys._MOST_ROWS", 3000)
    rows = world(10_000)
    gathered = KeyRows(["visitor", "age"], "visitor")
    for block in rows.iter_slices(1000):
        gathered.add(block, block[DAY], block[LABEL])
    kept = gathered.before(12)
    assert 1000 < len(kept) <= 3000
    counts = (
        rows["visitor"]
        .value_counts()
        .sort("visitor")
        .filter(pl.col("visitor").is_in(kept["visitor"].unique()))
    )
    assert kept["visitor"].value_counts().sort("visitor").equals(counts)
    assert len(gathered.before(5)) == (kept[DAY] < 5).sum()
