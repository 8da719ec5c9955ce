"""Work on a few elements, each by a worker, as one Beam job: what ExampleGen's and Transform's passes are made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import apache_beam as beam

Runner = Callable[[Sequence[Any], beam.DoFn], None]


def beam_runner(make_pipeline: Callable[[], beam.Pipeline]) -> Runner:
    """Does each job as a Beam pipeline of its own.

    Args:
      make_pipeline: makes an empty Beam pipeline.
    """

    def run(elements: Sequence[Any], work: beam.DoFn) -> None:
        if not elements:
            return
        with make_pipeline() as pipeline:
            _ = (
                pipeline
                | "Elements" >> beam.Create(list(elements), reshuffle=False)
                | "Spread" >> beam.Reshuffle()
                | type(work).__name__ >> beam.ParDo(work)
            )

    return run
