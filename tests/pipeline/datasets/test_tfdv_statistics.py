"""Statistics of a stream equal TFDV's own of the same rows at once."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
import tensorflow_data_validation as tfdv
from tensorflow_metadata.proto.v0 import statistics_pb2

from pipeline.datasets.tfdv_statistics import StatisticsStream


def test_a_stream_in_blocks_says_what_tfdv_says_of_the_whole() -> None:
    rng = np.random.default_rng(0)
    rows = 5000
    frame = pl.DataFrame(
        {
            "price": pl.Series(rng.lognormal(2, 1, rows)).cast(pl.Float32),
            "age": pl.Series(rng.integers(18, 80, rows)),
            "colour": rng.choice(["red", "green", "blue"], rows),
            "tags": [["a", "b"][: n % 3] for n in range(rows)],
        }
    ).with_columns(
        pl.when(pl.col("age") < 30).then(None).otherwise(pl.col("age")).alias("age"),
        pl.when(pl.col("tags").list.len() == 0).then(None).otherwise(pl.col("tags")).alias("tags"),
    )
    stream = StatisticsStream()
    for start in range(0, rows, 700):
        stream.add(frame.slice(start, 700))
    found = by_column(stream.result())
    expected = by_column(
        tfdv.generate_statistics_from_dataframe(
            frame.select("price", "age", "colour").to_pandas(),
            tfdv.StatsOptions(use_sketch_based_topk_uniques=True),
        )
    )
    for name in ("price", "age", "colour"):
        assert common(found[name]).num_non_missing == common(expected[name]).num_non_missing
        assert common(found[name]).num_missing == common(expected[name]).num_missing
    assert common(found["age"]).num_missing == frame["age"].null_count()
    assert found["colour"].string_stats.unique == expected["colour"].string_stats.unique
    assert list(found["colour"].string_stats.top_values) == list(expected["colour"].string_stats.top_values)
    price, told = found["price"].num_stats, expected["price"].num_stats
    for figure in ("min", "max", "mean", "std_dev"):
        assert getattr(price, figure) == pytest.approx(getattr(told, figure), rel=1e-5)
    assert price.median == pytest.approx(float(np.median(frame["price"])), rel=0.05)
    tags = found["tags"].string_stats
    assert (tags.common_stats.num_non_missing, tags.unique) == (frame["tags"].count(), 2)


def by_column(
    statistics: statistics_pb2.DatasetFeatureStatisticsList,
) -> dict[str, statistics_pb2.FeatureNameStatistics]:
    return {feature.path.step[0]: feature for feature in statistics.datasets[0].features}


def common(feature: statistics_pb2.FeatureNameStatistics) -> statistics_pb2.CommonStatistics:
    numeric = feature.HasField("num_stats")
    return (feature.num_stats if numeric else feature.string_stats).common_stats
