"""Runs Transform's executor over small splits, and reads what it writes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from google.protobuf import json_format, text_format
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx.dsl.components.base.base_beam_executor import BaseBeamExecutor
from tfx.proto import transform_pb2
from tfx.types import standard_artifacts
from tfx.utils import json_utils

from components.dataset.declaration import Declaration
from components.example_files import ExampleWriter, read_batches
from components.transform.component import BehaviourStateArtifact
from components.transform.executor import StatefulExecutor
from pipeline.beam_runner import beam_args

_TYPES = {"int": schema_pb2.INT, "float": schema_pb2.FLOAT, "string": schema_pb2.BYTES}

Row = Mapping[str, Any]


def declaration(**changes: Any) -> Declaration:
    """A small declaration with every treatment; top-level sections are replaced by `changes`."""
    document: dict[str, Any] = {
        "name": "small",
        "impressions": {"files": ["log.csv"]},
        "label": "click",
        "domain": "tab",
        "user": "user",
        "item": "item",
        "timestamp": {"column": "time", "unit": "ms"},
        "columns": {"click": "int", "like": "int"},
        "behaviours": {"click": {"column": "click"}, "like": {"column": "like"}},
        "post_exposure": ["click", "like"],
        "features": {
            "tab": {"type": "int", "treatment": "vocabulary"},
            "user": {
                "type": "int",
                "treatment": "vocabulary",
                "min_count": 2,
                "max_size": 3,
                "oov_buckets": 2,
            },
            "item": {"type": "string", "treatment": "vocabulary"},
            "tag": {"type": "string", "treatment": "vocabulary", "separator": ",", "max_length": 3},
            "age": {"type": "float", "treatment": "normalise"},
            "fans": {"type": "float", "treatment": "log_normalise"},
            "height": {"type": "float", "treatment": "buckets", "buckets": 4},
            "share": {"type": "float", "treatment": "as_is"},
        },
    }
    document.update(changes)
    return Declaration.model_validate(document)


def schema_of(declared: Declaration) -> schema_pb2.Schema:
    """The TFMD schema of the declaration's examples."""
    schema = schema_pb2.Schema()
    for name, type_ in declared.example_columns().items():
        feature = schema.feature.add(name=name, type=_TYPES[type_])
        listed = name in declared.features and declared.features[name].is_list
        feature.value_count.min, feature.value_count.max = 0, 100 if listed else 1
    return schema


def encode(row: Row, types: Mapping[str, str]) -> bytes:
    """A row as serialized `tf.Example`; `None` and absent names have no value, lists several. Names without a type,
    which an oracle may read, are left out."""
    example = tf.train.Example()
    for name, value in row.items():
        if value is None or name not in types:
            continue
        values = list(value) if isinstance(value, list | tuple | np.ndarray) else [value]
        feature = example.features.feature[name]
        if types[name] == "int":
            feature.int64_list.value.extend(int(v) for v in values)
        elif types[name] == "float":
            feature.float_list.value.extend(float(v) for v in values)
        else:
            feature.bytes_list.value.extend(str(v).encode() for v in values)
    return example.SerializeToString()


def write_split(folder: Path, files: Sequence[Iterable[bytes]]) -> None:
    """Writes one gzipped TFRecord file per element of `files`."""
    folder.mkdir(parents=True)
    for number, records in enumerate(files):
        path = folder / f"data-{number:05d}-of-{len(files):05d}.gz"
        with tf.io.TFRecordWriter(str(path), "GZIP") as writer:
            for record in records:
                writer.write(record)


def add_columns(folder: Path) -> None:
    """Writes the files of a split again as ExampleGen does, their columns beside the examples."""
    for path in sorted(folder.glob("*.gz")):
        batches = list(read_batches(str(path)))
        writer = ExampleWriter(str(path))
        for batch in batches:
            writer.write(batch)
        writer.close()


