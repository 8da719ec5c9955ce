from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.metrics import log_loss

from models.features import FeatureLayout
from models.gbdt import OPTIONS, FeatureMatrix, GradientBoostedTrees, fit
from models.metrics import score
from models.options import Option
from models.settings import ModelSettings, TrainingSettings
from tests.models.helpers import random_rows, small_layout

LAYOUT = small_layout(domains=3, history=1)
FEW = {"rounds": 40, "patience": 10, "min_leaf_rows": 5, "tree_learning_rate": 0.5}


class Rows:
    """Rows in memory whose label follows one number, in each domain the other way round."""

    def __init__(self, count: int, seed: int, layout: FeatureLayout = LAYOUT) -> None:
        rng = np.random.default_rng(seed)
        self._rows = random_rows(layout, (count,), seed)
        self.domain = rng.integers(0, 3, count).astype(np.int32)
        signal = self._rows["averages"][:, 0] * np.where(self.domain == 1, -1, 1)
        self.label = (rng.random(count) < 1 / (1 + np.exp(-3 * signal))).astype(np.float32)
        self.reads = 0

    def gather(self, indices: np.ndarray) -> dict[str, np.ndarray]:
        self.reads += 1
        return {key: value[indices] for key, value in self._rows.items()}


def fitted(refit: bool = False, seed: int = 1, **settings: Any) -> GradientBoostedTrees:
    return fit(
        Rows(1200, 0),
        Rows(400, 1),
        LAYOUT,
        ModelSettings(name="gbdt", options=FEW, **settings),
        TrainingSettings(validation_min_rows=50, refit=refit),
        seed=seed,
        threads=1,
    )


@pytest.fixture(scope="module")
def trees() -> GradientBoostedTrees:
    return fitted()


def test_columns_are_named_and_in_order():
    matrix = FeatureMatrix(LAYOUT, ModelSettings())
    categorical = ["(domain)", "user_id", "tag[0]", "tag[1]", "video_id", "device", "author_id"]
    numbers = ["duration", "age", "average.0", "average.1"]
    history = [f"history.0 in tab{d}" for d in range(3)]
    assert matrix.names == [*categorical, *numbers, *history]
    assert matrix.categorical == list(range(7))
    rows = random_rows(LAYOUT, (5,))
    values = matrix(rows, np.array([2, 0, 1, 1, 2]))
    np.testing.assert_array_equal(values[:, 0], [2, 0, 1, 1, 2])
    np.testing.assert_array_equal(values[:, 1:7], rows["categorical"])
    np.testing.assert_array_equal(values[:, 7:9], rows["numeric"])
    np.testing.assert_array_equal(values[:, 11:], rows["history"][..., 0])


def test_the_same_switches_as_the_networks_choose_the_columns():
    settings = ModelSettings(use_ids=False, averages="learned", history="none", domain_feature=False)
    matrix = FeatureMatrix(LAYOUT, settings)
    assert matrix.names == ["tag[0]", "tag[1]", "device", "duration", "age"]
    rows = random_rows(LAYOUT, (5,))
    np.testing.assert_array_equal(matrix(rows, np.zeros(5))[:, :3], rows["categorical"][:, [1, 2, 4]])
    # Of the layout's categorical features, tag has 5 ids, device 4, the others more.
    few = FeatureMatrix(LAYOUT, ModelSettings(options={"most_categories": 5}))
    assert few.names[:5] == ["(domain)", "tag[0]", "tag[1]", "device", "duration"]
    nothing = FeatureLayout(categorical=(), averages=("a",), domains=("x",))
    with pytest.raises(ValueError, match="no input is left"):
        FeatureMatrix(nothing, ModelSettings(averages="none", domain_feature=False))


def test_options_are_those_that_it_names_and_any_other_is_refused(monkeypatch):
    asked, read = set(), Option.read
    monkeypatch.setattr(Option, "read", lambda o, name, options: asked.add(name) or read(o, name, options))
    fit(Rows(60, 0), Rows(40, 1), LAYOUT, ModelSettings(options={"rounds": 2}), TrainingSettings())
    assert asked == set(OPTIONS)
    with pytest.raises(
        ValueError, match=r"model\.options\.leafs: lightgbm has no such option\. There are: leaves, "
    ):
        fit(Rows(60, 0), None, LAYOUT, ModelSettings(options={"leafs": 2}), TrainingSettings())


