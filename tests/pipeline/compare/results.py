"""A made-up comparison for the table and the page."""

from __future__ import annotations

from pipeline.compare.result import (
    Champion,
    Compared,
    Comparison,
    EvaluatedDomain,
    Response,
    Spread,
    Trained,
    Trial,
    Versus,
)


def trained(seed: int, average: float | None, blessed: bool = True) -> Trained:
    return Trained(
        seed=seed,
        average_auc=average,
        overall_auc=0.73,
        gauc=0.63,
        log_loss=0.6,
        evaluator_average_auc=average,
        validation_average_auc=average,
        epochs=2,
        rows_per_second=20_000.0,
        training_seconds=12.5,
        blessed=blessed,
        failures=[] if blessed else ["average AUC 0.5 is below 0.6"],
        model_uri="/models/1",
    )


def compared(name: str, title: str, averages: list[float], versus: Versus | None = None) -> Compared:
    return Compared(
        name=name,
        title=title,
        model=name,
        settings=["model.decay=0.8"] if name == "dfei" else [],
        tuned=["training.learning_rate=0.002"],
        trials=[Trial(settings=[], value=0.7), Trial(settings=["training.learning_rate=0.002"], value=None)],
        parameters=123_456,
        trained=[trained(seed, value) for seed, value in enumerate(averages, 1)],
        average_auc=Spread.of(averages),
        overall_auc=Spread.of([0.73] * len(averages)),
        gauc=Spread(),
        log_loss=Spread.of([0.6] * len(averages)),
        validation_average_auc=Spread.of(averages),
        domain_auc={"1": 0.71, "4": 0.68, "<7>": None},
        rows_per_second=20_000.0,
        training_seconds=12.5,
        latency={"1": Response(median_ms=3.2, p95_ms=4.1), "100": Response(median_ms=5.0, p95_ms=6.0)},
        blessed=len(averages),
        versus=versus,
    )


def comparison(**changes: object) -> Comparison:
    """STAR first, DFEI second, MLP far behind, LightGBM a tie."""
    models = [
        compared("star", "STAR", [0.72, 0.73], versus(-0.01, -0.015, -0.002)),
        compared("dfei", "DFEI", [0.71, 0.72]),
        compared("lightgbm", "LightGBM", [0.712, 0.714], versus(0.002, -0.004, 0.008)),
        compared("mlp", "MLP", [0.60, 0.61], versus(0.11, 0.09, 0.13)),
    ]
    for rank, model in enumerate(models, 1):
        model.rank = rank
    values: dict[str, object] = {
        "dataset": "kuairand-pure",
        "label": "is_click",
        "domain": "tab",
        "created": "2026-01-01T00:00:00+00:00",
        "command": "dfei compare --dataset kuairand-pure --data D --root R",
        "versions": {"python": "3.11.2"},
        "hashes": {"data": "abc"},
        "seeds": [1, 2],
        "trials": 2,
        "jobs": 2,
        "threads": 1,
        "bootstrap_samples": 500,
        "rows": {"train": 100_000, "validation": 10_000, "eval": 30_000},
        "users": 900,
        "min_rows": 500,
        "domains": {
            "1": EvaluatedDomain(rows=20_000, positives=9_000, counts=True),
            "4": EvaluatedDomain(rows=9_000, positives=100, counts=True),
            "<7>": EvaluatedDomain(rows=1_000, positives=0, counts=False),
        },
        "reference": "dfei",
        "models": models,
        "champion": Champion(
            name="star", seed=2, validation_average_auc=0.73, pushed_to="/serving/champion/1"
        ),
    }
    return Comparison.model_validate({**values, **changes})


def versus(difference: float, low: float, high: float) -> Versus:
    return Versus(
        difference=difference, seed_p_value=0.012, low=low, high=high, standard_error=0.003, wins=0.7
    )
