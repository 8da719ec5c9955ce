"""One Transform output of a data set, and views of it that have some of its averages only."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from google.protobuf import json_format
from tfx.dsl.components.base.base_beam_executor import BaseBeamExecutor
from tfx.proto import transform_pb2
from tfx.types import standard_artifacts
from tfx.utils import json_utils

from components.dataset.declaration import Declaration
from components.errors import InputError
from components.example_gen.executor import Executor as ExampleGen
from components.trainer import row_store
from components.transform.executor import StatefulExecutor
from components.transform.row_layout import read_layout
from models.arrays import Array
from models.features import FeatureLayout
from models.rows import RowSource
from pipeline.beam_runner import beam_args

DONE = "transformed"


class SelectedRows:
    """Rows with some columns of `averages` and with or without `history`.

    Args:
      source: the whole rows.
      columns: which columns of `averages` are kept.
      history: whether there is a history.
    """

    def __init__(self, source: RowSource, columns: Array, history: bool) -> None:
        self._source, self._columns, self._history = source, columns, history
        self.domain, self.label = source.domain, source.label

    def gather(self, indices: Array) -> dict[str, Array]:
        """The row tensors of indices of any shape."""
        rows = self._source.gather(indices)
        if not self._history:
            rows.pop("history", None)
        if len(self._columns):
            rows["averages"] = rows["averages"][..., self._columns]
        else:
            rows.pop("averages", None)
        return rows


def selection(layout: FeatureLayout, keys: Sequence[str], history: bool) -> tuple[FeatureLayout, Array]:
    """The layout with the averages of these keys alone, and where they stand among all averages."""
    columns = [i for i, name in enumerate(layout.averages) if name.rpartition(".")[0] in keys]
    names = tuple(layout.averages[i] for i in columns)
    chosen = dataclasses.replace(layout, averages=names, history=layout.history if history else ())
    return chosen, np.array(columns, int)


def key_names(layout: FeatureLayout) -> list[str]:
    """The keys that a layout has averages of, `domain` first."""
    return list(dict.fromkeys(name.rpartition(".")[0] for name in layout.averages))


def prepare(
    declaration: Declaration, data: Path, folder: Path, scratch: Path
) -> tuple[FeatureLayout, row_store.RowStore, row_store.RowStore]:
    """Runs ExampleGen and Transform, unless `folder` has their output already, and decodes both splits.

    Args:
      declaration: the data set.
      data: its files.
      folder: where everything is written.
      scratch: where rows are decoded to; they are read from there.

    Returns:
      The layout, the training rows and the rows to evaluate.
    """
    if not (folder / DONE).exists():
        _run(declaration, data, folder)
        (folder / DONE).touch()
    layout = read_layout(folder / "graph", declaration)
    splits = []
    for split in ("train", "eval"):
        files = sorted(str(path) for path in (folder / "rows" / f"Split-{split}").glob("*.gz"))
        splits.append(row_store.decode(files, layout, scratch / split))
    return layout, splits[0], splits[1]


def _run(declaration: Declaration, data: Path, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    context = BaseBeamExecutor.Context(
        beam_pipeline_args=list(beam_args("direct", ["workers=1"])),
        tmp_dir=str(folder / "tmp"),
        unique_id="1",
    )
    examples, schema = standard_artifacts.Examples(), standard_artifacts.Schema()
    graph, rows = standard_artifacts.TransformGraph(), standard_artifacts.Examples()
    places = {"examples": examples, "schema": schema, "graph": graph, "rows": rows}
    for name, artifact in places.items():
        artifact.uri = str(folder / name)
    ExampleGen(context).Do(
        {}, {"examples": [examples]}, {"declaration": declaration.to_json(), "data_dir": str(data)}
    )
    events = ["events"] if declaration.events else []
    examples.split_names = json.dumps(["train", "eval", *events])
    (folder / "schema").mkdir(exist_ok=True)
    checked_in = declaration.schema_path()
    if checked_in is None:
        raise InputError(f"{declaration.name}: put its schema (.pbtxt) beside the declaration")
    (folder / "schema" / "schema.pbtxt").write_bytes(checked_in.read_bytes())
    splits = transform_pb2.SplitsConfig(analyze=["train", *events], transform=["train", "eval"])
    StatefulExecutor(context).Do(
        {"examples": [examples], "schema": [schema]},
        {"transform_graph": [graph], "transformed_examples": [rows]},
        {
            "splits_config": json_format.MessageToJson(splits),
            "custom_config": json_utils.dumps({"declaration": declaration.to_json()}),
        },
    )
