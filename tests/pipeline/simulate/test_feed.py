"""The properties of the default feed that a multi-domain model meets in practice, in numbers."""

from __future__ import annotations

import json

import polars as pl
import pytest

from pipeline.simulate.settings import DAY_MS, FIRST_DAY_MS
from tests.pipeline.simulate.conftest import Feed

IMPRESSION_COLUMNS = [
    "timestamp_ms",
    "domain_id",
    "user_id",
    "item_id",
    "position",
    "click",
    "long_view",
    "dwell_ratio",
]


def test_layout(feed: Feed) -> None:
    parts = sorted((feed.directory / "impressions").iterdir())
    assert [part.name for part in parts] == [f"part-{day:03}.csv" for day in range(14)]
    assert parts[0].read_text().splitlines()[0] == ",".join(IMPRESSION_COLUMNS)
    assert feed.users.columns == ["user_id", "age_band", "city_tier", "device", "activity", "tenure_days"]
    assert feed.items.columns == ["item_id", "author_id", "category", "duration_s", "age_days", "tags"]
    assert feed.rows.height == feed.facts.settings.rows == 200_000
    assert feed.users["user_id"].to_list() == list(range(8_000))
    assert feed.items["item_id"].to_list() == list(range(4_000))
    assert feed.rows.null_count().sum_horizontal().item() == 0
    assert feed.users.null_count().sum_horizontal().item() == 0
    assert feed.items.null_count().sum_horizontal().item() == 0


def test_values_are_in_their_ranges(feed: Feed) -> None:
    rows = feed.rows
    assert set(rows["click"].unique()) == {0, 1} == set(rows["long_view"].unique())
    assert sorted(rows["position"].unique()) == list(range(1, 21))
    assert rows["dwell_ratio"].is_between(0, 3).all()
    tags = feed.items["tags"].str.split(";")
    assert tags.list.len().min() == 1
    assert tags.list.len().max() == 4
    assert (tags.list.len() == tags.list.n_unique()).all()
    assert feed.items["age_days"].min() >= 0  # type: ignore[operator]
    assert feed.users["tenure_days"].min() >= 0  # type: ignore[operator]


def test_every_part_is_one_utc_day_in_the_order_of_time(feed: Feed) -> None:
    assert feed.rows["timestamp_ms"].is_sorted()
    day = (feed.rows["timestamp_ms"] - FIRST_DAY_MS) // DAY_MS
    assert (day == feed.rows["day"]).all()
    assert feed.facts.first_day == "2024-01-01"
    assert feed.facts.last_day == "2024-01-14"


def test_domains_are_very_uneven(feed: Feed) -> None:
    sizes = feed.rows["domain_id"].value_counts(sort=True)["count"]
    assert len(sizes) == 21
    assert 0.40 <= sizes[0] / feed.rows.height <= 0.50
    assert 300 <= sizes[-1] <= 700
    assert sizes[:3].sum() > 0.7 * feed.rows.height


def test_click_rates_reach_from_1_to_56_percent(feed: Feed) -> None:
    large = feed.rows.group_by("domain_id").agg(rows=pl.len(), rate=pl.col("click").mean())
    large = large.filter(pl.col("rows") >= 5_000)
    assert 0.007 <= large["rate"].min() <= 0.013  # type: ignore[operator]
    assert 0.53 <= large["rate"].max() <= 0.59  # type: ignore[operator]
    for name, rate in feed.facts.click_rates.items():
        observed = feed.rows.filter(pl.col("domain_id") == int(name))["click"].mean()
        assert observed == rate


def test_users_are_active_in_few_domains(feed: Feed) -> None:
    domains = feed.rows.group_by("user_id").agg(pl.col("domain_id").n_unique())["domain_id"]
    assert (domains <= 3).mean() > 0.85  # type: ignore[operator]
    assert (domains == 1).mean() < 0.7  # type: ignore[operator]
    assert domains.max() <= 8  # type: ignore[operator]


def test_some_users_and_items_of_the_evaluation_are_cold(feed: Feed) -> None:
    train = feed.rows.filter(pl.col("day") < feed.first_eval_day)
    evaluation = feed.rows.filter(pl.col("day") >= feed.first_eval_day)
    cold_users = 1 - evaluation["user_id"].is_in(train["user_id"].unique().implode()).mean()  # type: ignore[operator]
    cold_items = 1 - evaluation["item_id"].is_in(train["item_id"].unique().implode()).mean()  # type: ignore[operator]
    assert 0.03 < cold_users < 0.12
    assert 0.05 < cold_items < 0.25
    assert cold_users == pytest.approx(feed.facts.cold_user_share)
    assert cold_items == pytest.approx(feed.facts.cold_item_share)


