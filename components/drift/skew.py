"""The day's training rows against what the server was asked: the same features, made twice."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import tensorflow_data_validation as tfdv
from tensorflow_data_validation.statistics import stats_impl
from tensorflow_metadata.proto.v0 import schema_pb2, statistics_pb2

from components.dataset.declaration import Declaration
from components.drift.distances import TOO_FAR, compared
from components.drift.figures import Measured
from components.drift.gates import Finding

ENOUGH_ROWS = 500
"""Fewer rows of requests are said and compared with nothing."""


def skew(
    declaration: Declaration,
    schema: schema_pb2.Schema,
    today: statistics_pb2.DatasetFeatureStatisticsList,
    measured: Measured,
    rows: pa.RecordBatch,
) -> Iterator[Finding]:
    """The features that training and serving do not have alike: by distribution, and by how often they are missing.

    Args:
      declaration: the data set; `daily.gates.skew` and `missing_share` decide.
      schema: as curated; comparators are added here.
      today: TFDV's statistics of the training rows.
      measured: the day's figures.
      rows: that the server was asked for (`requests.asked`).
    """
    gates = declaration.daily.gates
    if gates.skew is None:
        return
    count = f"{rows.num_rows:,} rows that the server was asked for"
    if rows.num_rows < ENOUGH_ROWS:
        yield Finding(
            "skew", f"{count} are too few to be compared with the day's ({ENOUGH_ROWS})", refuses=False
        )
        return
    served = stats_impl.generate_statistics_in_memory(rows, tfdv.StatsOptions())
    compared_schema = compared(schema, declaration, "skew_comparator", gates.skew, behaviours=False)
    found = tfdv.validate_statistics(today, compared_schema, serving_statistics=served)
    for name, anomaly in sorted(found.anomaly_info.items()):
        for reason in anomaly.reason:
            if reason.type in TOO_FAR:
                yield Finding(
                    "skew",
                    f"column {name}: training and serving differ ({count}): {reason.description} Is "
                    "it made in the same way for both?",
                )
    for name in rows.schema.names:
        if name not in measured.features or not measured.overall.rows:
            continue
        trained = measured.features[name].missing / measured.overall.rows
        asked = rows.column(name).null_count / rows.num_rows
        if abs(asked - trained) > gates.missing_share:
            yield Finding(
                "skew of missing values",
                f"column {name} is missing in {asked:.1%} of the {count}, and in {trained:.1%} of the day's: does the "
                "caller send it, under this name?",
            )
