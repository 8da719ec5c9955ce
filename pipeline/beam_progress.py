"""Rows read by TFX's own Beam components, reported while they run on this machine.

StatisticsGen and Transform say nothing until they have ended. TFX lets whoever launches a Beam executor make its
`beam.Pipeline`: this one counts the rows of every batch that they read. Workers in processes of their own would count
for themselves, so there TFX's pipeline stays as it is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from uuid import uuid4

import apache_beam as beam
from absl import flags
from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions, StandardOptions
from tfx.orchestration.portable import beam_executor_operator
from tfx.proto.orchestration import executable_spec_pb2

from components.progress import Progress, report
from components.stack import LOCAL_RUNNER

# What TFX calls its reads, and what is done with the rows. Transform's own analyser reports what it reads.
_READS = {"TFXIORead[": "counting values", "TFXIOReadAndDecode[TransformIndex": "transforming rows"}
_done: Counter[str] = Counter()


class CountingPipeline(beam.Pipeline):
    """A pipeline that reports how many rows have come out of TFX's reads."""

    def __init__(self, argv: Sequence[str]) -> None:
        super().__init__(argv=list(argv))
        self._token = uuid4().hex

    def apply(self, transform: Any, pvalueish: Any = None, label: str | None = None) -> Any:
        """As `beam.Pipeline.apply`, which calls itself until the transform bears its own label."""
        found = super().apply(transform, pvalueish, label)
        if label is not None or not isinstance(transform, beam.PTransform):
            return found
        for prefix, step in _READS.items():
            if str(transform.label).startswith(prefix):
                counter = beam.ParDo(_Count(step, f"{self._token}:{step}"))
                return super().apply(counter, found, f"Count{transform.label}")
        return found


class _Count(beam.DoFn):
    def __init__(self, step: str, key: str) -> None:
        self._step, self._key = step, key

    def process(self, batch: Any) -> Iterator[Any]:
        _done[self._key] += batch.num_rows
        report(Progress(self._step, _done[self._key]))
        yield batch


class ReportingBeamOperator(beam_executor_operator.BeamExecutorOperator):
    """Launches Beam executors with a pipeline that counts rows, where they run in this process."""

    def run_executor(
        self, execution_info: Any, make_beam_pipeline_fn: Callable[[], beam.Pipeline] | None = None
    ) -> Any:
        """As TFX's, see there, with batches of a fixed size."""
        batches_of_fixed_size()
        if make_beam_pipeline_fn is None and in_this_process(self.beam_pipeline_args):
            make_beam_pipeline_fn = self._counting
        return super().run_executor(execution_info, make_beam_pipeline_fn)

    def _counting(self) -> beam.Pipeline:
        return CountingPipeline(self.beam_pipeline_args)


def in_this_process(beam_args: Sequence[Any]) -> bool:
    """Whether a Beam job with these options runs in the process that starts it.

    Args:
      beam_args: texts, or the placeholders that TFX's compiled pipeline has for them. One that only a run can
        resolve might say anything, so such a job does not.
    """
    texts = [arg if isinstance(arg, str) else arg.value.string_value for arg in beam_args]
    if not all(texts):
        return False
    options = PipelineOptions(texts)
    runner = options.view_as(StandardOptions).runner or "DirectRunner"
    mode = options.view_as(DirectOptions).direct_running_mode
    return runner in ("DirectRunner", LOCAL_RUNNER) and mode != "multi_processing"


def batches_of_fixed_size() -> None:
    """Has TFX's reads make batches of 20 MiB or 8,192 rows, whichever is less.

    Beam would choose sizes up to 1,000 rows by the clock, so that no two runs had the same; the last bit of a feature
    depends on where in its batch the row stands, and from there on the weights and every figure would differ. With one
    process, two runs of the same command have the same features.
    """
    # The flag belongs to the module that reads it.
    import tfx_bsl.coders.batch_util  # noqa: F401

    flags.FLAGS.set_default("tfxio_use_byte_size_batching", True)


OPERATORS = {executable_spec_pb2.BeamExecutableSpec: ReportingBeamOperator}
