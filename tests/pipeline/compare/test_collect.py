"""Evaluation rows by the domain's value and the user, as every model is evaluated on them."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from components.comparison.scores import EvaluationRows, Scored
from components.decoded_rows.evaluated import EvaluatedRows
from pipeline.compare.collect import (
    Evidence,
    Material,
    Resampled,
    evaluated_domains,
    evaluated_rows,
    past_click_rate,
)
from pipeline.compare.result import Spread
from tests.components.study.test_study import LAYOUT
from tests.components.study.test_study import rows as decoded
from tests.pipeline.compare.results import compared
from tests.pipeline.compare.results import trained as model_run


def _evaluated(domain: list[str], user: list[str], label: list[int]) -> EvaluatedRows:
    store = SimpleNamespace(label=np.array(label, np.float32))
    return EvaluatedRows(store, np.array(domain), np.array(user))  # type: ignore[arg-type]


def test_domains_are_in_the_order_of_their_rows_and_users_are_told_apart() -> None:
    rows = evaluated_rows(
        _evaluated(["10", "9", "10", "2", "9", "10"], ["b", "a", "b", "c", "a", "a"], [1, 0, 0, 1, 1, 0]),
        min_rows=2,
    )
    assert rows.domains == ("10", "9", "2")
    assert rows.domain.tolist() == [0, 1, 0, 2, 1, 0]
    assert rows.user.tolist() == [1, 0, 1, 2, 0, 0]
    found = evaluated_domains(rows, {"10": 0.9})
    assert {name: (d.rows, d.positives, d.counts) for name, d in found.items()} == {
        "10": (3, 1, True),
        "9": (2, 1, True),
        "2": (1, 1, False),
    }
    assert (found["10"].best_possible_auc, found["9"].best_possible_auc) == (0.9, None)


def test_the_lead_is_taken_apart_by_domain() -> None:
    generator = np.random.default_rng(1)
    label = generator.integers(0, 2, 3000)
    domain = np.r_[np.zeros(1500, int), np.ones(1490, int), np.full(10, 2)]
    rows = EvaluationRows(label, domain, generator.integers(0, 300, 3000), ("home", "search", "tiny"), 50)
    noise = generator.normal(0, 1, (2, 3000))
    # As good as the other at home, better in search.
    scores = {"dfei": label + noise, "mlp": label + noise * np.where(domain == 1, 2.0, 1.0)}
    scored = {name: [Scored(rows, score) for score in found] for name, found in scores.items()}
    models = [compared(name, name, []) for name in scored]
    for model in models:
        model.trained = [
            model_run(seed, score.average_auc()) for seed, score in enumerate(scored[model.name], 1)
        ]
        model.average_auc = Spread.of([run.average_auc for run in model.trained])
        model.domain_auc = {
            name: Spread.of([score.domain_auc(d) for score in scored[model.name]]).mean
            for d, name in enumerate(rows.domains)
        }
    resampled = Resampled(models, scored)
    assert list(resampled.versus("dfei")) == ["mlp"]
    versus = resampled.versus("dfei")["mlp"]
    # The other way round it is the same test.
    assert resampled.versus("mlp")["dfei"].high == pytest.approx(-versus.low)
    assert resampled.versus("nobody") == {}
    assert list(versus.domains) == ["home", "search"]
    home, search = versus.domains["home"], versus.domains["search"]
    assert (home.difference, home.low, home.high, home.verdict) == (0.0, 0.0, 0.0, "tie")
    assert 0 < search.low < search.difference < search.high
    assert search.verdict == "ahead"
    assert versus.difference == pytest.approx((home.difference + search.difference) / 2)
    # The interval of the average is that of its parts' mean.
    assert (versus.low, versus.high) == (pytest.approx(search.low / 2), pytest.approx(search.high / 2))


def test_what_needs_no_model_is_held_against_the_reference_on_the_same_rows() -> None:
    # Item 1 was clicked 3 times in 4 in domain a, item 2 never in 2.
    train = decoded([0] * 6, [1, 1, 1, 0, 0, 0], item=[1, 1, 1, 1, 2, 2])
    label, item = [1, 0, 0, 1] * 25, [1, 2, 1, 2] * 25
    judge = decoded([0] * 100, label, item=item)
    rows = EvaluationRows(np.array(label), np.zeros(100, int), np.arange(100) // 4, ("a",), 10)
    perfect = Scored(rows, np.array(label, float))
    model = compared("dfei", "DFEI", []).model_copy(
        update={
            "trained": [model_run(1, 1.0)],
            "average_auc": Spread.of([1.0]),
            "domain_auc": {"a": 1.0},
        }
    )
    scored = {"dfei": [perfect]}
    found = Evidence(rows, np.arange(100).astype(str), scored, Material(judge, train, LAYOUT, ""))  # type: ignore[arg-type]
    past = past_click_rate(found, Resampled([model], scored))
    assert past is not None and past.versus is not None
    high, low = (3 + 20 * 0.5) / 24, 20 * 0.5 / 22
    score = np.where(np.array(item) == 1, high, low)
    right = np.where(np.array(label) == 1, score, 1 - score)
    assert past.log_loss == pytest.approx(-np.log(right).mean())
    # Of clicked against not: (1, 2) in order, (1, 1) and (2, 2) equal, (2, 1) not in order.
    assert (past.average_auc, past.overall_auc) == (0.5, 0.5)
    assert past.versus.difference == pytest.approx(0.5)
    assert past.versus.verdict == "ahead"
    assert "video_id in the domain" in past.description
    assert past_click_rate(Evidence(rows, found.users, scored), Resampled([model], scored)) is None
