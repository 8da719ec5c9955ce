"""A request to try a model with: a real row of the evaluation, as a caller sends it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from components.dataset.declaration import Declaration
from components.dataset.input_names import LIST_SEPARATOR
from components.signature_check.real_rows import named_rows
from components.trainer.raw_inputs import RequestFeature, missing_value, request_features


def example_request(serialized: Sequence[bytes], declaration: Declaration) -> dict[str, Any]:
    """The row with the fewest missing values: the value of each input, as JSON has it.

    Args:
      serialized: raw `tf.Example`s, one or more.
      declaration: the data set.
    """
    features = request_features(declaration)
    columns = named_rows(serialized, features)
    rows = [
        {feature.input: _plain(columns[feature.input][row], feature) for feature in features}
        for row in range(len(serialized))
    ]
    return min(rows, key=lambda row: sum(_is_missing(row[feature.input], feature) for feature in features))


def _plain(value: Any, feature: RequestFeature) -> Any:
    if isinstance(value, bytes):
        text = value.decode("utf-8", "replace")
        if feature.separator is not None and LIST_SEPARATOR in text:
            return feature.separator.join(text.rstrip(LIST_SEPARATOR).split(LIST_SEPARATOR))
        return text
    if isinstance(value, (np.floating, float)):
        # The shortest number that is this 32-bit one: 0.4, not 0.4000000059604645.
        return float(str(np.float32(value)))
    return int(value) if isinstance(value, (np.integer, int)) else value


def _is_missing(value: Any, feature: RequestFeature) -> bool:
    return (isinstance(value, float) and math.isnan(value)) or bool(value == missing_value(feature.dtype))
