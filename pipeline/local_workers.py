"""Worker processes of the direct runner, forked from one that has imported what they need.

Beam starts them anew for each job, with all imports: for a run's eight jobs more processor time than a million rows
take. So a worker pool of this process's own gives them (`pipeline.worker_pool`): the first job that asks for processes
starts it, and it ends with the run.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import sys
from collections.abc import Iterator, Sequence
from typing import Any
from unittest.mock import patch

import psutil
from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions
from apache_beam.transforms import environments

from components.errors import EngineError

_LOG = logging.getLogger(__name__)


@contextlib.contextmanager
def forked_workers(beam_args: Sequence[str]) -> Iterator[None]:
    """Inside the block jobs of several processes on this machine get forked ones; nothing for other options."""
    direct = PipelineOptions(list(beam_args)).view_as(DirectOptions)
    if direct.direct_running_mode != "multi_processing":
        yield
        return

    def pooled(command_string: str) -> environments.Environment:
        del command_string
        return environments.ExternalEnvironment(_pool(direct.direct_num_workers))

    with patch.object(environments.SubprocessSDKEnvironment, "from_command_string", pooled):
        try:
            yield
        finally:
            for harnesses, _ in _POOLS:
                harnesses.await_idle(_ENDING_SECONDS)


def cpu_seconds() -> float:
    """Processor seconds of the workers that have ended, and of the process that they were forked from."""
    total = 0.0
    for harnesses, _ in _POOLS:
        with contextlib.suppress(psutil.NoSuchProcess):
            times = psutil.Process(harnesses.parent).cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total


@functools.cache
def _pool(most: int) -> str:
    """The address of a pool with room for so many workers, and as many of a job that is just ending."""
    from pipeline.worker_pool import Harnesses, serve

    harnesses = Harnesses(2 * most, lost=_lost, killed=_lost)
    server, port = serve(harnesses, "127.0.0.1", 0)
    _POOLS.append((harnesses, server))
    return f"localhost:{port}"


# What was started, which ends with the run.
_POOLS: list[tuple[Any, Any]] = []
_ENDING_SECONDS = 10.0


def _lost() -> None:
    """A job of Beam's local runner waits for ever for a worker that is gone."""
    text = (
        "a worker process of this machine was killed, most likely for lack of memory. What finished before is kept: "
        "the same command goes on from there; --beam-option workers=1 needs the least"
    )
    _LOG.error(text)
    sys.stderr.write(f"error: {text}\n")
    sys.stderr.flush()
    os._exit(EngineError.exit_code)
