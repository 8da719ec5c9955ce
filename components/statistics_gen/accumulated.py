"""TFDV's statistics of a stream of rows, batch by batch, in bounded memory.

TFDV's own entry points take a Beam pipeline, whose local runner holds what it groups, or one batch in memory. Its
generators can do better: they add batches to an accumulator of fixed size (sketches of quantiles, top values and
distinct values), which is all that a stream needs.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa
from tensorflow_data_validation.statistics import stats_impl, stats_options
from tensorflow_metadata.proto.v0 import statistics_pb2


class Accumulated:
    """TFDV's generators, and what they have accumulated.

    Args:
      options: TFDV's. Distinct and top values come from sketches, which are exact up to 16,384 distinct values.
    """

    def __init__(self, options: stats_options.StatsOptions) -> None:
        self._generators: list[Any] = stats_impl.get_generators(options, in_memory=True)
        self.accumulators = [generator.create_accumulator() for generator in self._generators]

    def add(self, batch: pa.RecordBatch) -> None:
        """Adds rows: every column lists of values, null where a row has none."""
        self.accumulators = [
            generator.add_input(accumulator, batch)
            for generator, accumulator in zip(self._generators, self.accumulators, strict=True)
        ]

    def merge(self, accumulators: list[Any]) -> None:
        """Adds what others have accumulated with the same options."""
        self.accumulators = [
            generator.merge_accumulators(pair)
            for generator, *pair in zip(self._generators, self.accumulators, accumulators, strict=True)
        ]

    def result(self) -> statistics_pb2.DatasetFeatureStatisticsList:
        """The statistics, as TFDV's own functions take them."""
        return stats_impl.extract_statistics_output(self.accumulators, self._generators)
