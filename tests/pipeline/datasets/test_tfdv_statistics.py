"""Statistics of a stream equal TFDV's own of the same rows at once."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
import tensorflow_data_validation as tfdv

from pipeline.datasets.tfdv_statistics import StatisticsStream, column_statistics


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
    found = column_statistics(stream.result())
    expected = column_statistics(
        tfdv.generate_statistics_from_dataframe(
            frame.select("price", "age", "colour").to_pandas(),
            tfdv.StatsOptions(use_sketch_based_topk_uniques=True),
        )
    )
    for name in ("price", "age", "colour"):
        assert found[name].rows == expected[name].rows
        assert found[name].missing == expected[name].missing
        assert (found[name].distinct, found[name].top) == (expected[name].distinct, expected[name].top)
    assert found["age"].missing == frame["age"].null_count()
    for figure in ("minimum", "maximum", "mean", "deviation"):
        assert getattr(found["price"], figure) == pytest.approx(getattr(expected["price"], figure), rel=1e-5)
    assert found["price"].median == pytest.approx(float(np.median(frame["price"])), rel=0.05)
    assert (found["tags"].rows, found["tags"].distinct) == (frame["tags"].count(), 2)
