"""DeclaredExampleGen: a TFX component that ingests whatever a declaration describes."""

from __future__ import annotations

from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.types import channel_utils, standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from components.example_gen.executor import EXAMPLES, Executor


class DeclaredExampleGenSpec(ComponentSpec):
    """Parameters and output of DeclaredExampleGen."""

    PARAMETERS = {  # noqa: RUF012 - TFX reads the class attribute
        "declaration": ExecutionParameter(type=str),
        "data_dir": ExecutionParameter(type=str),
        "fingerprint": ExecutionParameter(type=str),
    }
    INPUTS: dict[str, ChannelParameter] = {}  # noqa: RUF012
    OUTPUTS = {EXAMPLES: ChannelParameter(type=standard_artifacts.Examples)}  # noqa: RUF012


class DeclaredExampleGen(base_beam_component.BaseBeamComponent):
    """Reads impressions and lookups, drops exact duplicates, splits by time, writes tf.Examples.

    It has no driver of its own: what the files hold enters the cache key through `fingerprint`, so the component
    compiles for any orchestrator.

    Args:
      declaration: `Declaration.to_json()`.
      data_dir: the folder with the data set's files.
      fingerprint: `components.dataset.files.data_fingerprint(declaration, data_dir)`, and whatever else must make the
        component run again.

    Outputs:
      examples: splits `train` and `eval`, one tf.Example for each impression (see
        `Declaration.example_columns`), and `ingest_report.json` in the artifact's folder.
    """

    SPEC_CLASS = DeclaredExampleGenSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)

    def __init__(self, declaration: str, data_dir: str, fingerprint: str) -> None:
        spec = DeclaredExampleGenSpec(
            declaration=declaration,
            data_dir=data_dir,
            fingerprint=fingerprint,
            examples=channel_utils.as_channel([standard_artifacts.Examples()]),
        )
        super().__init__(spec=spec)
