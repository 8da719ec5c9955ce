"""GAUC: how well a model orders the impressions within each user's own feed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import apache_beam as beam
import numpy as np
import tensorflow_model_analysis as tfma
from tensorflow_model_analysis.metrics import metric_types

from components.evaluator.metric_inputs import read_column, read_rows
from components.evaluator.score_tables import SampledScoreTable, group_ids

NAME = "gauc"


class GAUC(tfma.metrics.Metric):
    """AUC per user, weighted by the user's impressions; users with one class are left out.

        GAUC = sum_u n_u AUC_u / sum_u n_u    over users u with both clicks and non-clicks

    Zhu et al., Optimized Cost per Click in Taobao Display Advertising, KDD 2017. NaN where no user has both.
    With more than four million rows, users are sampled (half of them, a quarter, ...) so that memory is bounded.

    Args:
      user: the raw column of the user; rows without a user, whom an integer -1 stands for too, are left out.
      name: the metric's name.
    """

    def __init__(self, user: str, name: str = NAME) -> None:
        super().__init__(tfma.metrics.merge_per_key_computations(_gauc), name=name, user=user)


def _gauc(name: str, user: str, model_name: str = "") -> metric_types.MetricComputations:
    key = tfma.metrics.MetricKey(name=name, model_name=model_name)
    features = metric_types.FeaturePreprocessor(feature_keys=[user])
    return [tfma.metrics.MetricComputation([key], [features], GAUCCombiner(key, user))]


class GAUCCombiner(beam.CombineFn):
    """Rows to a table of scores by user, to GAUC.

    Args:
      key: under which the number is returned.
      user: the raw column of the user.
    """

    def __init__(self, key: tfma.metrics.MetricKey, user: str) -> None:
        self._key = key
        self._user = user

    def create_accumulator(self) -> SampledScoreTable:
        return SampledScoreTable()

    def add_input(
        self, accumulator: SampledScoreTable, element: tfma.metrics.StandardMetricInputs
    ) -> SampledScoreTable:
        rows = read_rows(element, self._key.model_name)
        user = read_column(element, self._user, len(rows.label))
        known = rows.valid & ~np.ma.getmaskarray(user)
        if user.dtype.kind == "i":
            known &= user.data != -1
        accumulator.add(group_ids(user.data[known]), rows.prediction[known], rows.label[known])
        return accumulator

    def merge_accumulators(self, accumulators: Iterable[SampledScoreTable]) -> SampledScoreTable:
        merged = SampledScoreTable()
        for accumulator in accumulators:
            merged.merge(accumulator)
        return merged

    def extract_output(self, accumulator: SampledScoreTable) -> dict[tfma.metrics.MetricKey, Any]:
        users = accumulator.group_auc()
        both = ~np.isnan(users.auc)
        weight = users.rows[both]
        return {self._key: float(np.average(users.auc[both], weights=weight)) if both.any() else np.nan}
