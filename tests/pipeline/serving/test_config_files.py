"""TensorFlow Serving's configuration files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from components.errors import InputError
from pipeline.serving import config_files
from pipeline.serving.config_files import BatchingParameters, VersionPolicy


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], Path]:
    def write(text: str) -> Path:
        path = tmp_path / "file.config"
        path.write_text(text)
        return path

    return write


def test_batching_parameters(write: Callable[[str], Path]) -> None:
    path = write(
        """
        max_batch_size { value: 128 }            # rows
        batch_timeout_micros { value: 2500 }
        max_enqueued_batches { value: 64 }
        num_batch_threads { value: 3 }
        thread_pool_name { value: "pool" }
        allowed_batch_sizes: 32
        allowed_batch_sizes: 128
        pad_variable_length_inputs: true
        """
    )
    assert config_files.read_batching_parameters(path) == BatchingParameters(
        max_batch_size=128,
        batch_timeout_seconds=0.0025,
        max_enqueued_batches=64,
        num_batch_threads=3,
        allowed_batch_sizes=(32, 128),
        max_execution_batch_size=128,
    )


def test_batching_defaults_are_tensorflow_servings(write: Callable[[str], Path]) -> None:
    parameters = config_files.read_batching_parameters(write(""))
    assert (parameters.max_batch_size, parameters.batch_timeout_seconds) == (1000, 0.0)
    assert parameters.max_enqueued_batches == 10


def test_large_batches_split(write: Callable[[str], Path]) -> None:
    text = "max_batch_size { value: 900 } enable_large_batch_splitting { value: true } "
    parameters = config_files.read_batching_parameters(
        write(text + "max_execution_batch_size { value: 300 } allowed_batch_sizes: 300")
    )
    assert (parameters.split_large, parameters.max_execution_batch_size) == (True, 300)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("max_batch_size { value: many }", "line 1:25"),
        ("batch_size { value: 3 }", 'no field named "batch_size"'),
        ("max_batch_size { value: 0 }", "max_batch_size must be at least 1, got 0"),
        ("batch_timeout_micros { value: -1 }", "batch_timeout_micros must be at least 0"),
        ("max_batch_size { value: 8 } allowed_batch_sizes: 4", r"end with max_batch_size \(8\), got \[4\]"),
        ("max_batch_size { value: 8 } allowed_batch_sizes: [8, 4, 8]", "must increase"),
        ("max_batch_size { value: 8 } max_execution_batch_size { value: 9 }", "must not exceed"),
    ],
)
def test_wrong_batching_parameters(write: Callable[[str], Path], text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        config_files.read_batching_parameters(write(text))


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        config_files.read_batching_parameters(tmp_path / "none")


def test_monitoring(write: Callable[[str], Path]) -> None:
    assert config_files.read_metrics_path(write("")) is None
    on = write("prometheus_config { enable: true }")
    assert config_files.read_metrics_path(on) == "/monitoring/prometheus/metrics"
    named = write('prometheus_config { enable: true, path: "/metrics" }')
    assert config_files.read_metrics_path(named) == "/metrics"


def test_models(write: Callable[[str], Path]) -> None:
    path = write(
        """
        model_config_list {
          config {
            name: "a" base_path: "/models/a" model_platform: "tensorflow"
            model_version_policy { specific { versions: 4 versions: 5 } }
            version_labels { key: "stable" value: 4 }
            version_labels { key: "canary" value: 5 }
          }
          config { name: "b" base_path: "/models/b" model_version_policy { latest { num_versions: 2 } } }
          config { name: "c" base_path: "/models/c" model_version_policy { all {} } }
          config { name: "d" base_path: "/models/d" }
        }
        """
    )
    models = config_files.read_model_configs(path)
    assert [model.policy for model in models] == [
        VersionPolicy("specific", specific=(4, 5)),
        VersionPolicy("latest", latest=2),
        VersionPolicy("all"),
        VersionPolicy("latest", latest=1),
    ]
    assert models[0].labels == (("canary", 5), ("stable", 4))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "names no model"),
        ('model_config_list { config { name: "a" } }', "needs a name and a base_path"),
        (
            'model_config_list { config { name: "a" base_path: "/a" model_platform: "torch" } }',
            'must be "tensorflow"',
        ),
        (
            'model_config_list { config { name: "a" base_path: "/a" } config { name: "a" base_path: "/b" } }',
            "same name",
        ),
        (
            'model_config_list { config { name: "a" base_path: "/a" model_version_policy { specific {} } } }',
            "specific versions",
        ),
    ],
)
def test_wrong_models(write: Callable[[str], Path], text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        config_files.read_model_configs(write(text))
