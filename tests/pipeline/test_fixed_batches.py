"""TFX's reads make batches of a fixed size, whatever the clock says."""

from __future__ import annotations

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.testing.util import assert_that, equal_to
from tfx_bsl.coders import batch_util

from pipeline.beam_runner import beam_args
from pipeline.fixed_batches import batches_of_fixed_size


def test_batches_have_the_same_size_in_every_run() -> None:
    batches_of_fixed_size()
    with beam.Pipeline(options=PipelineOptions(list(beam_args("direct", ["workers=1"])))) as pipeline:
        records = pipeline | beam.Create([b"row"]) | beam.FlatMap(lambda row: [row] * 20_000)
        batched = records | batch_util.BatchRecords(None, None)
        assert_that(batched | beam.Map(len), equal_to([8192, 8192, 3616]))
