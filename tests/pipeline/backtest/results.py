"""Made-up comparisons of two periods, with scores, for the pooling, the table and the page."""

from __future__ import annotations

import numpy as np

from components.comparison.scores import EvaluationRows, Scored
from models.metrics import gauc, log_loss
from pipeline.backtest.pool import SharedUsers, pooled
from pipeline.backtest.result import Backtest, EvaluatedPeriod
from pipeline.compare.collect import Evidence
from pipeline.compare.result import Compared, Comparison, Spread, Trained
from tests.pipeline.compare import results

NAMES = ("mlp", "dfei", "star")
TITLES = {"mlp": "MLP", "dfei": "DFEI", "star": "STAR"}


def evidence(seed: int, rows: int, users: int, skill: dict[str, float]) -> Evidence:
    """Scores of two seeds per model: noise, and the label by its skill."""
    random = np.random.default_rng(seed)
    label = random.integers(0, 2, rows).astype(np.float32)
    domain = random.integers(0, 3, rows)
    names = np.array([f"u{number}" for number in random.integers(0, users, rows)])
    _, user = np.unique(names, return_inverse=True)
    found = EvaluationRows(label, domain, user, ("a", "b", "c"), min_rows=10)
    scored = {
        name: [
            Scored(found, 1 / (1 + np.exp(-(skill[name] * label + random.normal(size=rows)))))
            for _ in range(2)
        ]
        for name in NAMES
    }
    return Evidence(found, names, scored)


def _compared(name: str, scored: list[Scored]) -> Compared:
    trained = [
        Trained(
            **{
                **results.trained(seed, score.average_auc()).model_dump(),
                "overall_auc": score.overall_auc(),
                "gauc": gauc(score.rows.label, score.score, score.rows.user),
                "log_loss": log_loss(score.rows.label, score.score),
            }
        )
        for seed, score in enumerate(scored, 1)
    ]
    averages = [run.average_auc or 0.0 for run in trained]
    made = results.compared(name, TITLES[name], averages)
    within = {
        domain: Spread.of([score.domain_auc(d) for score in scored]).mean
        for d, domain in enumerate(scored[0].rows.domains)
    }
    changes = {"trained": trained, "average_auc": Spread.of(averages), "domain_auc": within}
    return made.model_copy(update=changes)


def comparison_of(found: Evidence) -> Comparison:
    return results.comparison(models=[_compared(name, list(found.scored[name])) for name in NAMES])


def two_periods() -> list[Evidence]:
    """DFEI best in the first, MLP in the second; STAR far behind in both."""
    return [
        evidence(1, 400, 60, {"mlp": 0.8, "dfei": 1.2, "star": 0.1}),
        evidence(2, 250, 80, {"mlp": 1.5, "dfei": 1.1, "star": 0.1}),
    ]


def backtest(**changes: object) -> Backtest:
    found = two_periods()
    comparisons = [comparison_of(one) for one in found]
    users = SharedUsers([one.users for one in found], 50, 1)
    values: dict[str, object] = {
        "dataset": "simulated",
        "label": "click",
        "domain": "scene",
        "created": "2026-01-01T00:00:00+00:00",
        "command": "dfei backtest --dataset simulated --root R",
        "versions": {"python": "3.11.2"},
        "seeds": [1, 2],
        "trials": 2,
        "bootstrap_samples": 50,
        "min_rows": 10,
        "users": users.count,
        "periods": [
            EvaluatedPeriod(
                first="2024-01-13",
                last="2024-01-14",
                before="2024-01-15T00:00:00",
                comparison="periods/2024-01-14",
                rows={"train": 100, "validation": 20, "eval": 400},
                users=60,
                domains=3,
            ),
            EvaluatedPeriod(
                first="2024-01-11",
                last="2024-01-12",
                before="2024-01-13T00:00:00",
                comparison="periods/2024-01-12",
                rows={"train": 80, "validation": 20, "eval": 250},
                users=80,
                domains=3,
            ),
        ],
        "reference": "dfei",
        "models": pooled(comparisons, found, users),
    }
    return Backtest.model_validate({**values, **changes})
