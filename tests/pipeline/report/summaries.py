"""Made-up runs to report on."""

from __future__ import annotations

from typing import Any

import numpy as np

from components.evaluator.results import DomainResult, EvaluationResult, Gate, Overall
from components.study.document import (
    Baseline,
    CalibrationBin,
    DayRows,
    IdGroup,
    Importance,
    Study,
    TrainedDomain,
)
from pipeline.report.summary import RunSummary


def domain(rows: int, positives: int, auc: float | None, min_rows: int = 500) -> DomainResult:
    """A domain's result; with one class there is no AUC whatever is said."""
    one_class = positives in (0, rows)
    return DomainResult(
        rows=rows,
        positives=positives,
        auc=None if one_class else auc,
        auc_standard_error=None if one_class else 0.02,
        log_loss=0.6,
        calibration=1.02 if positives else None,
        decides=rows >= min_rows and not one_class,
    )


def evaluation(domains: dict[str, DomainResult], **changes: Any) -> EvaluationResult:
    """An evaluation of these domains, blessed unless it is said otherwise."""
    aucs = [found.auc for found in domains.values() if found.decides and found.auc is not None]
    return EvaluationResult(
        **{
            "rows": sum(found.rows for found in domains.values()),
            "positives": sum(found.positives for found in domains.values()),
            "overall": Overall(
                auc=0.7334,
                average_auc=float(np.mean(aucs)) if aucs else None,
                gauc=0.63,
                log_loss=0.59,
                calibration=1.01,
            ),
            "domains": domains,
            "min_rows": 500,
            "blessed": True,
            "gates": [Gate(condition="average AUC at least 0.6", value="0.7100", passed=True)],
            **changes,
        }
    )


def study(names: list[str]) -> Study:
    """What a study might find about these domains."""
    bins = [CalibrationBin(predicted=x, observed=x, rows=100) for x in (0.1, 0.3, 0.6)]
    return Study(
        rows=30_373,
        of=30_373,
        seconds=6.5,
        baselines=[
            Baseline(
                name="past click rate",
                description="the click rate of the video_id in the domain",
                overall_auc=0.67,
                log_loss=0.63,
                domains=dict.fromkeys(names, 0.55),
                seconds=0.2,
            ),
            Baseline(
                name="MLP",
                description="one tower for all domains",
                overall_auc=0.73,
                log_loss=0.6,
                domains=dict.fromkeys(names, 0.59),
                seconds=3.1,
            ),
        ],
        calibration={"": bins, **dict.fromkeys(names[:5], bins)},
        groups=[
            IdGroup(
                role="user",
                column="user_id",
                known=known,
                min_count=5,
                rows=rows,
                positives=rows // 3,
                auc=auc,
                auc_standard_error=0.004,
                calibration=1.01,
            )
            for known, rows, auc in ((True, 20_000, 0.74), (False, 10_373, 0.69))
        ],
        importance=[Importance(name=f"input {i}", kind="feature", drop=0.02 / (i + 1)) for i in range(25)],
        importance_rows=4000,
        domains={name: TrainedDomain(rows=9000, positives=2700, rare_users=0.34) for name in names},
        days=[
            DayRows(day="2022-05-03", split="train", rows=10_000, positives=3000),
            DayRows(day="2022-05-04", split="eval", rows=9000, positives=2500),
        ],
    )


def run(count: int = 15, days: int = 9, **changes: Any) -> RunSummary:
    """A run with so many domains, the last two of one class where there are more than two."""
    rng = np.random.default_rng(count)
    rows = np.sort((rng.pareto(1.0, count) * 300 + 40).astype(int))[::-1]
    rows[0] = 5000
    domains = {
        str(number): domain(int(size), int(size * 0.3) + 1, float(rng.uniform(0.6, 0.8)))
        for number, size in enumerate(rows)
    }
    if count > 2:
        domains[str(count - 1)] = domain(30, 0, None)
        domains[str(count - 2)] = domain(31, 31, None)
    names = list(domains)
    values = rng.uniform(0, 1, (count, days, 2))
    values[-1, 0] = np.nan
    shown = min(count, 50)
    return RunSummary(
        **{
            "dataset": "made-up",
            "description": "A made-up feed.",
            "licence": "CC0",
            "label": "click",
            "domain": "tab",
            "model": "dfei",
            "seed": 3,
            "parameters": 123_456,
            "command": "dfei run --dataset made-up --root out",
            "versions": {"python": "3.11.7", "tfx": "1.16.0"},
            "hashes": {"data": "9f2c11d0"},
            "rows": {"train": 150_011, "eval": 30_373},
            "ingest": {
                "rows_read": 185_061,
                "duplicates": 4677,
                "rejected": 2,
                "rejected_share": 2 / 185_061,
                "first_day": "2022-04-25",
                "last_train_day": "2022-05-03",
                "first_eval_day": "2022-05-04",
                "last_day": "2022-05-05",
                "files": [{"file": "log.csv", "rows": 185_061, "rejected": 2}],
                "lookups": [{"file": "users.csv", "rows": 27_285, "rejected": 0}],
                "unmatched": {"users.csv": 12},
                "rejects": [{"file": "log.csv", "line": 17, "reason": "expected 5 values, found 4"}],
            },
            "anomalies": ["eval: column os: Unexpected value BeOS"],
            "evaluation": evaluation(domains),
            "history": [
                {"phase": "fit", "epoch": 1, "loss": 0.63, "average_auc": 0.69, "best": True},
                {"phase": "fit", "epoch": 2, "loss": 0.60, "average_auc": None, "best": False},
                {"phase": "refit", "epoch": 1, "loss": 0.62},
            ],
            "moving_averages": {
                "domains": names,
                "buckets": [f"2022-04-{day + 1:02d}T00:00:00" for day in range(days)],
                "behaviours": ["click", "long_view"],
                "values": values.tolist(),
            },
            "integration": {
                "domains": names[:shown],
                "weights": rng.dirichlet(np.ones(shown), shown).tolist(),
            },
            "study": study(names),
            "peak_memory_mb": {"ExampleGen": 512.5, "Trainer": 1803.0},
            "cpu_seconds": {"ExampleGen": 5.5, "Trainer": 60.1},
            "seconds": {"ExampleGen": 6.1, "Trainer": 41.7},
            "cached": ["ExampleGen"],
            "blessed": True,
            "pushed_to": "/out/serving/dfei/1770127331",
            **changes,
        }
    )
