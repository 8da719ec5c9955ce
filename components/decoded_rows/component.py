"""DecodedRows: Transform's output as memory-mapped columns in an artifact that many trainers share.

Compressed TFRecords must be decoded before a schedule can address rows. In a run with one Trainer it does so itself;
a comparison has dozens.
"""

from pathlib import Path

from tfx import types
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types import artifact_utils, standard_artifacts

from components import progress
from components.committed import committed_files
from components.dataset.declaration import Declaration
from components.decoded_rows.evaluated import write_evaluated
from components.trainer import row_store
from components.transform.row_layout import read_layout

SPLITS = ("train", "eval")


@component
def DecodedRows(  # noqa: N802 - the component's name
    transformed_examples: InputArtifact[standard_artifacts.Examples],
    examples: InputArtifact[standard_artifacts.Examples],
    transform_graph: InputArtifact[standard_artifacts.TransformGraph],
    rows: OutputArtifact[standard_artifacts.Examples],
    declaration: Parameter[str],
    code: Parameter[str],
) -> None:
    """Decodes the training rows, and transforms the evaluation rows as serving does, once for many trainers.

    Args:
      transformed_examples: Transform's, with a `train` split.
      examples: the raw ones, with an `eval` split.
      transform_graph: the graph that made the former.
      rows: gets splits `train` and `eval`, one file per column (`components.trainer.row_store`); `eval` also with the
        domain's and the user's values (`components.decoded_rows.evaluated`).
      declaration: the data set's declaration as JSON.
      code: a hash of the code, so that the cache sees code edits.
    """
    declared = Declaration.from_json(declaration)
    layout = read_layout(transform_graph.uri, declared)
    rows.split_names = artifact_utils.encode_split_names(list(SPLITS))
    row_store.decode(
        _files(transformed_examples, "train"),
        layout,
        Path(artifact_utils.get_split_uri([rows], "train")),
        lambda done: progress.report(progress.Progress("reading rows", done)),
    )
    write_evaluated(
        _files(examples, "eval"),
        declared,
        transform_graph.uri,
        layout,
        Path(artifact_utils.get_split_uri([rows], "eval")),
    )


def _files(examples: types.Artifact, split: str) -> list[str]:
    return committed_files(artifact_utils.get_split_uri([examples], split))
