"""The average AUC over domains, and the gates of single domains: both know which domains may decide."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import apache_beam as beam
import numpy as np
import tensorflow_model_analysis as tfma
from tensorflow_model_analysis.metrics import metric_types

from components.evaluator.metric_inputs import read_column, read_rows
from components.evaluator.score_tables import GroupAUC, ScoreTable, group_ids
from models.arrays import Array
from models.metrics import decides

NAME = "average_auc"
_PRIVATE = "_domain_scores"


class AverageAUC(tfma.metrics.Metric):
    """Unweighted mean of the AUC over the domains that decide: enough rows of each class (`models.metrics.decides`).

    NaN where no domain decides. Meant for the overall slice.

    Args:
      domain: the raw column of the domain.
      min_rows: rows that a domain needs.
      name: the metric's name.
      code: not used; it makes the configurations of different code differ.
    """

    def __init__(self, domain: str, min_rows: int, name: str = NAME, code: str = "") -> None:
        super().__init__(
            tfma.metrics.merge_per_key_computations(_average_auc),
            name=name,
            domain=domain,
            min_rows=min_rows,
            code=code,
        )


class DomainMargin(tfma.metrics.Metric):
    """AUC of one domain minus a reference: what a bound on a single domain is checked against.

    0 where the domain may not decide (fewer than `min_rows` rows, one class, no row at all), so that neither a
    bound nor a comparison with the baseline refuses a model for it.

    Args:
      domain: the raw column of the domain.
      value: the domain, as text.
      reference: the lowest AUC allowed.
      min_rows: rows that the domain needs.
      name: the metric's name.
    """

    def __init__(self, domain: str, value: str, reference: float, min_rows: int, name: str) -> None:
        super().__init__(
            tfma.metrics.merge_per_key_computations(_domain_margin),
            name=name,
            domain=domain,
            value=value,
            reference=reference,
            min_rows=min_rows,
        )


def deciding(domains: GroupAUC, min_rows: int) -> Array:
    """Which domains may decide, bool (domains,)."""
    return np.asarray(decides(domains.rows, domains.positives, min_rows))


def _domain_scores(domain: str, model_name: str) -> tfma.metrics.MetricComputation:
    key = tfma.metrics.MetricKey(name=_PRIVATE, model_name=model_name)
    features = metric_types.FeaturePreprocessor(feature_keys=[domain])
    return tfma.metrics.MetricComputation([key], [features], DomainCombiner(key, domain))


def _average_auc(
    name: str, domain: str, min_rows: int, code: str, model_name: str = ""
) -> metric_types.MetricComputations:
    scores = _domain_scores(domain, model_name)
    key = tfma.metrics.MetricKey(name=name, model_name=model_name)

    def result(metrics: dict[Any, Any]) -> dict[Any, Any]:
        domains = metrics[scores.keys[0]]
        decides = deciding(domains, min_rows)
        return {key: float(domains.auc[decides].mean()) if decides.any() else np.nan}

    return [scores, tfma.metrics.DerivedMetricComputation([key], result)]


def _domain_margin(
    name: str, domain: str, value: str, reference: float, min_rows: int, model_name: str = ""
) -> metric_types.MetricComputations:
    scores = _domain_scores(domain, model_name)
    key = tfma.metrics.MetricKey(name=name, model_name=model_name)

    def result(metrics: dict[Any, Any]) -> dict[Any, Any]:
        domains = metrics[scores.keys[0]]
        here = deciding(domains, min_rows) & (domains.group == domain_id(np.array([value], object))[0])
        return {key: float(domains.auc[here][0]) - reference if here.any() else 0.0}

    return [scores, tfma.metrics.DerivedMetricComputation([key], result)]


def domain_id(values: Array) -> Array:
    """Ids of domains, int64 (rows,): those of their text, so that 7 and "7" are the same domain."""
    distinct, position = np.unique(values, return_inverse=True)
    text = [
        value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value) for value in distinct
    ]
    return group_ids(np.array(text, object))[position.reshape(-1)]


class DomainCombiner(beam.CombineFn):
    """Rows to a table of scores by domain, to the AUC of each domain.

    Args:
      key: under which the AUCs are returned, a `GroupAUC`.
      domain: the raw column of the domain; rows without a domain are left out.
    """

    def __init__(self, key: tfma.metrics.MetricKey, domain: str) -> None:
        self._key = key
        self._domain = domain

    def create_accumulator(self) -> ScoreTable:
        return ScoreTable()

    def add_input(self, accumulator: ScoreTable, element: tfma.metrics.StandardMetricInputs) -> ScoreTable:
        rows = read_rows(element, self._key.model_name)
        domain = read_column(element, self._domain, len(rows.label))
        known = rows.valid & ~np.ma.getmaskarray(domain)
        accumulator.add(domain_id(domain.data[known]), rows.prediction[known], rows.label[known])
        return accumulator

    def merge_accumulators(self, accumulators: Iterable[ScoreTable]) -> ScoreTable:
        merged = ScoreTable()
        for accumulator in accumulators:
            merged.merge(accumulator)
        return merged

    def extract_output(self, accumulator: ScoreTable) -> dict[tfma.metrics.MetricKey, Any]:
        return {self._key: accumulator.group_auc()}
