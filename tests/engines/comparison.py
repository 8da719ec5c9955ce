"""Runs the Beam components of a finished run once more, on another engine, and compares what comes out.

The run was made on the direct runner. Each component gets the very inputs and properties that the metadata store has
of it, so that the engine is all that differs.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from ml_metadata.proto import metadata_store_pb2
from tfx.dsl.components.base import base_beam_executor
from tfx.orchestration import metadata
from tfx.orchestration.portable.mlmd import execution_lib
from tfx.types import Artifact

from components.evaluator.reading import read_evaluation
from components.example_gen.executor import REPORT_FILE
from components.transform.domain_curves import read_domain_curves
from components.transform.row_layout import read_summary
from pipeline.engine_job import on_engine

# Sums of doubles in another order, then float32.
TOLERANCE = 1e-6


@dataclasses.dataclass(frozen=True)
class Twice:
    """What a component left on the direct runner, and on the other engine: folders by output."""

    direct: dict[str, Path]
    engine: dict[str, Path]


def run_again(root: Path, component: str, beam_args: Sequence[str], target: Path) -> Twice:
    """Runs the executor of one component, named by its class, of the run in `root` with other options for Beam."""
    connection = metadata.sqlite_metadata_connection_config(str(root / "metadata.sqlite"))
    with metadata.Metadata(connection) as store:
        [kind] = [t for t in store.store.get_execution_types() if t.name.rpartition(".")[2] == component]
        complete = metadata_store_pb2.Execution.COMPLETE
        executions = store.store.get_executions_by_type(kind.name)
        [execution] = [e for e in executions if e.last_known_state == complete]
        inputs = execution_lib.get_input_artifacts(store, execution.id)
        outputs = execution_lib.get_output_artifacts(store, execution.id)
    direct = {key: Path(artifact.uri) for key, [artifact] in outputs.items()}
    moved = {key: [_moved(artifact, target / key)] for key, [artifact] in outputs.items()}
    properties = {name: _value(value) for name, value in execution.custom_properties.items()}
    context = base_beam_executor.BaseBeamExecutor.Context(
        beam_pipeline_args=list(beam_args), unique_id="1", tmp_dir=str(target / "tmp")
    )
    module, _, name = kind.name.rpartition(".")
    spec = getattr(importlib.import_module(module), name).EXECUTOR_SPEC
    with on_engine(beam_args):
        spec.executor_class(context).Do(inputs, moved, properties)
    return Twice(direct, {key: Path(artifact.uri) for key, [artifact] in moved.items()})


def _moved(artifact: Artifact, folder: Path) -> Artifact:
    copy = type(artifact)()
    copy.uri = str(folder)
    folder.mkdir(parents=True)
    return copy


def _value(value: Any) -> Any:
    return getattr(value, value.WhichOneof("value"))


def compare(root: Path, beam_args: Sequence[str], target: Path) -> None:
    """ExampleGen, StatisticsGen, Transform with its averages and Evaluator give on the engine what they gave before."""
    _same_examples(run_again(root, "DeclaredExampleGen", beam_args, target / "example_gen"))
    _same_statistics(run_again(root, "FileStatisticsGen", beam_args, target / "statistics_gen"))
    _same_transform(run_again(root, "StatefulTransform", beam_args, target / "transform"))
    _same_evaluation(run_again(root, "FileEvaluator", beam_args, target / "evaluator"))


def _same_examples(twice: Twice) -> None:
    reports = [
        json.loads((side["examples"] / REPORT_FILE).read_text()) for side in (twice.direct, twice.engine)
    ]
    assert reports[0] == reports[1]
    for split in ("train", "eval"):
        first, second = (
            sorted(_records(side["examples"] / f"Split-{split}")) for side in (twice.direct, twice.engine)
        )
        assert len(first) == reports[0][split] > 0
        assert first == second


def _records(folder: Path) -> list[bytes]:
    files = sorted(map(str, folder.iterdir()))
    dataset = tf.data.TFRecordDataset(files, compression_type="GZIP")
    # Protobuf writes a map in an order of each process's own: compare what is said, not how.
    return [
        tf.train.Example.FromString(record).SerializeToString(deterministic=True)
        for record in dataset.as_numpy_iterator()
    ]


def _same_statistics(twice: Twice) -> None:
    for split in ("train", "eval"):
        first, second = (
            (side["statistics"] / f"Split-{split}" / "FeatureStats.pb").read_bytes()
            for side in (twice.direct, twice.engine)
        )
        assert first == second and len(first) > 1000


def _same_transform(twice: Twice) -> None:
    graphs = [side["transform_graph"] for side in (twice.direct, twice.engine)]
    first, second = (read_domain_curves(graph) for graph in graphs)
    assert (first.domains, first.buckets, first.behaviours) == (
        second.domains,
        second.buckets,
        second.behaviours,
    )
    np.testing.assert_array_equal(first.rows, second.rows)
    np.testing.assert_allclose(first.averages, second.averages, rtol=TOLERANCE, atol=TOLERANCE)
    _same_values(*(read_summary(graph) for graph in graphs))
    for split in ("train", "eval"):
        rows = [
            _transformed(side["transformed_examples"] / f"Split-{split}")
            for side in (twice.direct, twice.engine)
        ]
        assert len(rows[0]) == len(rows[1]) > 0
        # Rounded less finely than the tolerance, so that equal rows come to lie side by side.
        ordered = [sorted(side, key=lambda row: (row[0], np.round(row[1], 3).tolist())) for side in rows]
        for (names, values), (other_names, other_values) in zip(*ordered, strict=True):
            assert names == other_names
            np.testing.assert_allclose(values, other_values, rtol=1e-5, atol=1e-5)


def _transformed(folder: Path) -> list[tuple[tuple[Any, ...], np.ndarray]]:
    """Of each row, all that is a whole number or a text, and all that is a float."""
    rows = []
    for record in _records(folder):
        features = tf.train.Example.FromString(record).features.feature
        exact: list[Any] = []
        floats: list[float] = []
        for name in sorted(features):
            kind = features[name].WhichOneof("kind")
            if kind == "float_list":
                floats += features[name].float_list.value
            elif kind is not None:
                exact.append((name, *getattr(features[name], kind).value))
        rows.append((tuple(exact), np.array(floats)))
    return rows


def _same_evaluation(twice: Twice) -> None:
    first, second = (
        read_evaluation(str(side["evaluation"])).model_dump() for side in (twice.direct, twice.engine)
    )
    _same_values(first, second)


def _same_values(first: Any, second: Any, place: str = "") -> None:
    """Equal, floats up to the tolerance."""
    if isinstance(first, dict):
        assert set(first) == set(second), place
        for key in first:
            _same_values(first[key], second[key], f"{place}.{key}")
    elif isinstance(first, (list, tuple)):
        assert len(first) == len(second), place
        for i, (a, b) in enumerate(zip(first, second, strict=True)):
            _same_values(a, b, f"{place}[{i}]")
    elif isinstance(first, float) and isinstance(second, float):
        np.testing.assert_allclose(first, second, rtol=1e-5, atol=TOLERANCE, err_msg=place)
    else:
        assert first == second, place
