"""The comparison's runner: components as soon as their inputs are there, several at once in processes of their own.

Drivers and publishers, which talk to the metadata store, run in this process, one at a time; executors run in a pool of
workers. What ends up in the metadata store is what TFX's own runner leaves.
"""

from __future__ import annotations

import datetime
import threading
import time
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any

from tfx.dsl.compiler import constants
from tfx.orchestration import metadata
from tfx.orchestration.local import runner_utils
from tfx.orchestration.portable import (
    base_executor_operator,
    data_types,
    launcher,
    runtime_parameter_utils,
    tfx_runner,
)
from tfx.proto.orchestration import executable_spec_pb2, execution_result_pb2, pipeline_pb2

from pipeline.compare.workers import WorkerPool
from pipeline.engine_options import with_engine, without_engine
from pipeline.events import NodeRun, NodeStarted
from pipeline.local import outcome

Listener = Callable[[NodeStarted | NodeRun], None]


class ParallelRunner(tfx_runner.IrBasedRunner):
    """Runs a pipeline's components in parallel and keeps what happened in `runs`, by component id.

    Args:
      pool: runs the executors.
      jobs: components at once.
      alone: whether a component, by its id, must have the machine to itself.
      optional: nodes that may resolve nothing; what depends on them is then left out.
      listener: called when a component begins and when it has ended.
    """

    def __init__(
        self,
        pool: WorkerPool,
        jobs: int,
        alone: Callable[[str], bool] = lambda node: False,
        optional: Collection[str] = (),
        listener: Listener = lambda event: None,
    ) -> None:
        self._pool = pool
        self._jobs = jobs
        self._alone = alone
        self._optional = frozenset(optional)
        self._listener = listener
        self.runs: dict[str, NodeRun] = {}

    def run_with_ir(self, pipeline: pipeline_pb2.Pipeline, run_options: Any = None, **_: Any) -> None:
        """Runs the compiled pipeline.

        Raises:
          Exception: whatever the first component that failed raised; what was running then ends first, and what has
            ended is kept and cached.
        """
        runtime_parameter_utils.substitute_runtime_parameter(
            pipeline, {constants.PIPELINE_RUN_ID_PARAMETER_NAME: datetime.datetime.now().isoformat()}
        )
        waiting = {node.pipeline_node.node_info.id: node.pipeline_node for node in pipeline.nodes}
        positions = {name: position for position, name in enumerate(waiting, 1)}
        launches = _Launches(pipeline, self._pool)
        running: dict[Future[NodeRun], str] = {}
        failure: BaseException | None = None
        threads = ThreadPoolExecutor(self._jobs)
        while running or (waiting and failure is None):
            if failure is None:
                for name in self._ready(waiting, set(running.values())):
                    self._listener(NodeStarted(name, positions[name], len(positions)))
                    running[threads.submit(launches.launch, waiting.pop(name))] = name
            if not running:
                raise RuntimeError(f"nothing can run before {', '.join(waiting)}")
            done, _pending = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                name = running.pop(future)
                error = future.exception()
                if error is not None:
                    failure = failure or error
                    continue
                self.runs[name] = future.result()
                self._listener(self.runs[name])
                if name in self._optional and not any(self.runs[name].outputs.values()):
                    for other in _downstream(name, waiting):
                        del waiting[other]
        threads.shutdown()
        if failure is not None:
            raise failure

    def _ready(self, waiting: Mapping[str, pipeline_pb2.PipelineNode], running: set[str]) -> list[str]:
        """What may begin now, in the pipeline's order."""
        if any(self._alone(name) for name in running):
            return []
        ready = [name for name, node in waiting.items() if set(node.upstream_nodes) <= set(self.runs)]
        together = [name for name in ready if not self._alone(name)]
        if not together and not running:
            return ready[:1]
        return together[: self._jobs - len(running)]


def _downstream(name: str, waiting: Mapping[str, pipeline_pb2.PipelineNode]) -> set[str]:
    found: set[str] = set()
    frontier = {name}
    while frontier:
        frontier = {other for other, node in waiting.items() if frontier & set(node.upstream_nodes)} - found
        found |= frontier
    return found


class _Launches:
    """Launches nodes of one pipeline, from several threads."""

    def __init__(self, pipeline: pipeline_pb2.Pipeline, pool: WorkerPool) -> None:
        self._pipeline = pipeline
        self._deployment = runner_utils.extract_local_deployment_config(pipeline)
        self._pool = pool
        config = self._deployment.metadata_connection_config
        self._connection = getattr(config, config.WhichOneof("connection_config"))
        self._lock = threading.RLock()

    def launch(self, node: pipeline_pb2.PipelineNode) -> NodeRun:
        """Runs a node from its driver to its publisher."""
        name = node.node_info.id
        begun = time.monotonic()
        spent: list[float] = []
        spec = runner_utils.extract_executor_spec(self._deployment, name)
        info = launcher.Launcher(
            pipeline_node=node,
            mlmd_connection=_OneAtATime(self._connection, self._lock),
            pipeline_info=self._pipeline.pipeline_info,
            pipeline_runtime_spec=self._pipeline.runtime_spec,
            executor_spec=without_engine(spec),
            custom_driver_spec=runner_utils.extract_custom_driver_spec(self._deployment, name),
            custom_executor_operators={
                executable_spec_pb2.PythonClassExecutableSpec: _pooled(self._pool, name, spent, beam=False),
                executable_spec_pb2.BeamExecutableSpec: with_engine(
                    _pooled(self._pool, name, spent, beam=True), spec
                ),
            },
        ).launch()
        with self._lock:
            cached, outputs = outcome(self._connection, name, info)
        return NodeRun(name, cached, time.monotonic() - begun, sum(spent), outputs)


class _OneAtATime(metadata.Metadata):
    """A connection to the metadata store that only one thread has open: SQLite takes one writer."""

    def __init__(self, config: Any, lock: threading.RLock) -> None:
        super().__init__(config)
        self._lock = lock

    def __enter__(self) -> _OneAtATime:
        self._lock.acquire()
        try:
            super().__enter__()
        except BaseException:
            self._lock.release()
            raise
        return self

    def __exit__(self, *error: Any) -> None:
        try:
            super().__exit__(*error)
        finally:
            self._lock.release()


def _pooled(
    pool: WorkerPool, node: str, spent: list[float], *, beam: bool
) -> type[base_executor_operator.BaseExecutorOperator]:
    """An executor operator that hands the execution to the pool."""

    class PooledOperator(base_executor_operator.BaseExecutorOperator):
        SUPPORTED_EXECUTOR_SPEC_TYPE = [  # noqa: RUF012
            executable_spec_pb2.BeamExecutableSpec if beam else executable_spec_pb2.PythonClassExecutableSpec
        ]
        SUPPORTED_PLATFORM_CONFIG_TYPE: list[Any] = []  # noqa: RUF012

        def run_executor(
            self, execution_info: data_types.ExecutionInfo
        ) -> execution_result_pb2.ExecutorOutput:
            """Waits for a worker to run it."""
            output, seconds = pool.execute(
                node,
                execution_info.to_proto().SerializeToString(),
                self._executor_spec.SerializeToString(),
                beam,
            )
            spent.append(seconds)
            return execution_result_pb2.ExecutorOutput.FromString(output)

    return PooledOperator
