"""Batches of a fixed size, where TFX's own components read examples."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import apache_beam as beam
from absl import flags
from tfx.orchestration.portable import beam_executor_operator
from tfx.proto.orchestration import executable_spec_pb2


class FixedBatchesOperator(beam_executor_operator.BeamExecutorOperator):
    """Launches Beam executors as TFX does, with batches of a fixed size."""

    def run_executor(
        self, execution_info: Any, make_beam_pipeline_fn: Callable[[], beam.Pipeline] | None = None
    ) -> Any:
        """As TFX's, see there."""
        batches_of_fixed_size()
        return super().run_executor(execution_info, make_beam_pipeline_fn)


def batches_of_fixed_size() -> None:
    """Has TFX's reads make batches of 20 MiB or 8,192 rows, whichever is less.

    Beam would choose sizes up to 1,000 rows by the clock, so that no two runs had the same; the last bit of a
    prediction depends on where in its batch the row stands, and every figure would differ.
    """
    # The flag belongs to the module that reads it.
    import tfx_bsl.coders.batch_util  # noqa: F401

    flags.FLAGS.set_default("tfxio_use_byte_size_batching", True)


OPERATORS = {executable_spec_pb2.BeamExecutableSpec: FixedBatchesOperator}
