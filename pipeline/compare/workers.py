"""Processes that run executors: each imports TensorFlow once and then serves many components.

Imports nothing heavy, so that a process sets its threads before TensorFlow starts.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.queues import Queue
from typing import Any

from components.errors import InputError
from pipeline.garbage import collect_seldom

Report = tuple[str, Any]


class WorkerPool:
    """A pool of processes for executors.

    Args:
      jobs: how many at once.
      threads: of each process.
      listener: called with a component's id and each `components.progress.Progress` that it reports.
    """

    def __init__(self, jobs: int, threads: int, listener: Callable[[str, Any], None]) -> None:
        context = multiprocessing.get_context("spawn")
        self._reports: Queue[Report | None] = context.Queue()
        self._listener = listener
        self._pool = ProcessPoolExecutor(
            jobs, mp_context=context, initializer=_begin, initargs=(threads, self._reports)
        )
        self._reader = threading.Thread(target=self._listen, name="reports", daemon=True)

    def __enter__(self) -> WorkerPool:
        self._reader.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        # Interrupted, this process does not wait: its end is theirs.
        interrupted = kind is not None and not issubclass(kind, Exception)
        self._pool.shutdown(wait=not interrupted, cancel_futures=True)
        self._reports.put(None)
        self._reader.join()

    def execute(self, node: str, execution: bytes, spec: bytes, beam: bool) -> tuple[bytes, float]:
        """Runs an executor in a process of the pool and waits for it.

        Args:
          node: the component's id.
          execution: a serialized `ExecutionInvocation`.
          spec: a serialized executable spec.
          beam: whether that is a `BeamExecutableSpec` rather than a `PythonClassExecutableSpec`.

        Returns:
          The serialized `ExecutorOutput`, and the processor seconds that it took.

        Raises:
          InputError: the process was ended from outside.
          Exception: what the executor raised.
        """
        try:
            return self._pool.submit(_run, node, execution, spec, beam).result()
        except BrokenProcessPool as error:
            raise InputError(
                f"a process that worked on {node} or beside it was ended from outside, most likely because memory "
                "ran out: run again with fewer --jobs; what has ended is kept"
            ) from error

    def _listen(self) -> None:
        while (report := self._reports.get()) is not None:
            self._listener(*report)


_reports: Queue[Report | None] | None = None


def _begin(threads: int, reports: Queue[Report | None]) -> None:
    """Prepares a process: its threads, its end when the parent is gone, where progress is sent."""
    global _reports
    _reports = reports
    for name in (
        "TF_NUM_INTRAOP_THREADS",
        "TF_NUM_INTEROP_THREADS",
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
    ):
        os.environ[name] = str(threads)
    collect_seldom()
    threading.Thread(target=_end_with_parent, name="parent", daemon=True).start()


def _end_with_parent() -> None:
    # A worker that outlived a killed comparison would write into the folders of the one that goes on.
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
    os._exit(1)


def _run(node: str, execution: bytes, spec: bytes, beam: bool) -> tuple[bytes, float]:
    from tfx.orchestration.portable import beam_executor_operator, data_types, python_executor_operator
    from tfx.proto.orchestration import executable_spec_pb2, execution_invocation_pb2

    from components import progress

    info = data_types.ExecutionInfo.from_proto(
        execution_invocation_pb2.ExecutionInvocation.FromString(execution)
    )
    if beam:
        operator = beam_executor_operator.BeamExecutorOperator(
            executable_spec_pb2.BeamExecutableSpec.FromString(spec)
        )
    else:
        operator = python_executor_operator.PythonExecutorOperator(
            executable_spec_pb2.PythonClassExecutableSpec.FromString(spec)
        )
    begun = _cpu_seconds()
    with progress.listening(lambda event: _send(node, event)):
        output = operator.run_executor(info)
    _forget()
    return output.SerializeToString(), _cpu_seconds() - begun


def _send(node: str, event: Any) -> None:
    if _reports is not None:
        _reports.put((node, event))


def _forget() -> None:
    """Lets go of what Keras and TensorFlow keep of a finished training."""
    import gc

    import tf_keras as keras

    keras.backend.clear_session()
    gc.collect()


def _cpu_seconds() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system
