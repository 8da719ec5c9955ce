"""Columns that know too much, against figures worked out otherwise."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import log_loss, roc_auc_score

from pipeline.datasets.proposal.ahead import TOO_WELL, counted_ahead, knows_ahead
from pipeline.datasets.proposal.leaks import find_leaks, single_column


def _label(rng: np.random.Generator, rows: int = 4000) -> np.ndarray:
    return (rng.random(rows) < 0.2).astype(np.int8)


def test_what_is_filled_afterwards_is_found() -> None:
    rng = np.random.default_rng(0)
    label = _label(rng)
    amount = np.where(label == 1, rng.random(4000), np.nan)
    rows = pl.DataFrame(
        {
            "amount": pl.Series(amount).fill_nan(None),
            "revenue": np.where((label == 1) & (rng.random(4000) < 0.3), 5.0, 0.0),
            "age": rng.integers(18, 80, 4000),
            "note": np.where(label == 1, "thanks", "bye"),
            "noisy": label + rng.normal(0, 3, 4000),
            "rare": pl.Series(rng.random(4000) < 0.001).replace_strict(
                {True: 1, False: None}, return_dtype=pl.Int64
            ),
        }
    )
    found = {leak.column: leak for leak in find_leaks(rows, pl.Series(label), rows.columns)}
    assert set(found) == {"amount", "revenue", "note"}
    assert found["amount"].only_with_label == "filled"
    assert found["revenue"].only_with_label == "not 0"
    assert found["note"].auc == pytest.approx(1.0)
    assert found["note"].why == "LEAK? 'thanks' only in rows whose label is 1"


def test_a_value_that_only_clicked_rows_have_is_found_of_any_type() -> None:
    rng = np.random.default_rng(4)
    label = _label(rng)
    contact = (label == 1) & (rng.random(4000) < 0.2)
    rows = pl.DataFrame(
        {
            "text": np.where(contact, "ja", "nein"),
            "flag": contact,
            "code": np.where(contact, 3, rng.integers(0, 3, 4000)),
            "city": rng.choice(list("abcdef"), 4000),
            "visitor": rng.integers(0, 900, 4000),
        }
    )
    found = {leak.column: leak.only_with_label for leak in find_leaks(rows, pl.Series(label), rows.columns)}
    assert found == {"text": "'ja'", "flag": "'true'", "code": "'3'"}


def test_what_takes_half_off_the_log_loss_is_found_though_its_auc_is_below_the_bound() -> None:
    rng = np.random.default_rng(7)
    label = (rng.random(20_000) < 0.05).astype(np.int8)
    filled = np.where(label == 1, rng.random(20_000) < 0.75, rng.random(20_000) < 0.002)
    good = label * 1.5 + rng.normal(size=20_000)
    rows = pl.DataFrame({"bid": ["bid" if one else None for one in filled], "good": good})
    [leak] = find_leaks(rows, pl.Series(label), rows.columns)
    assert (leak.column, leak.only_with_label) == ("bid", "")
    assert leak.auc < 0.9
    rates = np.where(filled, label[filled].mean(), label[~filled].mean())
    assert leak.share == pytest.approx(
        1 - log_loss(label, rates) / log_loss(label, np.full(20_000, label.mean())), abs=0.01
    )
    assert f"takes {leak.share:.0%} off the log loss" in leak.why


def test_lists_that_only_clicked_rows_have_or_with_a_value_that_only_they_have_are_found() -> None:
    rng = np.random.default_rng(6)
    label = _label(rng)
    usual = [list(rng.choice(["red", "green", "blue"], 2, replace=False)) for _ in label]
    bid = [[456, 62] if one else None for one in label]
    empty = [["a", "b"] if one else [] for one in label]
    told = [
        [*tags, "called"] if one and rng.random() < 0.3 else tags
        for one, tags in zip(label, usual, strict=True)
    ]
    rows = pl.DataFrame({"bid": bid, "empty": empty, "told": told, "tags": usual})
    found = {leak.column: leak.only_with_label for leak in find_leaks(rows, pl.Series(label), rows.columns)}
    assert found == {"bid": "filled", "empty": "filled", "told": "'called'"}


def test_where_most_labels_are_1_a_value_with_no_other_may_be_chance() -> None:
    rng = np.random.default_rng(5)
    label = (rng.random(4000) < 0.8).astype(np.int8)
    rows = pl.DataFrame({"size": np.where((label == 1) & (np.arange(4000) < 40), "xl", "m")})
    assert find_leaks(rows, pl.Series(label), ["size"]) == []


def test_a_column_with_a_value_of_its_own_in_each_row_predicts_nothing_out_of_fold() -> None:
    rng = np.random.default_rng(1)
    label = _label(rng)
    ids = pl.Series([f"event-{n}" for n in range(len(label))])
    assert single_column(ids, label, rng.integers(0, 5, len(label))).auc == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize("kind", ["number", "category"])
def test_the_auc_is_that_of_the_other_folds_rates(kind: str) -> None:
    rng = np.random.default_rng(2)
    signal = rng.normal(size=6000) if kind == "number" else rng.integers(0, 8, 6000).astype(float)
    label = (
        rng.random(6000) < 1 / (1 + np.exp(1 - 1.5 * (signal if kind == "number" else signal - 4)))
    ).astype(np.int8)
    fold = rng.integers(0, 5, 6000)
    column = pl.Series(signal) if kind == "number" else pl.Series(signal.astype(int)).cast(pl.String)
    # The rates follow the signal, so that the signal itself ranks as they do, up to the width of the buckets.
    assert single_column(column, label, fold).auc == pytest.approx(roc_auc_score(label, signal), abs=0.01)


def test_one_class_or_no_label_finds_nothing() -> None:
    rows = pl.DataFrame({"x": np.arange(100)})
    assert find_leaks(rows, pl.Series([1] * 100), ["x"]) == []
    assert find_leaks(rows, pl.Series([None] * 100, dtype=pl.Int64), ["x"]) == []


def visits(rng: np.random.Generator, rows: int = 20_000, items: int = 300) -> pl.DataFrame:
    """Rows in order of time; items of very uneven popularity and click rate."""
    popularity = rng.pareto(1.5, items) + 0.2
    rate = rng.beta(2, 30, items)
    item = rng.choice(items, rows, p=popularity / popularity.sum())
    return pl.DataFrame(
        {
            "item": item,
            "label": (rng.random(rows) < rate[item]).astype(np.int8),
            "at": np.arange(rows),
            "popularity": popularity[item],
            "rate": rate[item],
        }
    )


@pytest.mark.parametrize("seed", range(3))
def test_what_counts_the_last_days_is_told_from_what_knows_everything_before_them(seed: int) -> None:
    rows = visits(np.random.default_rng(seed))
    per = rows.with_columns(
        clicks=pl.col("label").sum().over("item"),
        views=pl.len().over("item"),
        scaled=(1000 * pl.col("label").sum().over("item") / pl.len().over("item")).round() / 10,
        # What was counted when the last days began, and the truth itself, which no counter knows.
        before=pl.col("label").filter(pl.col("at") < 16_000).sum().over("item"),
    )
    r = {
        name: knows_ahead(per[name], per["item"], per["label"], per["at"])
        for name in ("clicks", "views", "scaled", "before", "popularity", "rate")
    }
    assert min(r["clicks"], r["views"]) > 0.99
    assert r["scaled"] >= TOO_WELL
    assert max(r["before"], r["popularity"], r["rate"]) < 0.6
    found = counted_ahead(per, ["clicks", "before", "popularity", "at"], ["item"], per["label"], per["at"])
    assert [(one.column, one.key) for one in found] == [("clicks", "item")]
    assert "of each item it tells the rows or clicks of the last days" in found[0].words


def test_what_has_no_value_or_too_few_keys_counts_nothing() -> None:
    rows = visits(np.random.default_rng(1), rows=2000, items=30)
    nothing = pl.Series([None] * len(rows), dtype=pl.Float64)
    assert knows_ahead(nothing, rows["item"], rows["label"], rows["at"]) == 0.0
    clicks = rows.select(pl.col("label").sum().over("item")).to_series()
    assert knows_ahead(clicks, rows["item"], rows["label"], rows["at"]) == 0.0
