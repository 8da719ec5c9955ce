"""Metrics of a slice of impressions: counts, AUC, log loss, calibration. One pass serves all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import apache_beam as beam
import numpy as np
import tensorflow_model_analysis as tfma
from tensorflow_model_analysis.metrics import metric_types

from components.evaluator.held import Held
from components.evaluator.metric_inputs import read_rows
from components.evaluator.score_tables import ScoreTable
from models.arrays import Array
from models.metrics import log_losses, normalized_entropy

UNIT = 2.0**-38
"""Of sums over rows, a few 10^-12: a million rows of the largest loss fit into 64 bits."""


class SliceTotals(Held):
    """What is known of a slice: sums over its rows, and its scores.

    Attributes:
      rows, positives: number of impressions and of clicks.
      invalid: predictions that are no probabilities.
      prediction_sum, log_loss_sum: over the valid predictions, in units of `UNIT`: whole numbers, so that they are the
        same in whichever order workers are done.
      scores: of the valid predictions.
    """

    def __init__(self) -> None:
        self.rows = 0
        self.positives = 0
        self.invalid = 0
        self.prediction_sum = 0
        self.log_loss_sum = 0
        self.scores = ScoreTable()

    def add(self, label: Array, prediction: Array, valid: Array) -> None:
        """Adds rows, all arrays (rows,)."""
        self.rows += len(label)
        self.positives += int(label.sum())
        self.invalid += int((~valid).sum())
        label, prediction = label[valid], prediction[valid]
        self.prediction_sum += _units(prediction)
        self.log_loss_sum += _units(log_losses(label, prediction))
        self.scores.add(np.zeros(len(label), np.int64), prediction, label)

    def merge(self, other: SliceTotals) -> None:
        """Adds the rows of another slice; the other one may not be used any more."""
        self.rows += other.rows
        self.positives += other.positives
        self.invalid += other.invalid
        self.prediction_sum += other.prediction_sum
        self.log_loss_sum += other.log_loss_sum
        self.scores.merge(other.scores)

    def statistics(self) -> dict[str, float]:
        """Every statistic by name; NaN where it is undefined, as all scores are where a prediction is invalid."""
        table = self.scores.group_auc()
        evaluated = self.invalid == 0 and self.rows > 0
        log_loss = self.log_loss_sum * UNIT / self.rows if evaluated else np.nan
        entropy = normalized_entropy(log_loss, self.rows, self.positives)
        calibration = self.prediction_sum * UNIT / self.positives if evaluated and self.positives else np.nan
        return {
            "example_count": float(self.rows),
            "positives": float(self.positives),
            "rarer_rows": float(min(self.positives, self.rows - self.positives)),
            "invalid_predictions": float(self.invalid),
            "auc": float(table.auc[0]) if evaluated else np.nan,
            "auc_standard_error": float(table.standard_error[0]) if evaluated else np.nan,
            "log_loss": log_loss,
            "normalized_entropy": np.nan if entropy is None else entropy,
            "calibration": calibration,
            "calibration_error": abs(calibration - 1),
            "mean_label": self.positives / self.rows if self.rows else np.nan,
            "mean_prediction": self.prediction_sum * UNIT / self.rows if evaluated else np.nan,
        }


def _units(values: Array) -> int:
    return int(np.rint(values.astype(np.float64) / UNIT).astype(np.int64).sum())


STATISTICS = tuple(SliceTotals().statistics())


class SliceMetric(tfma.metrics.Metric):
    """One statistic of a slice.

    auc: the Mann-Whitney statistic, ties counted half; undefined (NaN) with one class. log_loss: mean of
    -log p(observed). normalized_entropy: that over the log loss of the slice's click rate (He et al., ADKDD 2014);
    undefined with one class. calibration: mean prediction / mean label; undefined without a click. calibration_error:
    |calibration - 1|. rarer_rows: clicks or rows without one, whichever are fewer.

    Args:
      statistic: one of `STATISTICS`.
      name: the metric's name; the statistic's by default.

    Raises:
      ValueError: there is no such statistic.
    """

    def __init__(self, statistic: str, name: str | None = None) -> None:
        if statistic not in STATISTICS:
            raise ValueError(f"no statistic {statistic!r}; there are {', '.join(STATISTICS)}")
        super().__init__(
            tfma.metrics.merge_per_key_computations(_slice_metric),
            name=name or statistic,
            statistic=statistic,
        )


def _slice_metric(name: str, statistic: str, model_name: str = "") -> metric_types.MetricComputations:
    key = tfma.metrics.MetricKey(name=name, model_name=model_name)
    private = tfma.metrics.MetricKey(name="_slice_statistics", model_name=model_name)
    return [
        tfma.metrics.MetricComputation([private], None, SliceCombiner(private)),
        tfma.metrics.DerivedMetricComputation([key], picker(key, private, statistic)),
    ]


def picker(
    key: tfma.metrics.MetricKey, private: tfma.metrics.MetricKey, statistic: str
) -> Callable[[dict[Any, Any]], dict[Any, Any]]:
    """Takes one statistic out of what a combiner made."""
    return lambda metrics: {key: metrics[private][statistic]}


class SliceCombiner(beam.CombineFn):
    """Rows to `SliceTotals` to statistics.

    Args:
      key: under which the statistics are returned, a dict.
    """

    def __init__(self, key: tfma.metrics.MetricKey) -> None:
        self._key = key

    def create_accumulator(self) -> SliceTotals:
        return SliceTotals()

    def add_input(self, accumulator: SliceTotals, element: tfma.metrics.StandardMetricInputs) -> SliceTotals:
        rows = read_rows(element, self._key.model_name)
        accumulator.add(rows.label, rows.prediction, rows.valid)
        return accumulator

    def merge_accumulators(self, accumulators: Iterable[SliceTotals]) -> SliceTotals:
        merged = SliceTotals()
        for accumulator in accumulators:
            merged.merge(accumulator)
        return merged

    def extract_output(self, accumulator: SliceTotals) -> dict[tfma.metrics.MetricKey, Any]:
        return {self._key: accumulator.statistics()}
