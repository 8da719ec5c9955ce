"""How the integration weighs the domains, summed up for the report."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from components.trainer.export import ServedModel
from components.trainer.row_store import RowStore
from models.features import FeatureLayout

_SAMPLE = 8192
_SHOWN = 50


def integration_weights(served: ServedModel, rows: RowStore, layout: FeatureLayout) -> dict[str, Any] | None:
    """Mean weight that rows of one domain give to each domain.

    Args:
      served: with a trained model.
      rows: rows to average over; at most 8,192 are used, spread evenly.
      layout: names the domains.

    Returns:
      `{"domains": [...], "weights": [[...]]}`, row = the domain of the rows, column = the domain they look at,
      for the 50 largest domains; `None` for a model that does not explain itself. A domain without rows is absent.
    """
    if not served.model.explains:
        return None
    chosen = np.unique(np.linspace(0, len(rows) - 1, min(len(rows), _SAMPLE)).astype(np.int64))
    domain = rows.domain[chosen]
    weights = served.explain_transformed(
        {k: tf.constant(v) for k, v in rows.gather(chosen).items()}, tf.constant(domain)
    ).numpy()
    present = [d for d in range(min(len(layout.domains), _SHOWN)) if np.any(domain == d)]
    return {
        "domains": [layout.domains[d] for d in present],
        "weights": [[float(weights[domain == d, j].mean()) for j in present] for d in present],
    }
