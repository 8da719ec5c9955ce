"""Work on a few elements, each by a worker, as one Beam job: what ExampleGen's and Transform's passes are made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import apache_beam as beam
import tensorflow as tf
from apache_beam.options.pipeline_options import DirectOptions, FlinkRunnerOptions, PipelineOptions

from components.loopback import on_loopback
from components.stack import LOCAL_RUNNER

Runner = Callable[[Sequence[Any], beam.DoFn], None]
# Compressed examples, about 200,000 rows: what several processes take to start is more than they save.
SMALL_BYTES = 32 << 20
# Beam's options for a job of this process alone, which is TFMA's: nothing of it is new to have its types checked, and
# it is pickled as newer Beams do, in half the time.
IN_THIS_PROCESS = (
    f"--runner={LOCAL_RUNNER}",
    "--direct_running_mode=in_memory",
    "--direct_num_workers=1",
    "--pickle_library=cloudpickle",
    "--no_pipeline_type_check",
)


def beam_runner(make_pipeline: Callable[[], beam.Pipeline]) -> Runner:
    """Does each job as a Beam pipeline of its own.

    Args:
      make_pipeline: makes an empty Beam pipeline.
    """

    def run(elements: Sequence[Any], work: beam.DoFn) -> None:
        if not elements:
            return
        with on_loopback(), make_pipeline() as pipeline:
            fit(pipeline.options, len(elements))
            _ = (
                pipeline
                | "Elements" >> beam.Create(list(elements), reshuffle=False)
                | "Spread" >> beam.Reshuffle()
                | type(work).__name__ >> beam.ParDo(work)
            )

    return run


def fit(options: PipelineOptions, elements: int) -> None:
    """Asks for no more workers than there are elements: each of the others would start a harness for nothing."""
    for view, name in ((FlinkRunnerOptions, "parallelism"), (DirectOptions, "direct_num_workers")):
        chosen = options.view_as(view)
        setattr(chosen, name, min(getattr(chosen, name), elements))


def runner_for(
    paths: Sequence[str], make_pipeline: Callable[[], beam.Pipeline], beam_args: Sequence[str]
) -> Runner:
    """Does jobs over some files: small ones on this machine are done here and now, without Beam.

    Args:
      paths: the files.
      make_pipeline: makes an empty Beam pipeline.
      beam_args: Beam's options; another runner than the local one does every job.
    """
    named = [arg.partition("=")[2] for arg in beam_args if arg.startswith("--runner=")]
    here = all(name in (LOCAL_RUNNER, "DirectRunner") for name in named)
    if here and sum(tf.io.gfile.stat(path).length for path in paths) < SMALL_BYTES:
        return in_this_process
    return beam_runner(make_pipeline)


def in_this_process(elements: Sequence[Any], work: beam.DoFn) -> None:
    """Hands every element to the DoFn, one after another."""
    for element in elements:
        for _ in work.process(element):
            pass
