"""TFDV's distances between the distributions of two days."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import tensorflow_data_validation as tfdv
from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2, statistics_pb2

from components.dataset.declaration import Declaration
from components.dataset.names import BEHAVIOUR_PREFIX
from components.drift.gates import Finding

TOO_FAR = {
    anomalies_pb2.AnomalyInfo.COMPARATOR_L_INFTY_HIGH,
    anomalies_pb2.AnomalyInfo.COMPARATOR_JENSEN_SHANNON_DIVERGENCE_HIGH,
}


def compared(
    schema: schema_pb2.Schema, declaration: Declaration, comparator: str, distance: float, *, behaviours: bool
) -> schema_pb2.Schema:
    """The schema with a comparator for every feature whose distribution is compared.

    Jensen-Shannon divergence of numbers; of categories L-infinity, the largest change of a value's share.

    Args:
      schema: as curated.
      declaration: the data set.
      comparator: `drift_comparator`, with another day, or `skew_comparator`, with serving.
      distance: that is allowed.
      behaviours: whether behaviours are compared too, which no request has.
    """
    result = schema_pb2.Schema()
    result.CopyFrom(schema)
    for feature in result.feature:
        declared = declaration.features.get(feature.name)
        behaviour = behaviours and feature.name.startswith(BEHAVIOUR_PREFIX)
        if declared is None and not behaviour:
            continue
        if declared is None or not declared.is_categorical:
            divergence = getattr(feature, comparator).jensen_shannon_divergence
            divergence.threshold = distance
            # Bins of equal width over a long tail move with the largest number of the day.
            divergence.source.type = schema_pb2.HistogramSelection.QUANTILES
        elif feature.type == schema_pb2.BYTES:
            getattr(feature, comparator).infinity_norm.threshold = distance
    return result


def distances(
    declaration: Declaration,
    schema: schema_pb2.Schema,
    before: statistics_pb2.DatasetFeatureStatisticsList,
    today: statistics_pb2.DatasetFeatureStatisticsList,
    distance: float,
) -> Iterator[Finding]:
    """The features whose distribution is farther from that of the last good day than a distance.

    Args:
      declaration: the data set.
      schema: as curated; comparators are added here.
      before, today: TFDV's statistics of the two days.
      distance: that is allowed (`gates.bounds`).
    """
    wanted = compared(schema, declaration, "drift_comparator", distance, behaviours=True)
    found = tfdv.validate_statistics(today, wanted, previous_statistics=before)
    for name, anomaly in sorted(found.anomaly_info.items()):
        for reason in anomaly.reason:
            if reason.type in TOO_FAR:
                # TFDV quotes a name with a dot.
                feature = ".".join(anomaly.path.step) or name.strip("'")
                yield Finding(
                    "distribution",
                    f"column {feature.removeprefix(BEHAVIOUR_PREFIX)}: {reason.description.rstrip('.')}"
                    f"{_means(before, today, feature)}: another unit, another way to count, or other users?",
                )


def _means(
    before: statistics_pb2.DatasetFeatureStatisticsList,
    today: statistics_pb2.DatasetFeatureStatisticsList,
    feature: str,
) -> str:
    """From what mean to what mean a number has moved; empty for a category."""
    means = [
        found.num_stats.mean
        for statistics in (before, today)
        for found in statistics.datasets[0].features
        if ".".join(found.path.step) == feature and found.HasField("num_stats")
    ]
    return f" (its mean was {means[0]:.4g} and is {means[1]:.4g})" if len(means) == 2 else ""


def read_statistics(path: str | Path) -> statistics_pb2.DatasetFeatureStatisticsList:
    """Statistics as StatisticsGen writes them."""
    return statistics_pb2.DatasetFeatureStatisticsList.FromString(Path(path).read_bytes())
