"""What an evaluation found: numbers by domain, and whether the model is blessed or why not, in words."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field


class Scores(BaseModel):
    """How well a model does on some rows; None where a figure is undefined.

    Attributes:
      auc: the Mann-Whitney statistic; None with one class.
      auc_standard_error: DeLong's, rows taken as independent.
      log_loss: mean of -log p(observed).
      calibration: mean prediction / mean label; None without a click.
    """

    auc: float | None = None
    auc_standard_error: float | None = None
    log_loss: float | None = None
    calibration: float | None = None
    mean_prediction: float | None = None


class DomainResult(Scores):
    """A domain's rows and scores.

    Attributes:
      rows, positives: impressions and clicks in the evaluation split.
      decides: whether it counts in the average AUC and its own gate: both classes and enough rows.
      baseline_auc: of the last blessed model on the same rows; None without one.
    """

    rows: int
    positives: int
    decides: bool = False
    baseline_auc: float | None = None

    @property
    def one_class(self) -> bool:
        """Whether the rows are all clicks or all non-clicks: there is no AUC then."""
        return self.positives in (0, self.rows)


class Overall(Scores):
    """All rows together.

    Attributes:
      average_auc: unweighted mean over the domains that decide.
      gauc: AUC per user weighted by the user's impressions, users with one class left out.
      invalid_predictions: NaN or outside 0 to 1.
    """

    average_auc: float | None = None
    gauc: float | None = None
    invalid_predictions: int = 0


class Gate(BaseModel):
    """One condition of the blessing.

    Attributes:
      condition: in words, such as "average AUC at least 0.65".
      value: what was measured, as text.
      passed: whether it held.
    """

    condition: str
    value: str
    passed: bool


class EvaluationResult(BaseModel):
    """The outcome of an evaluation.

    Attributes:
      rows, positives: impressions and clicks judged.
      overall: of the model, over all rows.
      domains: by the domain's value as text, most rows first.
      min_rows: rows that a domain needs to decide.
      blessed: whether every gate was passed.
      failures: why not, one sentence each.
      gates: every condition with its outcome.
      notes: what a reader should know besides, such as a gated domain that may not decide.
      baseline: the last blessed model on the same rows; None on the first run.
    """

    rows: int
    positives: int
    overall: Overall
    domains: dict[str, DomainResult] = Field(default_factory=dict)
    min_rows: int = 1
    blessed: bool
    failures: list[str] = Field(default_factory=list)
    gates: list[Gate] = Field(default_factory=list)
    notes: list[str] = Field(default_factory=list)
    baseline: Overall | None = None

    @property
    def average_auc(self) -> float | None:
        """Unweighted mean of the AUC over the domains that decide."""
        return self.overall.average_auc

    @property
    def overall_auc(self) -> float | None:
        """AUC over all rows together."""
        return self.overall.auc

    @property
    def gauc(self) -> float | None:
        """AUC per user, weighted by the user's impressions."""
        return self.overall.gauc

    @property
    def log_loss(self) -> float | None:
        """Mean of -log p(observed) over all rows."""
        return self.overall.log_loss

    @property
    def deciding(self) -> list[str]:
        """The domains that the average AUC is taken over."""
        return [name for name, domain in self.domains.items() if domain.decides]


def read_evaluation(evaluation_uri: str | Path) -> EvaluationResult:
    """Reads what the Evaluator wrote.

    Args:
      evaluation_uri: the `ModelEvaluation` artifact's folder.
    """
    # Only here: whoever rebuilds a report from JSON should not wait for TensorFlow.
    from tensorflow_model_analysis.writers import eval_config_writer
    from tensorflow_model_analysis.writers import metrics_plots_and_validations_writer as writer

    from components.evaluator.words import describe

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
    )
    return describe(result, config, writer.load_and_deserialize_validation_result(uri))


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
            decides=scores["auc"] is not None and rows >= min_rows,
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
