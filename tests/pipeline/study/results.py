"""Evaluation rows, scores and results that the tests of studies share."""

from __future__ import annotations

import numpy as np

from components.comparison.scores import EvaluationRows, Scored
from pipeline.compare.result import Response, Spread
from pipeline.study.result import Cost, GroupFacts, Measured, StudiedPoint, StudyResult, Tested


def scored(skill: float, seeds: int = 3, rows: int = 3000) -> list[Scored]:
    """A model of some skill on rows of five domains of very different size: always the same rows."""
    rng = np.random.default_rng(0)
    domain = rng.choice(5, rows, p=[0.6, 0.25, 0.1, 0.03, 0.02])
    truth = rng.normal(size=rows)
    label = (rng.random(rows) < 1 / (1 + np.exp(1 - truth))).astype(np.float32)
    user = rng.integers(0, 300, rows)
    found = EvaluationRows(label, domain, user, tuple("abcde"), 100)
    return [
        Scored(found, 1 / (1 + np.exp(1 - skill * truth - np.random.default_rng(seed).normal(size=rows))))
        for seed in range(1, seeds + 1)
    ]


def result(models: tuple[str, ...] = ("DFEI", "<MLP>")) -> StudyResult:
    """A study of two points and two groups."""
    groups = {
        name: GroupFacts(rows=100, positives=20, domains=3, best=0.8) for name in ("all domains", "tail")
    }
    cost = Cost(
        rows_per_second=1e4,
        training_seconds=3.0,
        cpu_seconds=4.0,
        peak_memory_mb=800.0,
        parameters=1000,
        latency={size: Response(median_ms=2.0, p95_ms=3.0) for size in ("1", "512")},
    )
    points = [
        StudiedPoint(
            name=name,
            label=name,
            rows={"train": 10, "validation": 5, "eval": 100},
            domains=3,
            groups=groups,
            costs=dict.fromkeys(models, cost),
            comparison=f"points/{name}",
        )
        for name in ("5", "21")
    ]
    return StudyResult(
        name="domains",
        question="More domains?",
        axis="number of domains",
        command="dfei study domains",
        created="2026-01-01T00:00:00+00:00",
        versions={"python": "3"},
        seeds=[1, 2, 3],
        samples=200,
        reference=models[0],
        models=list(models),
        points=points,
        measured=[
            Measured(
                point=point.name,
                group=group,
                model=model,
                auc=Spread(mean=0.7, sd=0.01),
                log_loss=Spread(mean=0.4, sd=0.01),
                calibration=Spread(mean=1.02, sd=0.01),
            )
            for point in points
            for group in groups
            for model in models
        ],
        tests=[
            Tested(
                point=point.name,
                group=group,
                reference=models[0],
                other=models[1],
                difference=0.01,
                low=0.002,
                high=0.018,
                p_value=0.01,
                adjusted=0.02,
            )
            for point in points
            for group in groups
        ],
    )
