"""The domains' moving averages over time, for reports."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import tensorflow as tf

from components.transform.analyser import DOMAIN_CURVES
from components.transform.row_layout import asset_path


@dataclass(frozen=True)
class DomainCurves:
    """Moving averages after every time bucket that has training rows.

    Attributes:
      domains: the domains' values, by training rows, descending.
      buckets: start of each bucket, wall-clock in the declared zone.
      behaviours: their names.
      averages: float32 (domains, buckets, behaviours); NaN before a domain's first value.
      rows: impressions, int64 (domains, buckets).
    """

    domains: tuple[str, ...]
    buckets: tuple[datetime, ...]
    behaviours: tuple[str, ...]
    averages: np.ndarray
    rows: np.ndarray


def read_domain_curves(transform_graph: str | Path) -> DomainCurves:
    """Reads the table domain x bucket x behaviour of a `transform_graph` artifact."""
    with (
        tf.io.gfile.GFile(asset_path(transform_graph, DOMAIN_CURVES), "rb") as file,
        np.load(file) as arrays,
    ):
        start = datetime(1970, 1, 1)
        return DomainCurves(
            domains=tuple(arrays["domains"].tolist()),
            buckets=tuple(start + timedelta(milliseconds=int(ms)) for ms in arrays["bucket_start_ms"]),
            behaviours=tuple(arrays["behaviours"].tolist()),
            averages=arrays["averages"],
            rows=arrays["rows"],
        )
