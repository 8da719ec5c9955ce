"""Reliability: do rows with a predicted click probability of 0.3 click three times in ten?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from components.study.document import CalibrationBin
from components.study.sample import Sample
from models.arrays import Array

BINS = 10
_ROWS_OF_A_BIN = 25


def bins(prediction: Array, label: Array) -> list[CalibrationBin]:
    """Bins of equally many rows, by rising prediction: at most ten, of at least 25 rows each.

    Args:
      prediction: click probability (rows,).
      label: 0 or 1 (rows,).
    """
    count = min(BINS, len(label) // _ROWS_OF_A_BIN)
    if count == 0:
        return []
    order = np.argsort(prediction, kind="stable")
    return [
        CalibrationBin(
            predicted=float(prediction[part].mean()), observed=float(label[part].mean()), rows=len(part)
        )
        for part in np.array_split(order, count)
    ]


def calibration(
    sample: Sample, names: Sequence[str], min_rows: int, most: int = 12
) -> dict[str, list[CalibrationBin]]:
    """Of all rows together ("") and of the domains with at least `min_rows` rows, the `most` largest."""
    counts = np.bincount(sample.domain, minlength=len(names))
    shown = [d for d in np.argsort(-counts, kind="stable") if counts[d] >= max(min_rows, 1)][:most]
    found = {"": bins(sample.prediction, sample.label)}
    for d in shown:
        here = sample.domain == d
        found[names[d]] = bins(sample.prediction[here], sample.label[here])
    return found
