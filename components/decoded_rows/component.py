"""DecodedRows: Transform's output as memory-mapped columns in an artifact that many trainers share.

Compressed TFRecords must be decoded before a schedule can address rows. In a run with one Trainer it does so itself;
a comparison has dozens.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tfx import types
from tfx.dsl.components.base import base_component, base_executor, executor_spec
from tfx.types import artifact_utils, component_spec, standard_artifacts

from components import progress
from components.committed import committed_files
from components.dataset.declaration import Declaration
from components.decoded_rows.evaluated import write_evaluated
from components.trainer import row_store
from components.transform.row_layout import read_layout

SPLITS = ("train", "eval")


class DecodedRowsSpec(component_spec.ComponentSpec):
    """Inputs, output and parameters of `DecodedRows`."""

    PARAMETERS = {  # noqa: RUF012
        "declaration": component_spec.ExecutionParameter(type=str),
        "code": component_spec.ExecutionParameter(type=str),
    }
    INPUTS = {  # noqa: RUF012
        "transformed_examples": component_spec.ChannelParameter(type=standard_artifacts.Examples),
        "examples": component_spec.ChannelParameter(type=standard_artifacts.Examples),
        "transform_graph": component_spec.ChannelParameter(type=standard_artifacts.TransformGraph),
    }
    OUTPUTS = {  # noqa: RUF012
        "rows": component_spec.ChannelParameter(type=standard_artifacts.Examples),
    }


class DecodedRowsExecutor(base_executor.BaseExecutor):
    """Decodes the training rows, and transforms the evaluation rows as serving does."""

    def Do(  # noqa: N802 - the name is TFX's
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Writes both splits."""
        self._log_startup(input_dict, output_dict, exec_properties)
        declaration = Declaration.from_json(exec_properties["declaration"])
        graph = artifact_utils.get_single_uri(input_dict["transform_graph"])
        layout = read_layout(graph, declaration)
        rows = artifact_utils.get_single_instance(output_dict["rows"])
        rows.split_names = artifact_utils.encode_split_names(list(SPLITS))
        row_store.decode(
            _files(input_dict["transformed_examples"], "train"),
            layout,
            Path(artifact_utils.get_split_uri([rows], "train")),
            lambda done: progress.report(progress.Progress("reading rows", done)),
        )
        write_evaluated(
            _files(input_dict["examples"], "eval"),
            declaration,
            graph,
            layout,
            Path(artifact_utils.get_split_uri([rows], "eval")),
        )


def _files(examples: list[types.Artifact], split: str) -> list[str]:
    return committed_files(artifact_utils.get_split_uri(examples, split))


class DecodedRows(base_component.BaseComponent):
    """Decodes rows once.

    Args:
      transformed_examples: Transform's, with a `train` split.
      examples: the raw ones, with an `eval` split.
      transform_graph: the graph that made the former.
      declaration: the data set's declaration as JSON.
      code: a hash of the code, so that the cache sees code edits.

    Outputs:
      rows: splits `train` and `eval`, one file per column (`components.trainer.row_store`); `eval` also with the
        domain's and the user's values (`components.decoded_rows.evaluated`).
    """

    SPEC_CLASS = DecodedRowsSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(DecodedRowsExecutor)

    def __init__(
        self,
        *,
        transformed_examples: types.BaseChannel,
        examples: types.BaseChannel,
        transform_graph: types.BaseChannel,
        declaration: str,
        code: str,
    ) -> None:
        super().__init__(
            DecodedRowsSpec(
                transformed_examples=transformed_examples,
                examples=examples,
                transform_graph=transform_graph,
                declaration=declaration,
                code=code,
                rows=types.Channel(type=standard_artifacts.Examples),
            )
        )
