"""The gates of few rows: a bound counts as missed only where it is missed by more than chance explains."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import apache_beam as beam
import numpy as np
import tensorflow_model_analysis as tfma
from tensorflow_model_analysis.metrics import metric_types

from components.evaluator.average_auc import domain_id
from components.evaluator.held import Held
from components.evaluator.influence import Estimate, JudgedRows, clustered_error, estimate
from components.evaluator.metric_inputs import read_column, read_rows
from components.evaluator.score_tables import LIMIT, group_ids
from models.arrays import Array

NAME = "beyond_chance"
LOSSES = ("log_loss", "normalized_entropy", "calibration_error")
_PRIVATE = "_rows_of_both_models"
_WORST = 1e9
FIGURES = ("value", "error", "drop", "drop_error")


class BeyondChance(tfma.metrics.Metric):
    """By how much a model misses the bounds of a metric, beyond `deviations` standard errors; at most 0: it passes.

    The model is refused where its metric is outside a bound by more than that, and where it is worse than the earlier
    model by more than `max_drop` and by more than that. Errors are those of users drawn by chance, for the
    comparison paired: both models judge the same rows. Meant for the overall slice. `NAME_value`, `NAME_error`,
    `NAME_drop` and `NAME_drop_error` say what was measured.

    Args:
      of: the metric, as a declaration names it, or `domain_auc`.
      domain: the raw column of the domain.
      user: that of the user; empty: each row is by itself.
      value: the domain that a bound on a single domain is about; empty: all.
      min_rows: rows that a domain needs.
      deviations: standard errors.
      drop_deviations: those that a drop may be worse by.
      min, max, max_drop: as declared.
      name: the metric's name.
    """

    def __init__(
        self,
        of: str,
        domain: str,
        user: str,
        value: str,
        min_rows: int,
        deviations: float,
        drop_deviations: float,
        name: str,
        min: float | None = None,
        max: float | None = None,
        max_drop: float | None = None,
    ) -> None:
        super().__init__(
            _computations,
            name=name,
            of=of,
            domain=domain,
            user=user,
            value=value,
            min_rows=min_rows,
            deviations=deviations,
            drop_deviations=drop_deviations,
            min=min,
            max=max,
            max_drop=max_drop,
        )


@dataclass(frozen=True)
class Bounds:
    """What is asked of a metric; see `BeyondChance`."""

    deviations: float
    min: float | None = None
    max: float | None = None
    max_drop: float | None = None
    drop_deviations: float | None = None

    @property
    def of_a_drop(self) -> float:
        """Standard errors that a drop may be worse by."""
        return self.deviations if self.drop_deviations is None else self.drop_deviations


def missed(
    bounds: Bounds, value: float, error: float, drop: float | None, drop_error: float
) -> dict[str, float]:
    """By how much each bound is missed beyond chance, those that are not by at most 0; infinite where undefined.

    Args:
      bounds: what is asked.
      value, error: of the model; NaN where undefined.
      drop: by how much it is worse than the earlier one; None without one.
      drop_error: of that.

    >>> missed(Bounds(3, min=0.6, max_drop=0.01), 0.593, 0.01, 0.04, 0.01)["min"] < 0
    True
    >>> round(missed(Bounds(3, min=0.6, max_drop=0.01), 0.593, 0.01, 0.04, 0.01)["max_drop"], 3)
    0.01
    >>> round(missed(Bounds(3, max_drop=0.01, drop_deviations=0), 0.593, 0.01, 0.02, 0.01)["max_drop"], 3)
    0.01
    """
    found = {}
    allowed = bounds.deviations * error
    if bounds.min is not None:
        found["min"] = bounds.min - value - allowed
    if bounds.max is not None:
        found["max"] = value - bounds.max - allowed
    if bounds.max_drop is not None and drop is not None:
        found["max_drop"] = drop - max(bounds.max_drop, bounds.of_a_drop * drop_error)
    return {name: math.inf if math.isnan(by) else by for name, by in found.items()}


def _computations(
    name: str,
    of: str,
    domain: str,
    user: str,
    value: str,
    min_rows: int,
    deviations: float,
    drop_deviations: float,
    min: float | None,
    max: float | None,
    max_drop: float | None,
    eval_config: Any = None,
    model_names: list[str] | None = None,
) -> metric_types.MetricComputations:
    models = model_names or [""]
    bounds = Bounds(deviations, min, max, max_drop, drop_deviations)
    earlier = next((spec.name for spec in eval_config.model_specs if spec.is_baseline), None)
    private = tfma.metrics.MetricKey(name=_PRIVATE)
    features = metric_types.FeaturePreprocessor(feature_keys=[domain, *([user] if user else [])])
    rows = tfma.metrics.MetricComputation([private], [features], BothCombiner(private, models, domain, user))
    keys = {
        model: [
            tfma.metrics.MetricKey(name=key, model_name=model)
            for key in (name, *(f"{name}_{figure}" for figure in FIGURES))
        ]
        for model in models
    }
    only = int(domain_id(np.array([value], object))[0]) if value else None

    def result(metrics: dict[Any, Any]) -> dict[Any, Any]:
        judged: BothRows = metrics[private]
        found = {}
        for model in models:
            figures = judged.figures(
                of, model, earlier if model != earlier else None, min_rows=min_rows, only=only
            )
            by = missed(bounds, *figures)
            # A domain that may not decide refuses nothing.
            spared = of == "domain_auc" and math.isnan(figures[0])
            worst = 0.0 if spared else np.clip(list(by.values()) or [0.0], None, _WORST).max()
            numbers = (worst, *(np.nan if figure is None else figure for figure in figures))
            found.update(dict(zip(keys[model], map(float, numbers), strict=True)))
        return found

    derived = tfma.metrics.DerivedMetricComputation([key for own in keys.values() for key in own], result)
    return [rows, derived]


@dataclass
class BothRows(Held):
    """Label, domain, user and each model's prediction of the rows; with too many, of a half of the users, and so on.

    Attributes:
      parts: columns (n,): label, domain, user, then one for each model.
      models: their names, in the order of the columns.
      level: users are kept whose hash begins with so many zero bits.
      invalid: predictions that are no probabilities, by model.
    """

    models: tuple[str, ...]
    parts: list[tuple[Array, ...]] = field(default_factory=list)
    level: int = 0
    invalid: dict[str, int] = field(default_factory=dict)
    rows: int = 0

    def add(self, columns: tuple[Array, ...]) -> None:
        """Adds rows, thinned as those before were."""
        kept = self._kept(columns[2])
        self.parts.append(tuple(column[kept] for column in columns))
        self.rows += len(self.parts[-1][0])
        while self.rows > LIMIT and self.level < 32:
            self.level += 1
            parts, self.parts, self.rows = self.parts, [], 0
            for part in parts:
                kept = self._kept(part[2])
                self.parts.append(tuple(column[kept] for column in part))
                self.rows += len(self.parts[-1][0])

    def _kept(self, user: Array) -> Array | slice:
        if self.level == 0:
            return slice(None)
        return user.view(np.uint64) >> np.uint64(64 - self.level) == 0

    def merge(self, other: BothRows) -> None:
        """Adds the rows of another one."""
        self.level = max(self.level, other.level)
        for model, count in other.invalid.items():
            self.invalid[model] = self.invalid.get(model, 0) + count
        parts, self.parts, self.rows = self.parts, [], 0
        for part in [*parts, *other.parts]:
            self.add(part)

    def figures(
        self, metric: str, model: str, earlier: str | None, *, min_rows: int, only: int | None
    ) -> tuple[float, float, float | None, float]:
        """The metric, its error, by how much it is worse than the earlier model's, and the error of that."""
        if not self.parts or not self.rows:
            return np.nan, np.nan, None if earlier is None else np.nan, np.nan
        label, domain, user, *predictions = (
            np.concatenate(columns) for columns in zip(*self.parts, strict=True)
        )
        rows = JudgedRows(label, domain, user, predictions[self.models.index(model)], min_rows, only)
        thinned = math.sqrt(0.5**self.level)
        own = self._estimate(metric, rows, model)
        error = own.error(user) * thinned
        if earlier is None:
            return own.value, error, None, np.nan
        if metric == "calibration":
            # Worse is farther from 1, on either side.
            metric = "calibration_error"
        before = replace(rows, prediction=predictions[self.models.index(earlier)])
        now, then = self._estimate(metric, rows, model), self._estimate(metric, before, earlier)
        drop = now.value - then.value if metric in LOSSES else then.value - now.value
        errors = [clustered_error(now.influence - then.influence, user)]
        if metric == "calibration_error":
            # Near 1 the sign of how far it is off is chance, too.
            errors.append(clustered_error(now.influence + then.influence, user))
        return own.value, error, drop, max(errors) * thinned

    def _estimate(self, metric: str, rows: JudgedRows, model: str) -> Estimate:
        if self.invalid.get(model):
            return Estimate(np.nan, np.zeros(len(rows.label)))
        return estimate(metric, rows)


