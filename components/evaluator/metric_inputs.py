"""What the metrics read from TFMA's inputs: one row or a batch of rows, as flat arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow_model_analysis as tfma

from models.arrays import Array


@dataclass(frozen=True)
class Rows:
    """Labels and predictions of some rows.

    Attributes:
      label: float64 (rows,).
      prediction: float64 (rows,).
      valid: bool (rows,): the prediction is a probability, not NaN and not outside 0 to 1.
    """

    label: Array
    prediction: Array
    valid: Array


def read_rows(inputs: tfma.metrics.StandardMetricInputs, model_name: str) -> Rows:
    """Labels and predictions of one model.

    Raises:
      ValueError: a label is neither 0 nor 1, or the model does not give one number per row.
    """
    label = np.asarray(inputs.get_labels(model_name), np.float64).reshape(-1)
    prediction = np.asarray(inputs.get_predictions(model_name), np.float64).reshape(-1)
    if label.shape != prediction.shape:
        raise ValueError(f"{len(label)} labels but {len(prediction)} predictions: expected one per row")
    if not np.isin(label, (0, 1)).all():
        raise ValueError(f"labels must be 0 or 1, found {np.setdiff1d(label, (0, 1))[:3].tolist()}")
    return Rows(label, prediction, (prediction >= 0) & (prediction <= 1))


def read_column(
    inputs: tfma.metrics.StandardMetricInputs, name: str, rows: int
) -> np.ma.MaskedArray[Any, Any]:
    """A raw column (rows,), masked where a row has no value."""
    values = np.ma.asarray(inputs.features.get(name, ())).reshape(-1)
    return values if len(values) == rows else np.ma.masked_all(rows, object)
