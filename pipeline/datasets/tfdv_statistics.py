"""TFDV's statistics of frames of rows."""

from __future__ import annotations

import numpy as np
import polars as pl
import pyarrow as pa
from tensorflow_data_validation.statistics import stats_options
from tensorflow_metadata.proto.v0 import schema_pb2, statistics_pb2

from components.statistics_gen.accumulated import Accumulated

_BATCH_ROWS = 32_768


class StatisticsStream:
    """TFDV's accumulators, to which frames are added."""

    def __init__(self) -> None:
        options = stats_options.StatsOptions(
            schema=schema_pb2.Schema(),
            use_sketch_based_topk_uniques=True,
            num_top_values=10,
            # Nobody looks at the histograms, and of each a hundred quantiles a bucket are drawn, one by one.
            num_histogram_buckets=1,
            num_quantiles_histogram_buckets=1,
        )
        self._found = Accumulated(options)

    def add(self, frame: pl.DataFrame) -> None:
        """Adds rows; nulls are missing values."""
        for start in range(0, len(frame), _BATCH_ROWS):
            part = frame.slice(start, _BATCH_ROWS)
            batch = pa.RecordBatch.from_arrays([as_lists(part[n]) for n in part.columns], names=part.columns)
            self._found.add(batch)

    def result(self) -> statistics_pb2.DatasetFeatureStatisticsList:
        """The statistics, as TFDV's own functions take them."""
        return self._found.result()


def as_lists(column: pl.Series) -> pa.Array:
    """A column as lists of int64, float32 or bytes, which is how examples hold values: no value, no list."""
    if isinstance(column.dtype, pl.List):
        column = column.set(column.list.len() == 0, None)
        array = column.rechunk().to_arrow()
        inner = array.type.value_type
        if pa.types.is_large_string(inner) or pa.types.is_string(inner):
            return array.cast(pa.large_list(pa.large_binary()))
        return array.cast(pa.large_list(pa.int64() if pa.types.is_integer(inner) else pa.float32()))
    if column.dtype == pl.String:
        values = column.rechunk().to_arrow().cast(pa.large_binary())
    else:
        values = column.cast(pl.Float32 if column.dtype.is_float() else pl.Int64).rechunk().to_arrow()
    missing = np.asarray(column.is_null())
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(~missing)])
    return pa.LargeListArray.from_arrays(
        pa.array(offsets, pa.int64(), mask=np.append(missing, False)), values.drop_null()
    )
