"""The local runner: the components one after another in this process, on Beam's direct runner.

TFX's LocalDagRunner says nothing while it runs and nothing afterwards of what it ran, what it took from the cache
and what came out; this one tells a listener and returns it. What it does to the metadata store is the same.
"""

from __future__ import annotations

import datetime
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ml_metadata.proto import metadata_store_pb2
from tfx.dsl.compiler import constants
from tfx.orchestration.local import runner_utils
from tfx.orchestration.portable import launcher, runtime_parameter_utils, tfx_runner
from tfx.orchestration.portable.beam_executor_operator import BeamExecutorOperator
from tfx.orchestration.portable.mlmd import execution_lib
from tfx.proto.orchestration import executable_spec_pb2, pipeline_pb2
from tfx.types import Artifact

from components.errors import InputError
from pipeline import local_workers
from pipeline.engine_options import with_engine, without_engine
from pipeline.events import NodeRun, NodeStarted
from pipeline.memory import PeakMemory
from pipeline.metadata_texts import open_metadata

Listener = Callable[[NodeStarted | NodeRun], None]


class LocalRunner(tfx_runner.IrBasedRunner):
    """Runs a pipeline and keeps what happened in `runs`, by component id.

    Args:
      listener: called when a component begins and when it has ended.
    """

    def __init__(self, listener: Listener = lambda event: None) -> None:
        self._listener = listener
        self.runs: dict[str, NodeRun] = {}

    def run_with_ir(self, pipeline: pipeline_pb2.Pipeline, run_options: Any = None, **_: Any) -> None:
        """Runs the compiled pipeline.

        Raises:
          InputError: an artifact that the cache refers to has been deleted.
          RuntimeError: a component could not be given its inputs.
          Exception: whatever a component raises; what ended before it is kept and cached.
        """
        runtime_parameter_utils.substitute_runtime_parameter(
            pipeline, {constants.PIPELINE_RUN_ID_PARAMETER_NAME: datetime.datetime.now().isoformat()}
        )
        deployment = runner_utils.extract_local_deployment_config(pipeline)
        connection = getattr(
            deployment.metadata_connection_config,
            deployment.metadata_connection_config.WhichOneof("connection_config"),
        )
        nodes = [node.pipeline_node for node in pipeline.nodes]
        for position, node in enumerate(nodes, 1):
            node_id = node.node_info.id
            self._listener(NodeStarted(node_id, position, len(nodes)))
            begun, cpu_begun = time.monotonic(), cpu_seconds()
            spec = runner_utils.extract_executor_spec(deployment, node_id)
            with PeakMemory() as memory:
                info = launcher.Launcher(
                    pipeline_node=node,
                    mlmd_connection=open_metadata(connection),
                    pipeline_info=pipeline.pipeline_info,
                    pipeline_runtime_spec=pipeline.runtime_spec,
                    executor_spec=without_engine(spec),
                    custom_driver_spec=runner_utils.extract_custom_driver_spec(deployment, node_id),
                    custom_executor_operators={
                        executable_spec_pb2.BeamExecutableSpec: with_engine(BeamExecutorOperator, spec)
                    },
                ).launch()
            if info is None or info.execution_id is None:
                # What it stands under does not hold: TFX leaves it out.
                continue
            cached, outputs = outcome(connection, node_id, info)
            self.runs[node_id] = NodeRun(
                node_id,
                cached,
                time.monotonic() - begun,
                cpu_seconds() - cpu_begun,
                outputs,
                memory.megabytes,
                seconds_when_it_ran(connection, outputs) if cached else None,
            )
            self._listener(self.runs[node_id])


def cpu_seconds() -> float:
    """Processor seconds of this process and those it started and waited for."""
    times = os.times()
    return (
        times.user + times.system + times.children_user + times.children_system + local_workers.cpu_seconds()
    )


def outcome(connection: Any, node_id: str, info: Any) -> tuple[bool, dict[str, list[Artifact]]]:
    """Whether the execution was cached, and its outputs, as the metadata store has them."""
    if info is None or info.execution_id is None:
        return False, {}
    with open_metadata(connection) as store:
        [execution] = store.store.get_executions_by_id([info.execution_id])
        if not execution_lib.is_execution_successful(execution):
            raise RuntimeError(f"{node_id} did not run: its inputs could not be resolved")
        outputs = execution_lib.get_output_artifacts(store, info.execution_id)
    cached = execution.last_known_state == metadata_store_pb2.Execution.CACHED
    for artifact in (artifact for artifacts in outputs.values() for artifact in artifacts):
        if cached and "://" not in artifact.uri and not Path(artifact.uri).exists():
            raise InputError(
                f"{artifact.uri} is gone, but the metadata store still names it as a result of {node_id}: "
                "give another --root, or delete this one as a whole; with --metadata, give a root on a disk that all "
                "who share the metadata see, or another database"
            )
    return cached, {key: list(artifacts) for key, artifacts in outputs.items()}


def seconds_when_it_ran(connection: Any, outputs: Mapping[str, Sequence[Artifact]]) -> float | None:
    """Wall-clock seconds of the execution that made these artifacts, by the metadata store; None where it has none."""
    made = [artifact.id for artifacts in outputs.values() for artifact in artifacts]
    if not made:
        return None
    with open_metadata(connection) as store:
        events = store.store.get_events_by_artifact_ids(made)
        ids = {event.execution_id for event in events if event.type == metadata_store_pb2.Event.OUTPUT}
        found = [
            execution
            for execution in store.store.get_executions_by_id(sorted(ids))
            if execution.last_known_state == metadata_store_pb2.Execution.COMPLETE
        ]
    if not found:
        return None
    first = min(found, key=lambda execution: int(execution.id))
    return float(first.last_update_time_since_epoch - first.create_time_since_epoch) / 1000