def run_transform(
    folder: Path,
    declared: Declaration,
    train: Sequence[Iterable[bytes]],
    evaluation: Sequence[Iterable[bytes]],
    columns: bool = False,
    **options: Any,
) -> Path:
    """Runs Transform as the pipeline does, with the `options` of `execute`, on examples alone or on their `columns`.
    Returns the folder of the `transform_graph` artifact."""
    examples = standard_artifacts.Examples()
    examples.uri = str(folder / "examples")
    examples.split_names = '["train", "eval"]'
    write_split(folder / "examples" / "Split-train", train)
    write_split(folder / "examples" / "Split-eval", evaluation)
    for split in ("train", "eval") if columns else ():
        add_columns(folder / "examples" / f"Split-{split}")
    return execute(folder, declared, examples, schema_of(declared), **options)


def execute(
    folder: Path,
    declared: Declaration,
    examples: standard_artifacts.Examples,
    schema: schema_pb2.Schema,
    prior: Path | None = None,
    one_day: bool = False,
    workers: int = 1,
) -> Path:
    """Runs Transform's executor on an Examples artifact, after the state in the folder `prior`; its own goes to the
    folder `state`."""
    schema_artifact = standard_artifacts.Schema()
    schema_artifact.uri = str(folder / "schema")
    (folder / "schema").mkdir(parents=True)
    (folder / "schema" / "schema.pbtxt").write_text(text_format.MessageToString(schema))
    graph, transformed = standard_artifacts.TransformGraph(), standard_artifacts.Examples()
    graph.uri, transformed.uri = str(folder / "graph"), str(folder / "transformed")
    daily = one_day or declared.moving_average.eval_state == "daily"
    states = [BehaviourStateArtifact(), BehaviourStateArtifact()]
    states[0].uri, states[1].uri = str(prior), str(folder / "state")
    analyze = ["train", "eval"] if daily else ["train"]
    splits = transform_pb2.SplitsConfig(analyze=analyze, transform=["train", "eval"])
    StatefulExecutor(
        BaseBeamExecutor.Context(
            beam_pipeline_args=list(beam_args("direct", [f"workers={workers}"])),
            tmp_dir=str(folder / "tmp"),
            unique_id="1",
        )
    ).Do(
        {
            "examples": [examples],
            "schema": [schema_artifact],
            **({} if prior is None else {"prior_state": states[:1]}),
        },
        {"transform_graph": [graph], "transformed_examples": [transformed], "state": states[1:]},
        {
            "splits_config": json_format.MessageToJson(splits),
            "custom_config": json_utils.dumps({"declaration": declared.to_json(), "one_day": one_day}),
        },
    )
    return folder / "graph"


def read_split(folder: Path, split: str) -> dict[str, np.ndarray]:
    """The transformed rows of a split as arrays, in file order."""
    files = sorted(str(path) for path in (folder / "transformed" / f"Split-{split}").glob("*.gz"))
    columns: dict[str, list[np.ndarray]] = {}
    for record in tf.data.TFRecordDataset(files, "GZIP").as_numpy_iterator():
        example = tf.train.Example.FromString(record)
        for name, feature in example.features.feature.items():
            kind = feature.WhichOneof("kind")
            columns.setdefault(name, []).append(np.array(getattr(feature, kind).value))
    return {name: np.stack(values) for name, values in columns.items()}


def contents(folder: Path) -> dict[str, bytes]:
    """What a run of Transform leaves that must not differ from another's: rows, state and assets, as bytes, and the
    variables of the graph. A SavedModel has the names of its functions numbered through the process."""
    files = [
        *folder.glob("transformed/*/*"),
        *folder.glob("state/*"),
        *folder.glob("graph/transform_fn/assets/*"),
    ]
    found = {str(path.relative_to(folder)): path.read_bytes() for path in files}
    variables = tf.train.load_checkpoint(str(folder / "graph" / "transform_fn" / "variables" / "variables"))
    names = [name for name in variables.get_variable_to_shape_map() if not name.startswith("_")]
    return found | {name: variables.get_tensor(name).tobytes() for name in names}
