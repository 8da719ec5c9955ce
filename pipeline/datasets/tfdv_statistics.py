"""TFDV's statistics of frames of rows, and what they say of a column."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as pa
from tensorflow_data_validation.statistics import stats_options
from tensorflow_metadata.proto.v0 import schema_pb2, statistics_pb2

from components.statistics_gen.accumulated import Accumulated

_BATCH_ROWS = 32_768


@dataclass(frozen=True)
class ColumnStatistics:
    """What TFDV says of a column.

    Attributes:
      rows: rows with a value.
      missing: rows without.
      distinct: distinct values (of texts, and of ints that are declared categories); 0 where not counted.
      top: most frequent values with their rows.
      minimum, maximum, mean, median, deviation: of numbers; `None` for texts.
    """

    rows: int
    missing: int
    distinct: int
    top: tuple[tuple[str, int], ...]
    minimum: float | None = None
    maximum: float | None = None
    mean: float | None = None
    median: float | None = None
    deviation: float | None = None


class StatisticsStream:
    """TFDV's accumulators, to which frames are added.

    Args:
      categories: int columns whose distinct values are to be counted.
    """

    def __init__(
        self, categories: frozenset[str] = frozenset(), schema: schema_pb2.Schema | None = None
    ) -> None:
        if schema is None:
            schema = schema_pb2.Schema()
            for name in sorted(categories):
                feature = schema.feature.add(name=name, type=schema_pb2.INT)
                feature.int_domain.is_categorical = True
        options = stats_options.StatsOptions(
            schema=schema,
            use_sketch_based_topk_uniques=True,
            num_top_values=10,
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


def column_statistics(statistics: statistics_pb2.DatasetFeatureStatisticsList) -> dict[str, ColumnStatistics]:
    """The figures that proposals and messages use, by column."""
    return dict(_columns(statistics))


def _columns(
    statistics: statistics_pb2.DatasetFeatureStatisticsList,
) -> Iterator[tuple[str, ColumnStatistics]]:
    for feature in statistics.datasets[0].features:
        name = feature.path.step[0]
        if feature.HasField("num_stats"):
            numbers = feature.num_stats
            yield (
                name,
                ColumnStatistics(
                    rows=numbers.common_stats.num_non_missing,
                    missing=numbers.common_stats.num_missing,
                    distinct=0,
                    top=(),
                    minimum=numbers.min,
                    maximum=numbers.max,
                    mean=numbers.mean,
                    median=numbers.median,
                    deviation=numbers.std_dev,
                ),
            )
        else:
            texts = feature.string_stats
            yield (
                name,
                ColumnStatistics(
                    rows=texts.common_stats.num_non_missing,
                    missing=texts.common_stats.num_missing,
                    distinct=texts.unique,
                    top=tuple((value.value, int(value.frequency)) for value in texts.top_values),
                ),
            )
