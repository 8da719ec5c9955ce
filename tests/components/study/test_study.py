"""Each part of the study against hand-made rows: click rates, calibration, rare ids, importance, days."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.comparison.evaluation_rows import evaluation_rows
from components.study import baselines
from components.study.calibration import bins
from components.study.document import Baseline, Study
from components.study.groups import id_groups, known_ids, trained_domains
from components.study.importance import importance, inputs
from components.study.sample import Sample, evenly, one_auc, take
from components.study.study import by_telling_rows, days
from models import gbdt
from models.features import CategoricalFeature, FeatureLayout
from models.gbdt import fit
from models.metrics import auc, log_loss
from models.rows import ArrayRows
from models.settings import ModelSettings, TrainingSettings

LAYOUT = FeatureLayout(
    categorical=(
        CategoricalFeature("tab", 4),
        CategoricalFeature("user_id", 6),
        CategoricalFeature("tags", 5, width=2),
        CategoricalFeature("video_id", 5),
    ),
    numeric=("length",),
    averages=("domain.click", "domain.known", "user_x_domain.click", "user_x_domain.count"),
    domains=("a", "b"),
    user="user_id",
    item="video_id",
)


class Dated(ArrayRows):
    """Rows in memory with days."""

    def __init__(
        self, rows: Mapping[str, np.ndarray], domain: object, label: object, day: object = ()
    ) -> None:
        super().__init__(rows, np.asarray(domain, np.int32), np.asarray(label, np.float32))
        self.day = np.asarray(day, np.int32)


def rows(domain: list[int], label: list[int], user: object = 1, item: object = 1, **columns: object) -> Dated:
    """Rows of the layout: what is not given is constant."""
    count = len(domain)
    categorical = np.ones((count, 5), np.int64)
    categorical[:, 1], categorical[:, 4] = user, item
    numeric = np.zeros((count, 1), np.float32)
    numeric[:, 0] = columns.get("length", 0.0)
    return Dated(
        {"categorical": categorical, "numeric": numeric, "averages": np.zeros((count, 4), np.float32)},
        domain,
        label,
        columns.get("day", [0] * count),
    )


def sampled(source: Dated, prediction: object) -> Sample:
    """All rows with these predictions."""
    index = np.arange(len(source.domain))
    return Sample(source, index, source.domain, source.label, np.asarray(prediction, float))


def test_the_past_click_rate_is_that_of_the_item_in_the_domain() -> None:
    # Domain a: item 1 clicked 3 of 4, item 2 clicked 0 of 2; domain b: item 1 clicked 0 of 2.
    train = rows([0] * 6 + [1] * 2, [1, 1, 1, 0, 0, 0, 0, 0], item=[1, 1, 1, 1, 2, 2, 1, 1])
    judge = rows([0, 0, 0, 1], [1, 0, 1, 0], item=[1, 2, 3, 1])
    found, _ = baselines.click_rate(train, sampled(judge, [0.5] * 4), LAYOUT)
    rate_a, rate_b = 4 / 8, 1 / 4
    expected = np.array(
        [(3 + 20 * rate_a) / 24, (20 * rate_a) / 22, rate_a, (20 * rate_b) / 22],
    )
    right = np.where(judge.label > 0, expected, 1 - expected)
    assert found.log_loss == pytest.approx(-np.log(right).mean())
    # In a: scores .542 (clicked), .455 (not), .5 (clicked); b has one class.
    assert found.domains == {"a": 1.0, "b": None}
    assert found.average_auc(["a"]) == 1.0
    assert found.average_auc(["a", "b"]) is None
    assert "150" not in found.description
    assert "8 training rows" in found.description


def test_without_an_item_the_click_rate_is_the_domains() -> None:
    layout = FeatureLayout(categorical=LAYOUT.categorical, numeric=("length",), domains=("a", "b"))
    train = rows([0, 0, 1, 1], [1, 1, 0, 0])
    judge = rows([0, 0, 1, 1], [1, 0, 1, 0])
    found, _ = baselines.click_rate(train, sampled(judge, [0.5] * 4), layout)
    assert found.domains == {"a": 0.5, "b": 0.5}
    assert found.overall_auc == 0.5


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=60))
def test_the_auc_of_a_sample_is_the_exact_one(pairs: list[tuple[float, bool]]) -> None:
    prediction = np.array([score for score, _ in pairs])
    label = np.array([clicked for _, clicked in pairs], float)
    expected = auc(label, prediction)
    assert one_auc(prediction, label)[0] == (None if expected is None else pytest.approx(expected))


def test_calibration_bins_hold_equally_many_rows_in_order() -> None:
    prediction = np.linspace(0.9, 0.1, 100)
    label = (np.arange(100) < 30).astype(float)
    found = bins(prediction, label)
    assert [entry.rows for entry in found] == [25, 25, 25, 25]
    assert found[0].predicted == pytest.approx(prediction[75:].mean())
    assert [entry.observed for entry in found] == pytest.approx([0, 0, 5 / 25, 1.0])
    assert bins(prediction[:24], label[:24]) == []
    assert len(bins(np.zeros(5000), np.zeros(5000))) == 10


def test_ids_are_known_when_they_are_in_the_vocabulary() -> None:
    # The vocabulary has 3 users: ids 1 to 3; 0 is missing, 4 and 5 are buckets of others.
    judge = rows([0, 0, 0, 1, 1, 1], [1, 0, 1, 0, 1, 0], user=[0, 1, 3, 4, 5, 2])
    sample = sampled(judge, [0.9, 0.1, 0.8, 0.3, 0.2, 0.6])
    known = known_ids(sample, LAYOUT, {"user_id": 3})
    assert list(known) == ["user"]
    assert known["user"].tolist() == [False, True, True, False, False, True]
    warm, cold = id_groups(sample, known, LAYOUT, {"user_id": 5})
    assert (warm.known, warm.rows, warm.positives, warm.auc, warm.min_count) == (True, 3, 1, 1.0, 5)
    assert (cold.known, cold.rows, cold.positives) == (False, 3, 2)
    # Clicks .9 and .2 against a non-click .3: one of two pairs in order.
    assert cold.auc == 0.5
    assert cold.calibration == pytest.approx((0.9 + 0.3 + 0.2) / 2)
    found = trained_domains(rows([0, 0, 1], [1, 0, 0]), sample, known, LAYOUT)
    assert (found["a"].rows, found["a"].positives, found["a"].rare_users) == (2, 1, pytest.approx(1 / 3))
    assert (found["b"].rows, found["b"].rare_users, found["b"].rare_items) == (1, pytest.approx(2 / 3), None)


def test_every_column_of_a_row_belongs_to_exactly_one_input() -> None:
    found = inputs(LAYOUT, "tab")
    taken = [(key, column) for entry in found for key, columns in entry.columns for column in columns]
    assert sorted(taken) == [
        *(("averages", i) for i in range(4)),
        *(("categorical", i) for i in range(5)),
        ("numeric", 0),
    ]
    assert [entry.name for entry in found] == [
        "user_id",
        "tags",
        "video_id",
        "length",
        "averages by domain",
        "averages by user and domain",
        "tab",
    ]
    assert [entry.moves_domain for entry in found] == [False] * 6 + [True]


def test_keys_of_dotted_columns_are_inputs_of_their_own() -> None:
    names = ("user.id.click", "user.id.count", "user.age.click", "user.age.count")
    found = inputs(FeatureLayout(categorical=(), averages=names, domains=("a",)), "tab")
    assert [(entry.name, entry.columns) for entry in found[:-1]] == [
        ("averages by user.id", (("averages", (0, 1)),)),
        ("averages by user.age", (("averages", (2, 3)),)),
    ]


def test_importance_is_what_shuffling_costs() -> None:
    rng = np.random.default_rng(0)
    count = 4000
    length = rng.normal(size=count)
    user = rng.integers(1, 6, count)
    domain = rng.integers(0, 2, count)
    # In b the length speaks against a click: which domain answers matters, the user does not.
    sign = np.where(domain == 0, 1.0, -1.0)
    label = (rng.random(count) < 1 / (1 + np.exp(-3 * length * sign))).astype(int)
    source = rows(domain.tolist(), label.tolist(), user=user, length=length)

    def score(data: Mapping[str, np.ndarray], domains: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(-3 * data["numeric"][:, 0] * np.where(domains == 0, 1.0, -1.0)))

    sample = take(source, score, count)
    found, used = importance(sample, score, LAYOUT, "tab", min_rows=100)
    drops = {entry.name: entry for entry in found}
    assert used == count
    whole = np.mean([auc(label[domain == d], sample.prediction[domain == d]) or 0.0 for d in (0, 1)])
    # Without its only input, and with the wrong domain half of the time, the ranking is chance.
    assert drops["length"].drop == pytest.approx(whole - 0.5, abs=0.03)
    assert drops["tab"].drop == pytest.approx(whole - 0.5, abs=0.06)
    assert drops["user_id"].drop == drops["averages by domain"].drop == 0
    assert drops["user_id"].standard_error == 0
    assert 0 < drops["length"].standard_error < 0.03
    assert {found[0].name, found[1].name} == {"length", "tab"}
    assert importance(sample, score, LAYOUT, "tab", min_rows=100)[0] == found


def test_importance_of_rows_of_one_class_is_nothing() -> None:
    source = rows([0] * 10, [0] * 10)
    sample = sampled(source, np.linspace(0, 1, 10))
    assert importance(sample, lambda data, domains: np.zeros(len(domains)), LAYOUT, "tab", 1) == ([], 0)


def test_small_domains_are_judged_together() -> None:
    source = rows([0, 1] * 10, [0, 1, 1, 0] * 5, length=np.arange(20))
    sample = sampled(source, np.linspace(0, 1, 20))
    found, used = importance(
        sample, lambda data, domains: data["numeric"][:, 0] / 20, LAYOUT, "tab", min_rows=100
    )
    assert used == 20
    assert len(found) == 7


def test_the_mlp_learns_what_there_is_to_learn() -> None:
    rng = np.random.default_rng(1)
    count = 6000
    length = rng.normal(size=count)
    label = (rng.random(count) < 1 / (1 + np.exp(-2 * length))).astype(int)
    domain = rng.integers(0, 2, count)
    source = rows(domain.tolist(), label.tolist(), length=length)
    sample = sampled(source, np.full(count, 0.5))
    found, prediction = baselines.mlp(
        source,
        source,
        sample,
        LAYOUT,
        ModelSettings(name="dfei", options={"unknown": 1}),
        TrainingSettings(epochs=2, refit=True),
    )
    best = auc(label, length)
    assert best is not None
    assert found.overall_auc is not None
    assert found.overall_auc > best - 0.02
    assert set(found.domains) == {"a", "b"}
    assert "trained as the model is; epoch" in found.description
    lead = baselines.leads(sampled(source, prediction), np.full(count, 0.5), LAYOUT, [0, 1], 1).over_these(
        "ab"
    )
    assert lead is not None
    assert list(lead.domains) == ["a", "b"]
    assert lead.low <= lead.difference <= lead.high
    assert lead.difference == pytest.approx(sum(found.domains.values()) / 2 - 0.5, abs=1e-6)
    assert lead.beyond_chance
    level = baselines.leads(sampled(source, prediction), prediction, LAYOUT, [0, 1], seed=1).over_these("ab")
    assert level is not None
    assert (level.difference, level.beyond_chance) == (0, False)


def test_the_trees_are_those_of_the_comparison() -> None:
    rng = np.random.default_rng(1)
    length = rng.normal(size=3000)
    label = (rng.random(3000) < 1 / (1 + np.exp(-2 * length))).astype(int)
    source = rows(rng.integers(0, 2, 3000).tolist(), label.tolist(), length=length)
    sample = sampled(source, np.full(3000, 0.5))
    model, training = ModelSettings(name="dfei", options={"rounds": 30, "of_dfei": 1}), TrainingSettings()
    found, prediction = baselines.trees(source, source, sample, LAYOUT, model, training)
    own = fit(source, source, LAYOUT, ModelSettings(name="lightgbm", options={"rounds": 30}), training)
    assert prediction is not None
    assert prediction == pytest.approx(own.predict(source.gather(np.arange(3000)), source.domain))
    assert found.overall_auc == auc(label, prediction)
    assert (
        found.description
        == f"gradient-boosted trees on the same inputs, {own.rounds} of them as the validation days choose"
    )


def test_trees_that_cannot_be_grown_say_why(monkeypatch: pytest.MonkeyPatch) -> None:
    source = rows([0, 1], [0, 1])
    given = source, source, sampled(source, [0.1, 0.9]), LAYOUT
    nothing = ModelSettings(
        domain_feature=False, averages="none", history="none", options={"most_categories": 0}
    )
    no_numbers = dataclasses.replace(LAYOUT, numeric=())
    found, prediction = baselines.trees(*given[:3], no_numbers, nothing, TrainingSettings())
    assert (prediction, found.overall_auc, found.domains) == (None, None, {})
    assert found.description.startswith("not trained: no input is left")

    def missing() -> None:
        raise OSError("libgomp.so.1: cannot open shared object file: No such file or directory")

    monkeypatch.setattr(gbdt, "_library", missing)
    found, prediction = baselines.trees(*given, ModelSettings(), TrainingSettings())
    assert prediction is None
    assert found.description.endswith("(Debian, Ubuntu: apt-get install libgomp1)")


def test_where_no_domain_counts_nobody_is_ahead() -> None:
    source = rows([0, 1], [0, 1])
    nobody = baselines.leads(sampled(source, [0.1, 0.9]), np.array([0.5, 0.5]), LAYOUT, [0, 1], seed=1)
    assert (nobody.within, nobody.over, nobody.over_these("a")) == ({}, [], None)


def test_a_lead_over_all_rows_together_is_that_of_their_auc_and_their_log_loss() -> None:
    rng = np.random.default_rng(3)
    label = rng.integers(0, 2, 800)
    own, other = (
        rng.uniform(0.3, 0.7, 800),
        np.clip(0.5 + 0.3 * (label - 0.5) + rng.normal(0, 0.1, 800), 0.05, 0.95),
    )
    source = rows(rng.integers(0, 2, 800).tolist(), label.tolist(), user=rng.integers(1, 90, 800).tolist())
    # Too few rows for any domain to decide: what all rows tell is told all the same.
    found = baselines.leads(sampled(source, own), other, LAYOUT, [0, 1], seed=1, least=1000, together=True)
    assert (found.within, found.over) == ({}, [])
    assert found.overall is not None
    assert found.log_loss is not None
    assert found.overall.difference == pytest.approx(auc(label, own) - auc(label, other))
    assert found.log_loss.difference == pytest.approx(log_loss(label, other) - log_loss(label, own))
    for lead in (found.overall, found.log_loss):
        assert lead.low < lead.difference < lead.high < 0


def test_each_set_of_domains_has_a_lead_of_its_own() -> None:
    rng = np.random.default_rng(2)
    domain = [0] * 900 + [1] * 150
    label = rng.integers(0, 2, 1050)
    # Ahead in the large domain alone.
    own = label + rng.normal(0, np.where(np.array(domain) == 0, 0.5, 9.0))
    other = label + rng.normal(0, 2.0, 1050)
    source = rows(domain, label.tolist(), user=rng.integers(0, 80, 1050).tolist())
    found = baselines.leads(sampled(source, own), other, LAYOUT, [0, 1], seed=1)
    large, both = found.over_these("a"), found.over_these("ba")
    assert large is not None
    assert both is not None
    assert (list(large.domains), list(both.domains)) == (["a"], ["a", "b"])
    assert large.difference > both.difference
    assert baselines.leads(sampled(source, own), other, LAYOUT, [0], seed=1).over_these("a") == large
    # No number of rows lets the small domain decide alone.
    assert found.over_these("b") is None


@pytest.mark.parametrize("min_rows", [20, 150, 300, 731, 1000])
def test_whatever_number_of_rows_a_domain_needs_there_is_an_interval(min_rows: int) -> None:
    """A report says "not known" of domains for which the study worked none out."""
    rng = np.random.default_rng(2)
    domain = rng.choice(2, 4000, p=[0.8, 0.2])
    label = (rng.random(4000) < np.where(domain == 0, 0.5, 0.04)).astype(int)
    source = rows(domain.tolist(), label.tolist(), user=rng.integers(0, 80, 4000).tolist())
    order = by_telling_rows(source)
    judged = evaluation_rows(source, LAYOUT, min_rows)
    decide = [LAYOUT.domains[found] for found in judged.counted()]
    found = baselines.leads(sampled(source, rng.random(4000)), rng.random(4000), LAYOUT, order, seed=1)
    assert decide
    assert found.over_these(decide) is not None


def test_days_are_counted_by_split() -> None:
    found = days(
        {
            "train": rows([0, 0, 1], [1, 0, 1], day=[19107, 19107, 19108]),
            "eval": rows([0], [1], day=[19109]),
        }
    )
    assert [(d.day, d.split, d.rows, d.positives) for d in found] == [
        ("2022-04-25", "train", 2, 1),
        ("2022-04-26", "train", 1, 1),
        ("2022-04-27", "eval", 1, 1),
    ]


def test_thinned_out_days_are_counted_in_full() -> None:
    evaluated = rows([0, 0], [1, 0], day=[19109, 19110])
    found = days({"train": rows([0], [1], day=[19108]), "eval": evaluated}, every=3)
    assert [(d.split, d.rows, d.positives) for d in found] == [
        ("train", 1, 1),
        ("eval", 3, 3),
        ("eval", 3, 0),
    ]


def test_days_of_ten_minutes_have_a_time() -> None:
    evaluated = rows([0, 0], [1, 0], day=[19108 * 144, 19108 * 144 + 1])
    found = days({"eval": evaluated}, day_ms=600_000)
    assert [d.day for d in found] == ["2022-04-26 00:00", "2022-04-26 00:10"]


def test_rows_are_taken_evenly() -> None:
    assert evenly(10, 4).tolist() == [0, 3, 6, 9]
    assert evenly(3, 10).tolist() == [0, 1, 2]
    assert evenly(0, 10).tolist() == []
    source = rows([0, 1, 0, 1], [0, 1, 0, 1], length=[1, 2, 3, 4])
    sample = take(source, lambda data, domains: data["numeric"][:, 0] * 10 + domains, 2)
    assert sample.prediction.tolist() == [10.0, 41.0]
    assert sample.label.tolist() == [0, 1]


def test_a_study_of_a_later_version_is_still_read() -> None:
    document = Study(rows=1, of=2, baselines=[Baseline(name="x", description="y")]).model_dump()
    assert Study.model_validate({**document, "new": 1}).baselines[0].domains == {}
    earlier = {**document, "anchors": document["baselines"]}
    del earlier["baselines"]
    assert Study.model_validate(earlier).baselines[0].name == "x"
