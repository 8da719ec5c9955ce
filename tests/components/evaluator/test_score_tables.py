"""Tables of scores against scikit-learn and against a literal count of pairs, in any order and bundling."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from components.evaluator.score_tables import SampledScoreTable, ScoreTable, group_ids

ROWS = st.lists(
    st.tuples(st.integers(0, 3), st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.5000001, 0.9, 1.0]), st.booleans()),
    max_size=40,
)


def pairs_auc(score: np.ndarray, label: np.ndarray) -> float:
    """Share of (click, non-click) pairs in the right order, equal scores counted half."""
    positive, negative = score[label == 1], score[label == 0]
    if not len(positive) or not len(negative):
        return float("nan")
    wins = sum((p > n) + 0.5 * (p == n) for p in positive for n in negative)
    return float(wins) / (len(positive) * len(negative))


def tabulate(
    rows: list[tuple[int, float, bool]],
    cuts: list[int],
    kind: type[ScoreTable] = ScoreTable,
    limit: int = 10**6,
) -> ScoreTable:
    """The rows through several tables, some travelling by pickle, merged at the end."""
    merged = kind(limit)
    for part in np.split(np.array(rows, float).reshape(-1, 3), sorted(cut % (len(rows) + 1) for cut in cuts)):
        table = kind(limit)
        for half in np.array_split(part, 2):
            table.add(half[:, 0].astype(np.int64), half[:, 1], half[:, 2])
        merged.merge(pickle.loads(pickle.dumps(table)))
    return merged


@given(ROWS, st.lists(st.integers(0, 40), max_size=4), st.randoms())
@settings(max_examples=60)
def test_auc_by_group_is_the_share_of_ordered_pairs(rows, cuts, random):
    shuffled = random.sample(rows, len(rows))
    result = tabulate(shuffled, cuts).group_auc()
    data = np.array(rows, float).reshape(-1, 3)
    assert result.group.tolist() == sorted(set(data[:, 0].astype(int).tolist()))
    for group, negatives, positives, auc in zip(
        result.group, result.negatives, result.positives, result.auc, strict=True
    ):
        here = data[data[:, 0] == group]
        assert (negatives, positives) == ((here[:, 2] == 0).sum(), here[:, 2].sum())
        assert auc == pytest.approx(pairs_auc(here[:, 1], here[:, 2]), abs=1e-12, nan_ok=True)


def test_large_tables_agree_with_scikit_learn():
    rng = np.random.default_rng(1)
    score = rng.beta(1, 60, 200_000).astype(np.float32)
    label = rng.random(200_000) < score
    table = ScoreTable()
    for part in np.array_split(np.arange(200_000), 7):
        table.add(np.zeros(len(part), np.int64), score[part], label[part])
    assert table.group_auc().auc[0] == pytest.approx(roc_auc_score(label, score), abs=1e-12)


def test_standard_error_is_delongs():
    rng = np.random.default_rng(2)
    score = np.round(rng.random(300), 2)
    label = (rng.random(300) < score).astype(int)
    table = ScoreTable()
    table.add(np.zeros(300, np.int64), score, label)
    positive, negative = score[label == 1], score[label == 0]
    wins = (positive[:, None] > negative) + 0.5 * (positive[:, None] == negative)
    expected = wins.mean(1).var(ddof=1) / len(positive) + wins.mean(0).var(ddof=1) / len(negative)
    assert table.group_auc().standard_error[0] ** 2 == pytest.approx(expected, rel=1e-9)


def test_standard_error_of_a_real_repetition():
    rng = np.random.default_rng(3)
    aucs, errors = [], []
    for _ in range(300):
        score = rng.random(200)
        table = ScoreTable()
        table.add(np.zeros(200, np.int64), score, rng.random(200) < score)
        result = table.group_auc()
        aucs.append(result.auc[0])
        errors.append(result.standard_error[0])
    assert np.mean(errors) == pytest.approx(np.std(aucs), rel=0.15)


@given(st.lists(st.integers(0, 5000), max_size=6))
@settings(max_examples=20)
def test_beyond_its_limit_a_table_is_coarser_but_the_same_for_any_bundling(cuts):
    rng = np.random.default_rng(4)
    score = rng.random(5000)
    label = rng.random(5000) < score
    rows = np.column_stack([rng.integers(0, 2, 5000), score, label]).tolist()
    whole = tabulate(rows, [], limit=600).group_auc()
    parts = tabulate(rows, cuts, limit=600).group_auc()
    exact = tabulate(rows, []).group_auc()
    np.testing.assert_array_equal(whole.auc, parts.auc)
    np.testing.assert_array_equal(exact.rows, parts.rows)
    np.testing.assert_allclose(exact.auc, parts.auc, atol=5e-4)
    assert not np.array_equal(exact.auc, parts.auc)


@given(st.lists(st.integers(0, 5000), max_size=6))
@settings(max_examples=20)
def test_beyond_its_limit_a_sampled_table_keeps_whole_groups(cuts):
    rng = np.random.default_rng(5)
    users = group_ids(rng.integers(0, 500, 5000))
    score = rng.random(5000)
    label = rng.random(5000) < score

    def tabulated(limit: int, bounds: list[int]) -> SampledScoreTable:
        merged = SampledScoreTable(limit)
        for part in np.split(np.arange(5000), sorted(bounds)):
            table = SampledScoreTable(limit)
            table.add(users[part], score[part], label[part])
            merged.merge(table)
        return merged

    exact = tabulated(10**6, []).group_auc()
    sampled = tabulated(2000, cuts).group_auc()
    assert 100 < len(sampled.group) < 300
    assert len(sampled.group) == len(tabulated(2000, []).group_auc().group)
    kept = np.isin(exact.group, sampled.group)
    np.testing.assert_allclose(exact.auc[kept], sampled.auc, atol=1e-12)


def test_an_empty_table_has_no_groups():
    assert len(ScoreTable().group_auc().group) == 0
    merged = ScoreTable()
    merged.merge(ScoreTable())
    assert len(merged.group_auc().auc) == 0


def test_ids_are_the_same_for_the_same_value():
    assert len(set(group_ids(np.arange(100_000)).tolist())) == 100_000
    np.testing.assert_array_equal(group_ids(np.array([7, -7], object)), group_ids(np.array([7, -7])))
    texts = group_ids(np.array(["a", "b", "a"], object))
    assert texts[0] == texts[2] != texts[1]
    assert group_ids(np.array([b"a"], object))[0] == texts[0]
    assert len(group_ids(np.array([], object))) == 0
