"""Means over periods and the tests, against a literal account of them."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from components.comparison.scores import Scored
from pipeline.backtest.pool import SharedUsers, pooled, rows_as_users
from pipeline.compare.collect import Evidence
from tests.pipeline.backtest.results import NAMES, comparison_of, evidence, two_periods


def average(found: Evidence, name: str, seed: int, times: np.ndarray | None = None) -> float:
    """The mean AUC over the domains; each row as often as `times` says."""
    rows = found.rows
    times = np.ones(len(rows.label)) if times is None else times
    aucs = [
        roc_auc_score(rows.label[at], found.scored[name][seed].score[at], sample_weight=times[at])
        for at in (rows.domain == d for d in range(3))
    ]
    return float(np.mean(aucs))


def test_a_user_of_both_periods_is_drawn_once() -> None:
    users = [np.array(["b", "a", "b"]), np.array(["c", "b"])]
    drawn = SharedUsers(users, 200, 1)
    assert drawn.count == 3
    for first, second in zip(drawn.weights(0), drawn.weights(1), strict=True):
        assert first[0] == first[2] == second[1]
        assert first[0] + first[1] + second[0] == 3
    assert np.mean([first[0] for first in drawn.weights(0)]) == pytest.approx(1.0, abs=0.15)


def test_without_users_each_row_is_drawn_by_itself() -> None:
    numbers = [np.arange(3).astype(str), np.arange(2).astype(str)]
    drawn = SharedUsers(rows_as_users(numbers), 50, 1)
    assert drawn.count == 5
    pairs = list(zip(drawn.weights(0), drawn.weights(1), strict=True))
    assert {first.sum() + second.sum() for first, second in pairs} == {5.0}
    assert any(first[0] != second[0] for first, second in pairs)


def test_every_number_is_what_it_says() -> None:
    found = two_periods()
    users = SharedUsers([one.users for one in found], 20, 1)
    models = {model.name: model for model in pooled([comparison_of(one) for one in found], found, users)}
    by_seed = {
        name: [float(np.mean([average(one, name, seed) for one in found])) for seed in (0, 1)]
        for name in NAMES
    }
    for name, model in models.items():
        assert model.average_auc.mean == pytest.approx(np.mean(by_seed[name]))
        assert model.average_auc.sd == pytest.approx(np.std(by_seed[name], ddof=1))
        assert [period.mean for period in model.periods] == [
            pytest.approx(np.mean([average(one, name, seed) for seed in (0, 1)])) for one in found
        ]
    assert models["dfei"].versus is None
    for name in ("mlp", "star"):
        versus = models[name].versus
        assert versus is not None
        assert versus.difference == pytest.approx(np.mean(by_seed["dfei"]) - np.mean(by_seed[name]))
        assert versus.seed_p_value is None, "two seeds bear no p-value"
        drawn = []
        for sample in range(20):
            means = {
                which: np.mean(
                    [
                        average(one, which, seed, list(users.weights(p))[sample])
                        for p, one in enumerate(found)
                        for seed in (0, 1)
                    ]
                )
                for which in ("dfei", name)
            }
            drawn.append(means["dfei"] - means[name])
        assert (versus.low, versus.high) == pytest.approx(tuple(np.percentile(drawn, [2.5, 97.5])))
        assert list(versus.domains) == ["a", "b", "c"]
        assert np.mean([lead.difference for lead in versus.domains.values()]) == pytest.approx(
            versus.difference
        )
    assert (models["mlp"].ahead, models["star"].ahead) == (1, 2)
    assert models["star"].rank == 3


def test_a_period_without_an_average_leaves_the_mean_undefined() -> None:
    found = two_periods()
    comparisons = [comparison_of(one) for one in found]
    comparisons[1].model("star").trained[0].average_auc = None
    users = SharedUsers([one.users for one in found], 5, 1)
    models = pooled(comparisons, found, users)
    assert models[-1].name == "star"
    assert (models[-1].average_auc.mean, models[-1].versus, models[-1].rank) == (None, None, 3)
    assert [model.versus is not None for model in models if model.name == "mlp"] == [True]


def test_a_domain_counts_where_it_does_in_every_period() -> None:
    found = two_periods()
    # In the second period, domain a has only clicks, and what was b and c stands in another order.
    second = found[1].rows
    label = np.where(second.domain == 0, 1, second.label).astype(np.float32)
    rows = dataclasses.replace(second, label=label, domains=("a", "c", "b"))
    scored = {name: [Scored(rows, one.score) for one in scores] for name, scores in found[1].scored.items()}
    found[1] = Evidence(rows, found[1].users, scored)
    users = SharedUsers([one.users for one in found], 30, 1)
    models = {model.name: model for model in pooled([comparison_of(one) for one in found], found, users)}
    versus = models["mlp"].versus
    assert versus is not None
    assert list(versus.domains) == ["b", "c"]

    def auc(period: int, name: str, seed: int, domain: str, times: np.ndarray | None = None) -> float:
        one = found[period]
        at = one.rows.domain == one.rows.domains.index(domain)
        weight = None if times is None else times[at]
        return float(
            roc_auc_score(one.rows.label[at], one.scored[name][seed].score[at], sample_weight=weight)
        )

    for domain, lead in versus.domains.items():
        times = [list(users.weights(period)) for period in (0, 1)]

        def lead_of(sample: int | None, domain: str = domain, times: list = times) -> float:
            return float(
                np.mean(
                    [
                        auc(period, "dfei", seed, domain, weight) - auc(period, "mlp", seed, domain, weight)
                        for period in (0, 1)
                        for weight in [None if sample is None else times[period][sample]]
                        for seed in (0, 1)
                    ]
                )
            )

        assert lead.difference == pytest.approx(lead_of(None))
        drawn = [lead_of(sample) for sample in range(30)]
        assert (lead.low, lead.high) == pytest.approx(tuple(np.percentile(drawn, [2.5, 97.5])))


def test_over_many_periods_a_sample_counts_where_it_has_an_auc() -> None:
    # In domain c one user clicks and one does not: hardly any sample has both in each of ten periods.
    random = np.random.default_rng(3)
    found = []
    for period in range(10):
        one = evidence(period, 400, 40, {"mlp": 0.4, "dfei": 0.5, "star": 0.2})
        label, names = one.rows.label.copy(), one.users.astype("U20")
        here = one.rows.domain == 2
        label[here] = random.permutation(np.arange(here.sum()) % 2)
        names[here] = np.char.add(f"{period}.", label[here].astype(int).astype(str))
        rows = dataclasses.replace(one.rows, label=label, user=np.unique(names, return_inverse=True)[1])
        scored = {name: [Scored(rows, run.score) for run in runs] for name, runs in one.scored.items()}
        found.append(Evidence(rows, names, scored))
    users = SharedUsers([one.users for one in found], 12, 1)
    models = pooled([comparison_of(one) for one in found], found, users)
    for model in models:
        if model.versus is not None:
            lead = model.versus.domains["c"]
            assert lead.low < lead.high
            assert lead.low - 0.2 < lead.difference < lead.high + 0.2
