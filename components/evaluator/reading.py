"""Reads what TFMA's Evaluator left. Apart from the results: who rebuilds a report from JSON needs no TensorFlow."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from tensorflow_model_analysis.writers import eval_config_writer
from tensorflow_model_analysis.writers import metrics_plots_and_validations_writer as writer

from components.comparison.lead import Lead
from components.evaluator.config import CHANGE
from components.evaluator.results import DomainResult, EvaluationResult, Overall, Scores
from components.evaluator.words import describe
from models.metrics import decides

# 95 % of a normal distribution lie within this many standard errors.
Z95 = 1.96


def read_evaluation(evaluation_uri: str | Path) -> EvaluationResult:
    """Reads what the Evaluator wrote.

    Args:
      evaluation_uri: the `ModelEvaluation` artifact's folder.
    """
    uri = str(evaluation_uri)
    config, *_ = eval_config_writer.load_eval_run(uri)
    names = [(spec.name, spec.is_baseline) for spec in config.model_specs]
    candidate = next(name for name, is_baseline in names if not is_baseline)
    baseline = next((name for name, is_baseline in names if is_baseline), None)
    slices = {_domain(found): _by_model(found) for found in writer.load_and_deserialize_metrics(uri)}
    everything = slices.pop(None, {})
    min_rows = _min_rows(config)
    own = everything.get(candidate, {})
    result = EvaluationResult(
        rows=int(own.get("example_count", 0)),
        positives=int(own.get("positives", 0)),
        overall=_overall(own),
        domains=_domains(slices, candidate, baseline, min_rows),
        min_rows=min_rows,
        blessed=False,
        baseline=_overall(everything.get(baseline, {})) if baseline is not None else None,
        lead=_lead(own) if baseline is not None else None,
    )
    return describe(result, config, writer.load_and_deserialize_validation_result(uri), own)


def _lead(own: dict[str, float]) -> Lead | None:
    """Over the last blessed model, 95 % of what drawing other users would give."""
    drop, error = (_figure(own.get(f"{CHANGE}_{name}")) for name in ("drop", "drop_error"))
    if drop is None or error is None:
        return None
    return Lead(difference=-drop, low=-drop - Z95 * error, high=-drop + Z95 * error)


def _domain(metrics: Any) -> str | None:
    """The domain of a slice as text, None for the overall slice."""
    keys = metrics.slice_key.single_slice_keys
    if not keys:
        return None
    value = getattr(keys[0], keys[0].WhichOneof("kind"))
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _by_model(metrics: Any) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for entry in metrics.metric_keys_and_values:
        if not entry.key.is_diff:
            found.setdefault(entry.key.model_name, {})[entry.key.name] = entry.value.double_value.value
    return found


def _min_rows(config: Any) -> int:
    settings = [json.loads(m.config or "{}") for spec in config.metrics_specs for m in spec.metrics]
    return next((int(found["min_rows"]) for found in settings if "min_rows" in found), 1)


def _domains(
    slices: dict[str | None, dict[str, dict[str, float]]], candidate: str, baseline: str | None, min_rows: int
) -> dict[str, DomainResult]:
    domains = {}
    for name, models in slices.items():
        own, earlier = models.get(candidate, {}), models.get(baseline, {}) if baseline is not None else {}
        scores = _scores(own)
        rows = int(own["example_count"])
        domains[str(name)] = DomainResult(
            rows=rows,
            positives=int(own["positives"]),
            decides=scores["auc"] is not None and decides(rows, int(own["positives"]), min_rows),
            baseline_auc=_figure(earlier.get("auc")),
            **scores,
        )
    return dict(sorted(domains.items(), key=lambda item: (-item[1].rows, item[0])))


def _overall(metrics: dict[str, float]) -> Overall:
    return Overall(
        average_auc=_figure(metrics.get("average_auc")),
        gauc=_figure(metrics.get("gauc")),
        invalid_predictions=int(metrics.get("invalid_predictions", 0)),
        **_scores(metrics),
    )


def _scores(metrics: dict[str, float]) -> dict[str, float | None]:
    return {name: _figure(metrics.get(name)) for name in Scores.model_fields}


def _figure(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else float(value)
