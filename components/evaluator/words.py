"""TFMA's validation result in words: every gate with its outcome, and why a model is not blessed."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import tensorflow_model_analysis as tfma

from components.evaluator.beyond_chance import FIGURES, Bounds, missed
from components.evaluator.config import RARER
from components.evaluator.results import EvaluationResult, Gate, Overall
from models.metrics import needed, normalized_entropy, too_few_words

_TITLES = {
    "average_auc": "average AUC",
    "auc": "overall AUC",
    "gauc": "GAUC",
    "log_loss": "log loss",
    "normalized_entropy": "log loss over that of one constant click rate",
    "calibration": "calibration",
    "calibration_error": "calibration error",
}
# What a declaration calls a metric, where the evaluation has another name for it.
_OF = {"overall_auc": "auc", "domain_auc": ""}
_DECLARED = {"auc": "overall_auc", "calibration_error": "calibration"}
_INVALID = "invalid_predictions"


def describe(
    result: EvaluationResult, config: Any, validation: Any, measured: Mapping[str, float]
) -> EvaluationResult:
    """Adds the blessing, the gates, the failures and the notes.

    Args:
      result: the numbers.
      config: the `EvalConfig` that the evaluation ran with.
      validation: TFMA's `ValidationResult`.
      measured: every metric of the candidate over all rows, by TFMA's name.
    """
    failed = {
        (failure.metric_key.name, failure.metric_key.is_diff)
        for of_slice in validation.metric_validations_per_slice
        for failure in of_slice.failures
    }
    gates: list[Gate] = []
    failures: list[str] = []
    notes: list[str] = []
    for metric in (metric for spec in config.metrics_specs for metric in spec.metrics):
        settings = json.loads(metric.config or "{}")
        for gated in metric.per_slice_thresholds:
            judge = _Judge(result, settings)
            if "deviations" in settings:
                found, more = _beyond_chance(judge, settings, measured)
                gates, failures, notes = gates + found, failures + more, notes + judge.notes()
                continue
            for is_change in (False, True):
                sentence = judge.condition(gated.threshold, is_change)
                if sentence is None:
                    continue
                passed = (settings["name"], is_change) not in failed
                gates.append(Gate(condition=sentence, value=judge.value(is_change), passed=passed))
                if not passed:
                    failures.append(judge.failure(gated.threshold, is_change))
            notes += judge.notes()
    if not result.rows:
        failures = ["there are no evaluation rows"]
    # Nothing but the invalid predictions, or rows of one class, is to blame for what they leave undefined.
    one_class = (RARER, False) in failed and result.positives in (0, result.rows)
    if result.overall.invalid_predictions or one_class:
        failures = [text for text in failures if "undefined" not in text]
    if not validation.validation_ok and not failures:
        failures = ["TFMA's validation failed without naming a metric"]
    return result.model_copy(
        update={
            "blessed": validation.validation_ok,
            "gates": gates,
            "failures": failures,
            "notes": notes,
        }
    )


def _beyond_chance(
    judge: _Judge, settings: Mapping[str, Any], measured: Mapping[str, float]
) -> tuple[list[Gate], list[str]]:
    """The gates of one `BeyondChance` metric, and why those that did not pass refused."""
    title, name = judge.title_by_chance, settings["name"]
    value, error, drop, drop_error = (measured.get(f"{name}_{figure}", math.nan) for figure in FIGURES)
    bounds = Bounds(*(settings[key] for key in ("deviations", "min", "max", "max_drop", "drop_deviations")))
    undefined = math.isnan(value)
    if undefined and settings["of"] == "domain_auc":
        return [], []
    compared = judge.has_baseline
    by = missed(bounds, value, error, drop if compared else None, drop_error)
    shown = "undefined" if undefined else f"{value:.4f} ± {error:.4f}"
    gates, failures = [], []
    for side, words in (("min", "at least"), ("max", "at most")):
        if side not in by:
            continue
        bound = getattr(bounds, side)
        gates.append(
            Gate(
                condition=f"{title} {words} {bound:g}, but for chance ({bounds.deviations:g} standard errors)",
                value=shown,
                passed=by[side] <= 0,
            )
        )
        if by[side] > 0:
            failures.append(
                judge.undefined()
                if undefined
                else f"{title} {shown} is {'below' if side == 'min' else 'above'} the threshold {bound:g} by more "
                f"than chance explains ({abs(value - bound) / error:.1f} standard errors of drawing other users): "
                f"{judge.key(side)}"
            )
    if "max_drop" in by:
        told = f", or what chance explains ({bounds.of_a_drop:g} standard errors)" if bounds.of_a_drop else ""
        worse = "undefined" if math.isnan(drop) else f"{drop:.4f} ± {drop_error:.4f} worse"
        gates.append(
            Gate(
                condition=f"{title} at most {bounds.max_drop:g} worse than the model before it"
                f"{', but for chance' if told else ''}",
                value=f"{shown}, {worse}",
                passed=by["max_drop"] <= 0,
            )
        )
        if by["max_drop"] > 0:
            failures.append(
                judge.not_comparable()
                if math.isnan(drop)
                else f"{title} {shown} is {worse} than that of the model in service on the same rows "
                f"({drop / drop_error:.1f} standard errors); at most {bounds.max_drop:g} is allowed{told}: "
                f"{judge.key('max_drop')}"
            )
    return gates, failures


class _Judge:
    """Words for one metric's thresholds.

    Args:
      result: the numbers.
      settings: the metric's configuration, with its name.
    """

    def __init__(self, result: EvaluationResult, settings: dict[str, Any]) -> None:
        self._result = result
        self._name: str = _OF.get(settings.get("of", ""), settings.get("of") or settings["name"])
        self._reference = float(settings.get("reference", 0.0))
        self._domain: str | None = settings.get("value") or None
        self._title = _TITLES.get(self._name, self._name)
        if self._domain is not None:
            self._title = f"AUC of domain {self._domain}"

    @property
    def title(self) -> str:
        """The metric in words."""
        return self._title

    @property
    def title_by_chance(self) -> str:
        """The metric in words, as `BeyondChance` measures it: without a domain that decides, over all rows together."""
        if self._name != "average_auc" or self._result.average_auc is not None:
            return self._title
        return f"overall AUC, as no domain has {needed(self._result.min_rows)} for an average,"

    @property
    def has_baseline(self) -> bool:
        """Whether there is an earlier model to compare with."""
        return self._result.baseline is not None

    def key(self, side: str = "") -> str:
        """Where a declaration sets the bound."""
        of = f"thresholds.{_DECLARED.get(self._name, self._name)}"
        if self._domain is not None:
            of = f"domains.{self._domain}"
        return f"evaluation.{of}" + (f".{side}" if side else "")

    def undefined(self) -> str:
        """Why a bound cannot be met."""
        return f"{self._title} is undefined ({self._why()}), so its threshold cannot be met: {self.key()}"

    def not_comparable(self) -> str:
        """Why there is nothing to compare."""
        baseline = self._result.baseline
        if baseline is not None and baseline.invalid_predictions:
            return (
                f"{self._title} cannot be compared: the last blessed model gives no valid prediction for "
                f"{baseline.invalid_predictions:,} of {self._result.rows:,} rows, perhaps because a column has "
                "changed its type since; start a new root to judge without it"
            )
        return (
            f"{self._title} cannot be compared with the last blessed model's: it is undefined ({self._why()}): "
            f"{self.key('max_drop')}"
        )

    def _measured(self, overall: Overall | None) -> float | None:
        if overall is None:
            return None
        if self._domain is not None:
            domain = self._result.domains.get(self._domain)
            if domain is None or not domain.decides:
                return None
            return domain.auc if overall is self._result.overall else domain.baseline_auc
        if self._name == RARER:
            return float(min(self._result.positives, self._result.rows - self._result.positives))
        if self._name == "normalized_entropy":
            return normalized_entropy(overall.log_loss, self._result.rows, self._result.positives)
        if self._name == "calibration_error":
            return None if overall.calibration is None else abs(overall.calibration - 1)
        return float(found) if (found := getattr(overall, self._name)) is not None else None

    def condition(self, threshold: Any, is_change: bool) -> str | None:
        """The gate in words; None where there is none of this kind."""
        if is_change:
            if not threshold.HasField("change_threshold"):
                return None
            allowed = threshold.change_threshold.absolute.value
            side = "above" if self._lower_is_better(threshold) else "below"
            return f"{self._title} at most {abs(allowed):g} {side} that of the last blessed model"
        if not threshold.HasField("value_threshold"):
            return None
        if self._name == _INVALID:
            return "every prediction is a probability"
        low, high = self._bounds(threshold)
        if self._name == RARER:
            return f"at least {low:g} evaluation rows of the rarer class"
        parts = [f"at least {low:g}"] if low is not None else []
        parts += [f"at most {high:g}"] if high is not None else []
        return f"{self._title} {' and '.join(parts)}"

    def value(self, is_change: bool) -> str:
        """What was measured."""
        own = self._measured(self._result.overall)
        if self._name == _INVALID:
            return "all" if not own else f"{own:,.0f} are not"
        if self._name == RARER:
            return f"{own:,.0f}"
        if own is None:
            return "not evaluated" if self._domain is not None else "undefined"
        if not is_change:
            return f"{own:.4f}"
        earlier = self._measured(self._result.baseline)
        return f"{own:.4f}, before {'undefined' if earlier is None else f'{earlier:.4f}'}"

    def failure(self, threshold: Any, is_change: bool) -> str:
        """Why the gate refused."""
        own = self._measured(self._result.overall)
        if self._name == _INVALID:
            return f"{own:,.0f} of {self._result.rows:,} predictions are not probabilities (NaN or outside 0 to 1)"
        if is_change:
            return self._fall(threshold, own)
        low, high = self._bounds(threshold)
        if own is None:
            return self.undefined()
        if self._name == RARER:
            few = too_few_words(self._result.rows, self._result.positives, round(low or 0))
            return (
                f"{few}. Give more days of logs, or a larger split.eval_days; evaluation.min_rarer: 0 pushes it all "
                "the same"
            )
        if low is not None and (high is None or own < low):
            return f"{self._title} {_apart(own, low)} is below the threshold {low:g}: {self.key('min')}"
        assert high is not None
        if self._name == "normalized_entropy" and high == 1:
            rate = self._result.positives / self._result.rows
            return (
                f"{self._title} is {_apart(own, high)}: predicting {rate:.2%} for every row would do better. There are "
                f"{self._result.positives:,} clicks in {self._result.rows:,} evaluation rows: where they are few give "
                f"more days of logs; else compare the click rates of training and evaluation: {self.key('max')}"
            )
        return f"{self._title} {_apart(own, high)} is above the threshold {high:g}: {self.key('max')}"

    def notes(self) -> list[str]:
        """A gated domain that may not decide."""
        if self._domain is None:
            return []
        domain = self._result.domains.get(self._domain)
        if domain is None:
            return [f"domain {self._domain} has a threshold but no evaluation rows: it was not evaluated"]
        if domain.decides:
            return []
        found = f"{domain.rows:,} rows, {min(domain.positives, domain.rows - domain.positives):,} of the rarer class"
        why = "one class" if domain.one_class else f"{found}; {needed(self._result.min_rows)} needed"
        return [f"domain {self._domain} has a threshold but was not evaluated: {why}"]

    def _fall(self, threshold: Any, own: float | None) -> str:
        earlier = self._measured(self._result.baseline)
        baseline = self._result.baseline
        if own is None or earlier is None or (baseline is not None and baseline.invalid_predictions):
            return self.not_comparable()
        allowed = abs(threshold.change_threshold.absolute.value)
        moved = "rose" if self._lower_is_better(threshold) else "fell"
        return (
            f"{self._title} {moved} by {_apart(abs(own - earlier), allowed)} from {earlier:.4f} of the last blessed "
            f"model to {own:.4f}; at most {allowed:g} is allowed: {self.key('max_drop')}"
        )

    def _why(self) -> str:
        result = self._result
        if result.overall.invalid_predictions:
            return "there are invalid predictions"
        if self._name == "average_auc":
            return f"no domain has {needed(result.min_rows)}"
        if self._name == "gauc":
            return "no user has both a click and a non-click"
        return "there is no click" if not result.positives else "there is no non-click"

    def _bounds(self, threshold: Any) -> tuple[float | None, float | None]:
        value = threshold.value_threshold
        low, high = (
            getattr(value, side).value + self._reference if value.HasField(side) else None
            for side in ("lower_bound", "upper_bound")
        )
        return low, high

    @staticmethod
    def _lower_is_better(threshold: Any) -> bool:
        return bool(threshold.change_threshold.direction == tfma.MetricDirection.LOWER_IS_BETTER)


def _apart(value: float, bound: float) -> str:
    """The value with enough digits to tell it from the bound."""
    for digits in range(4, 10):
        text = f"{value:.{digits}f}"
        if float(text) != bound:
            return text
    return f"{value:.10g}"
