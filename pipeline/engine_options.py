"""Beam's options, kept out of the cache key: what was computed does not depend on where.

TFX hashes a component's executor specification, the engine's options in it. Another port, or one more worker, would
make everything anew. So a launcher is given the specification without them, and its executor operator puts them back.
"""

from __future__ import annotations

from typing import Any

from tfx.orchestration.portable.base_executor_operator import BaseExecutorOperator
from tfx.proto.orchestration import executable_spec_pb2

from components.committed import remove_leftovers
from pipeline.engine_job import on_engine

_OPTIONS = ("beam_pipeline_args", "beam_pipeline_args_placeholders")


def without_engine(spec: Any) -> Any:
    """A component's executor specification as the cache is to see it; one that has no engine as it is."""
    if not isinstance(spec, executable_spec_pb2.BeamExecutableSpec):
        return spec
    bare = executable_spec_pb2.BeamExecutableSpec()
    bare.CopyFrom(spec)
    for name in _OPTIONS:
        bare.ClearField(name)
    return bare


def with_engine(operator: type[BaseExecutorOperator], spec: Any) -> type[BaseExecutorOperator]:
    """An executor operator that executes a specification whatever it is given without its engine.

    The job is watched while it runs on an engine, and what failed attempts left is removed when it has ended well.

    Args:
      operator: that executes.
      spec: whole, of the component that is launched.
    """

    class WithEngine(operator):
        def __init__(self, executor_spec: Any, platform_config: Any = None) -> None:
            super().__init__(spec, platform_config)

        def run_executor(self, execution_info: Any, *args: Any) -> Any:
            options = [arg.value.string_value for arg in spec.beam_pipeline_args_placeholders]
            with on_engine(options):
                output = super().run_executor(execution_info, *args)
            for artifact in (one for artifacts in execution_info.output_dict.values() for one in artifacts):
                remove_leftovers(artifact.uri)
            return output

    return WithEngine