class BothCombiner(beam.CombineFn):
    """Rows to `BothRows`.

    Args:
      key: under which they are returned.
      models: names of the models.
      domain, user: raw columns; no user: each row is by itself.
    """

    def __init__(self, key: tfma.metrics.MetricKey, models: list[str], domain: str, user: str) -> None:
        self._key, self._models = key, tuple(models)
        self._domain, self._user = domain, user

    def create_accumulator(self) -> BothRows:
        return BothRows(self._models)

    def add_input(self, accumulator: BothRows, element: tfma.metrics.StandardMetricInputs) -> BothRows:
        scored = [read_rows(element, model) for model in self._models]
        label = scored[0].label
        domain = read_column(element, self._domain, len(label))
        for model, rows in zip(self._models, scored, strict=True):
            accumulator.invalid[model] = accumulator.invalid.get(model, 0) + int((~rows.valid).sum())
        known = ~np.ma.getmaskarray(domain)
        columns = (
            label,
            self._user_ids(element, scored[0].prediction),
            *(rows.prediction for rows in scored),
        )
        label, user, *predictions = (column[known] for column in columns)
        accumulator.add((label, domain_id(domain.data[known]), user, *predictions))
        return accumulator

    def _user_ids(self, element: tfma.metrics.StandardMetricInputs, prediction: Array) -> Array:
        """Hashes of the users; a row without one is known by its prediction."""
        alone = group_ids(np.ascontiguousarray(prediction).view(np.int64))
        if not self._user:
            return alone
        user = read_column(element, self._user, len(prediction))
        known = ~np.ma.getmaskarray(user)
        if user.dtype.kind == "i":
            known &= user.data != -1
        if known.any():
            alone[known] = group_ids(user.data[known])
        return alone

    def merge_accumulators(self, accumulators: Iterable[BothRows]) -> BothRows:
        merged = BothRows(self._models)
        for accumulator in accumulators:
            merged.merge(accumulator)
        return merged

    def extract_output(self, accumulator: BothRows) -> dict[tfma.metrics.MetricKey, Any]:
        return {self._key: accumulator}