def test_nobody_appears_before_joining_and_nothing_before_publication(feed: Feed) -> None:
    last = feed.rows.join(feed.users, on="user_id").join(feed.items, on="item_id")
    ends = pl.lit(14) - pl.col("day")
    assert last.filter(pl.col("tenure_days") < ends - 1).height == 0
    assert last.filter(pl.col("age_days") < ends - 1).height == 0


def test_click_rates_drift_so_that_yesterday_says_more_than_the_mean(feed: Feed) -> None:
    daily = (
        feed.rows.group_by("domain_id", "day")
        .agg(rows=pl.len(), rate=pl.col("probability").mean())
        .sort("domain_id", "day")
        .with_columns(
            yesterday=pl.col("rate").shift(1).over("domain_id"),
            mean_before=(pl.col("rate").cum_sum() / (pl.col("day") + 1)).shift(1).over("domain_id"),
        )
        .filter((pl.col("rows") >= 300) & (pl.col("day") >= 5) & pl.col("rate").is_between(0.03, 0.97))
    )
    by_yesterday = (daily["rate"] / daily["yesterday"]).log().abs().mean()
    by_mean = (daily["rate"] / daily["mean_before"]).log().abs().mean()
    assert daily.height >= 40
    assert by_yesterday < 0.9 * by_mean  # type: ignore[operator]
    swing = daily.group_by("domain_id").agg((pl.col("rate").max() / pl.col("rate").min()).alias("swing"))
    assert swing["swing"].median() > 1.15  # type: ignore[operator]


def test_behaviours_follow_the_click(feed: Feed) -> None:
    rows = feed.rows
    assert rows.filter((pl.col("long_view") == 1) & (pl.col("click") == 0)).height == 0
    clicked, other = rows.filter(pl.col("click") == 1), rows.filter(pl.col("click") == 0)
    assert 0.25 < clicked["long_view"].mean() < 0.75  # type: ignore[operator]
    assert clicked["dwell_ratio"].mean() > 5 * other["dwell_ratio"].mean()  # type: ignore[operator]
    long = clicked.filter(pl.col("long_view") == 1)["dwell_ratio"].mean()
    short = clicked.filter(pl.col("long_view") == 0)["dwell_ratio"].mean()
    assert long > 1.5 * short  # type: ignore[operator]


def test_later_positions_are_clicked_less(feed: Feed) -> None:
    largest = feed.rows["domain_id"].mode()[0]
    rows = feed.rows.filter(pl.col("domain_id") == largest)
    first = rows.filter(pl.col("position") <= 2)["click"].mean()
    last = rows.filter(pl.col("position") >= 15)["click"].mean()
    assert first > 1.3 * last  # type: ignore[operator]


def test_clicks_are_drawn_from_the_true_probabilities(feed: Feed) -> None:
    rows = feed.rows.with_columns(bin=pl.col("probability").qcut(20, labels=[str(i) for i in range(20)]))
    bins = rows.group_by("bin").agg(
        rows=pl.len(),
        clicks=pl.col("click").sum(),
        expected=pl.col("probability").sum(),
        variance=(pl.col("probability") * (1 - pl.col("probability"))).sum(),
    )
    deviation = ((bins["clicks"] - bins["expected"]) / bins["variance"].sqrt()).abs()
    assert deviation.max() < 4.5  # type: ignore[operator]


def test_domains_of_a_cluster_have_more_alike_preferences(feed: Feed) -> None:
    """A user's surplus of clicks in one domain tells of another, and tells more within the cluster."""
    similar, different = _surplus_products(feed)
    assert similar > 0.02
    assert similar > 1.2 * different > 0


def _surplus_products(feed: Feed) -> tuple[float, float]:
    document = json.loads((feed.directory / "truth.json").read_text())
    cluster = {entry["domain_id"]: entry["cluster"] for entry in document["domains"]}
    logit = (pl.col("probability") / (1 - pl.col("probability"))).log()
    surplus = (
        feed.rows.with_columns(logit=logit)
        .with_columns(surplus=pl.col("logit") - pl.col("logit").mean().over("domain_id"))
        .group_by("user_id", "domain_id")
        .agg(pl.col("surplus").mean(), rows=pl.len())
        .filter(pl.col("rows") >= 5)
    )
    pairs = surplus.join(surplus, on="user_id", suffix="_2").filter(
        pl.col("domain_id") < pl.col("domain_id_2")
    )
    same = pairs["domain_id"].replace_strict(cluster) == pairs["domain_id_2"].replace_strict(cluster)
    product = pairs["surplus"] * pairs["surplus_2"]
    return float(product.filter(same).mean()), float(product.filter(~same).mean())  # type: ignore[arg-type]
