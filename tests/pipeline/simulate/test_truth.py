"""The best possible AUC: right, readable, and out of the reach of models that miss what is to be learned."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from components.errors import InputError
from pipeline.simulate import best_possible_auc, read_day, simulate
from pipeline.simulate.truth import TruthTally
from tests.pipeline.simulate.conftest import Feed


def test_scores_are_those_of_the_probabilities_on_disk(feed: Feed) -> None:
    rows = feed.rows.filter(pl.col("day") >= feed.first_eval_day)
    best = feed.facts.best
    assert best.overall.rows == rows.height
    assert best.overall.auc == pytest.approx(roc_auc_score(rows["click"], rows["probability"]), abs=1e-4)
    assert best.overall.log_loss == pytest.approx(log_loss(rows["click"], rows["probability"]), abs=1e-9)
    p = rows["probability"].to_numpy()
    assert best.overall.entropy == pytest.approx(-(p * np.log(p) + (1 - p) * np.log1p(-p)).mean(), abs=1e-9)
    exact = {}
    for (domain,), part in rows.group_by("domain_id"):
        score = best.domains[str(domain)]
        assert (score.rows, score.positives) == (part.height, part["click"].sum())
        if part["click"].n_unique() == 2:
            exact[str(domain)] = roc_auc_score(part["click"], part["probability"])
            assert score.auc == pytest.approx(exact[str(domain)], abs=2e-3)
        else:
            assert score.auc is None
        if part.height >= 500:
            assert score.auc == pytest.approx(exact[str(domain)], abs=3e-4)
    assert best.counted == [name for name in best.domains if best.domains[name].rows >= 500]
    assert best.average_auc == pytest.approx(np.mean([exact[name] for name in best.counted]), abs=2e-4)


def test_best_possible_auc_is_realistic(feed: Feed) -> None:
    every_day = best_possible_auc(feed.directory, eval_days=14, min_rows=1_000)
    assert len(every_day.counted) >= 12
    for name in every_day.counted:
        assert 0.69 < every_day.domains[name].auc < 0.90, name  # type: ignore[operator]
    assert 0.74 < every_day.average_auc < 0.84  # type: ignore[operator]
    assert len(feed.facts.best.counted) >= 8
    assert 0.74 < feed.facts.best.average_auc < 0.84  # type: ignore[operator]


def test_other_periods_are_read_from_the_rows(feed: Feed) -> None:
    three = best_possible_auc(feed.directory, eval_days=3, min_rows=300)
    rows = feed.rows.filter(pl.col("day") >= 11)
    assert three.overall.rows == rows.height
    assert three.overall.auc == pytest.approx(roc_auc_score(rows["click"], rows["probability"]), abs=1e-4)
    assert three.min_rows == 300
    with pytest.raises(InputError, match="has 14 days, the best possible AUC of 15 was wanted"):
        best_possible_auc(feed.directory, eval_days=15)


def test_a_plain_logistic_regression_stays_well_below_the_truth(feed: Feed) -> None:
    """Features alone, then features and the past click rates of user and item, then the truth."""
    rows = feed.rows.join(feed.users, on="user_id", maintain_order="left").join(
        feed.items, on="item_id", maintain_order="left"
    )
    train = (rows["day"] < feed.first_eval_day).to_numpy()
    one_hot = OneHotEncoder(handle_unknown="ignore")
    categories = one_hot.fit_transform(
        rows.select("domain_id", "age_band", "city_tier", "device", "category").to_numpy()
    )
    numbers = rows.select(
        pl.col("position", "duration_s", "age_days", "activity", "tenure_days").log1p()
    ).to_numpy()
    click = rows["click"].to_numpy()
    averages = np.column_stack([_past_rate(feed, key) for key in (["user_id"], ["item_id"])])
    features_only = _average_auc(feed, _fit(train, click, categories, numbers))
    with_averages = _average_auc(feed, _fit(train, click, categories, np.hstack([numbers, averages])))
    truth = feed.facts.best.average_auc
    assert truth is not None
    assert 0.55 < features_only < truth - 0.10
    assert features_only + 0.03 < with_averages < truth - 0.05


def test_reading_what_is_no_simulation(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not the directory of a simulated feed"):
        best_possible_auc(tmp_path)
    (tmp_path / "truth.json").write_text("{")
    with pytest.raises(InputError, match="cannot be read as JSON"):
        best_possible_auc(tmp_path)
    (tmp_path / "truth.json").write_text("[]")
    with pytest.raises(InputError, match="expected a JSON object, found list"):
        best_possible_auc(tmp_path)
    (tmp_path / "truth.json").write_text('{"settings": {}}')
    with pytest.raises(InputError, match="not the truth of a simulated feed"):
        best_possible_auc(tmp_path)


def test_a_day_whose_truth_is_not_its_own(tmp_path: Path) -> None:
    simulate(tmp_path / "feed", rows=2_000)
    first = tmp_path / "feed" / "truth" / "part-000.parquet"
    first.write_bytes((tmp_path / "feed" / "truth" / "part-005.parquet").read_bytes())
    with pytest.raises(InputError, match=r"part-000\.csv and .*part-000\.parquet: cannot be read together"):
        read_day(tmp_path / "feed", 0)


def test_one_class_domains_have_no_auc_and_count_in_no_mean() -> None:
    tally = TruthTally(3)
    tally.add(
        np.array([0, 0, 0, 0, 1, 1]), np.array([0.1, 0.4, 0.35, 0.8, 0.2, 0.3]), np.array([0, 0, 1, 1, 0, 0])
    )
    best = tally.best_possible(min_rows=2)
    assert best.domains["0"].auc == 0.75
    assert best.domains["1"].auc is None
    assert best.domains["2"].log_loss is None
    assert best.counted == ["0"]
    assert best.average_auc == 0.75
    assert tally.best_possible(min_rows=5).average_auc is None
    json.dumps(best.to_dict(), allow_nan=False)


def _past_rate(feed: Feed, key: list[str]) -> np.ndarray:
    """Smoothed surplus of clicks over the domain's rate, on earlier days, frozen when the evaluation starts."""
    surplus = pl.col("click") - pl.col("click").mean().over("domain_id", "day")
    days = (
        feed.rows.with_columns(surplus=surplus).group_by(*key, "day").agg(pl.col("surplus").sum(), n=pl.len())
    )
    asked = feed.rows.select(*key, "day").with_columns(
        until=pl.col("day").clip(upper_bound=feed.first_eval_day)
    )
    known = (
        days.sort("day")
        .with_columns(pl.col("surplus", "n").cum_sum().over(key))
        .with_columns(until=pl.col("day") + 1)
        .drop("day")
        .sort("until")
    )
    joined = (
        asked.with_row_index()
        .sort("until")
        .join_asof(known, on="until", by=key, check_sortedness=False)
        .sort("index")
    )
    rate: np.ndarray = (
        (joined["surplus"].fill_null(0) / (joined["n"].fill_null(0) + 10)).to_numpy().astype(np.float64)
    )
    return rate


def _fit(train: np.ndarray, click: np.ndarray, categories: object, numbers: np.ndarray) -> np.ndarray:
    from scipy.sparse import csr_matrix, hstack

    inputs = hstack([categories, csr_matrix(StandardScaler().fit_transform(numbers))]).tocsr()
    model = LogisticRegression(max_iter=200).fit(inputs[train], click[train])
    scores: np.ndarray = model.predict_proba(inputs)[:, 1]
    return scores


def _average_auc(feed: Feed, scores: np.ndarray) -> float:
    rows = feed.rows.with_columns(score=scores).filter(pl.col("day") >= feed.first_eval_day)
    aucs = []
    for name in feed.facts.best.counted:
        part = rows.filter(pl.col("domain_id") == int(name))
        aucs.append(roc_auc_score(part["click"], part["score"]))
    return float(np.mean(aucs))