def test_it_learns_what_differs_between_domains(trees):
    unseen = Rows(600, 2)
    probability = trees.predict(unseen.gather(np.arange(600)), unseen.domain)
    assert probability.shape == (600,)
    assert ((probability > 0) & (probability < 1)).all()
    assert score(unseen.domain, unseen.label, probability, 50).average_auc > 0.8
    importance = trees.importance()
    assert sum(importance.values()) == pytest.approx(1)
    assert set(sorted(importance, key=importance.get)[-2:]) == {"(domain)", "average.0"}
    assert trees.feature_names == list(importance)


def test_a_score_depends_on_no_other_row(trees):
    rows = Rows(20, 3)
    together = trees.predict(rows.gather(np.arange(20)), rows.domain)
    alone = [trees.predict(rows.gather(np.array([i])), rows.domain[i : i + 1])[0] for i in range(20)]
    np.testing.assert_array_equal(together, alone)
    assert trees.predict(rows.gather(np.arange(0)), rows.domain[:0]).shape == (0,)


def test_the_number_of_trees_comes_from_the_validation_rows(trees):
    assert 1 <= trees.rounds < FEW["rounds"]
    late = Rows(400, 1)
    whole = fit(Rows(1200, 0), None, LAYOUT, trees.settings, TrainingSettings(), threads=1)
    losses = []
    for rounds in range(1, FEW["rounds"] + 1):
        whole.rounds = rounds
        probability = whole.predict(late.gather(np.arange(400)), late.domain)
        losses.append(log_loss(late.label, probability, labels=[0, 1]))
    # It stops after ten trees without a gain.
    assert trees.rounds == 1 + int(np.argmin(losses[: trees.rounds + FEW["patience"]]))
    again = fitted()
    assert again.rounds == trees.rounds
    rows = Rows(50, 4)
    sample = rows.gather(np.arange(50)), rows.domain
    np.testing.assert_array_equal(again.predict(*sample), trees.predict(*sample))
    refitted = fitted(refit=True)
    assert refitted.rounds == trees.rounds
    assert (refitted.predict(*sample) != trees.predict(*sample)).any()


def test_it_tells_of_every_tree():
    heard = []
    settings = ModelSettings(options={"rounds": 12, "patience": 12})
    result = fit(
        Rows(300, 0),
        Rows(100, 1),
        LAYOUT,
        settings,
        TrainingSettings(refit=True),
        threads=1,
        grown=lambda *told: heard.append(told),
    )
    first, again = heard[:12], heard[12:]
    assert [(trees, most, again) for trees, most, _, again in first] == [(n, 12, False) for n in range(1, 13)]
    assert all(0.1 < loss < 1.5 for _, _, loss, _ in first)
    assert min(first, key=lambda tree: tree[2])[0] == result.rounds
    assert again == [(n, result.rounds, None, True) for n in range(1, result.rounds + 1)]


@pytest.mark.parametrize("none", [None, Rows(0, 1)])
def test_without_validation_rows_all_trees_are_grown(none):
    settings = ModelSettings(name="gbdt", options={**FEW, "rounds": 7})
    result = fit(Rows(300, 0), none, LAYOUT, settings, TrainingSettings(), threads=1)
    assert result.rounds == 7


@pytest.mark.parametrize("enough", [50, 10_000])
def test_an_average_that_no_domain_counts_in_is_none(enough: int):
    later = Rows(400, 1)
    training = TrainingSettings(validation_min_rows=enough)
    result = fit(Rows(1200, 0), later, LAYOUT, ModelSettings(options=FEW), training, threads=1)
    probability = result.predict(later.gather(np.arange(400)), later.domain)
    scores = score(later.domain, later.label, np.log(probability / (1 - probability)), enough)
    assert result.validation == pytest.approx(scores.criterion)
    assert result.validation_average_auc == (None if enough > 400 else pytest.approx(scores.average_auc))


def test_saved_trees_predict_the_same(trees, tmp_path):
    trees.save(tmp_path / "trees.json")
    loaded = GradientBoostedTrees.load(tmp_path / "trees.json")
    rows = Rows(50, 4)
    sample = rows.gather(np.arange(50)), rows.domain
    np.testing.assert_array_equal(loaded.predict(*sample), trees.predict(*sample))
    assert (loaded.rounds, loaded.feature_names) == (trees.rounds, trees.feature_names)


def test_no_row_and_wrong_options_are_refused():
    with pytest.raises(ValueError, match="no training row"):
        fit(Rows(0, 0), Rows(5, 1), LAYOUT, ModelSettings(), TrainingSettings())
    with pytest.raises(ValueError, match=r"model\.options\.leaves: expected int, got 'all'"):
        fit(Rows(9, 0), Rows(5, 1), LAYOUT, ModelSettings(options={"leaves": "all"}), TrainingSettings())
