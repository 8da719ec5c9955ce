"""DeclaredExampleGen inside TFX: what it hands on, both StatisticsGens read, and find the same; its parameters are its
cache key."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import tensorflow_data_validation as tfdv
from tfx.components.statistics_gen.component import StatisticsGen
from tfx.orchestration import metadata
from tfx.orchestration import pipeline as tfx_pipeline
from tfx.orchestration.local.local_dag_runner import LocalDagRunner
from tfx.types import artifact_utils

from components.dataset.files import data_fingerprint
from components.dataset.schema import declared_schema
from components.errors import InputError
from components.example_gen.component import DeclaredExampleGen
from components.statistics_gen.component import FileStatisticsGen
from pipeline.beam_runner import beam_args
from tests.components.example_gen.small import declare, log_text, write_data


def run(folder: Path, declaration: Any, data: Path) -> DeclaredExampleGen:
    example_gen = DeclaredExampleGen(
        declaration=declaration.to_json(),
        data_dir=str(data),
        fingerprint=data_fingerprint(declaration, str(data)),
    )
    pipeline = tfx_pipeline.Pipeline(
        pipeline_name="ingestion",
        pipeline_root=str(folder / "root"),
        components=[
            example_gen,
            StatisticsGen(examples=example_gen.outputs["examples"]),
            FileStatisticsGen(examples=example_gen.outputs["examples"], code="1").with_id("Files"),
        ],
        metadata_connection_config=metadata.sqlite_metadata_connection_config(str(folder / "metadata.db")),
        beam_pipeline_args=list(beam_args("direct", ["workers=1"])),
        enable_cache=True,
    )
    LocalDagRunner().run(pipeline)
    return example_gen


def outputs(folder: Path, type_name: str) -> list[Any]:
    config = metadata.sqlite_metadata_connection_config(str(folder / "metadata.db"))
    with metadata.Metadata(config) as store:
        [kind] = store.store.get_artifact_types()[:0] or [store.store.get_artifact_type(type_name)]
        found = store.store.get_artifacts_by_type(type_name)
        return [artifact_utils.deserialize_artifact(kind, artifact) for artifact in found]


def test_statistics_gen_reads_the_examples(tmp_path: Path) -> None:
    declaration = declare(tmp_path)
    (tmp_path / "small.pbtxt").write_text("")
    data = write_data(tmp_path, {"log.csv": log_text()})
    run(tmp_path, declaration, data)
    [examples] = outputs(tmp_path, "Examples")
    assert artifact_utils.decode_split_names(examples.split_names) == ["train", "eval"]
    report = json.loads((Path(examples.uri) / "ingest_report.json").read_text())
    assert (report["train"], report["eval"], report["rows_read"]) == (36, 12, 48)
    assert report["first_day"] == "2022-04-25"
    statistics, of_files = sorted(
        outputs(tmp_path, "ExampleStatistics"), key=lambda artifact: "Files" in artifact.uri
    )
    for split, rows in (("train", 36), ("eval", 12)):
        found = tfdv.load_stats_binary(f"{statistics.uri}/Split-{split}/FeatureStats.pb")
        dataset = found.datasets[0]
        assert dataset.num_examples == rows
        names = {feature.path.step[0]: feature for feature in dataset.features}
        assert set(names) == set(declaration.example_columns())
        ours = tfdv.load_stats_binary(f"{of_files.uri}/Split-{split}/FeatureStats.pb").datasets[0]
        assert (ours.num_examples, ours.name) == (dataset.num_examples, dataset.name)
        assert {feature.path.step[0]: feature for feature in ours.features} == names
        # The user 0 is in no table, the user 2 has no age there.
        assert names["age"].num_stats.common_stats.num_missing == rows / 2
        assert tfdv.validate_statistics(found, declared_schema(declaration)).anomaly_info == {}
    assert not list((tmp_path / "root").rglob("hashes"))
    run(tmp_path, declaration, data)
    assert len(outputs(tmp_path, "Examples")) == 1, "an unchanged run comes from the cache"
    (data / "log.csv").write_text(log_text(days=5))
    run(tmp_path, declaration, data)
    assert len(outputs(tmp_path, "Examples")) == 2, "a changed file makes it run again"


def test_an_input_error_comes_out_of_the_executor_as_it_is(tmp_path: Path) -> None:
    declaration = declare(tmp_path)
    data = write_data(tmp_path, {"log.csv": log_text(days=2)})
    with pytest.raises(InputError, match="rows of 2 days"):
        run(tmp_path, declaration, data)
