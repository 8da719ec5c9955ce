"""What both stacks must give, whichever runs this test."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from components import stack
from pipeline.beam_runner import beam_args


def test_the_stack_is_named_with_its_versions() -> None:
    assert re.fullmatch(r"tfx-1-\d+-\d+-python-3-1[123]-\d+", stack.label())
    assert re.fullmatch(r"TFX 1\.\d+\.\d+, TensorFlow 2\.\d+\.\d+, Python 3\.1[123]\.\d+", stack.name())


@pytest.mark.parametrize("first", ["tensorflow_model_analysis", "tfx.components.evaluator.component"])
def test_tfma_has_the_names_of_its_messages_whatever_is_imported_first(first: str) -> None:
    code = (
        f"import components, importlib; importlib.import_module({first!r})\n"
        "import tensorflow_model_analysis as tfma\n"
        "from tensorflow_model_analysis.proto import config_pb2\n"
        "for name in config_pb2.DESCRIPTOR.message_types_by_name:\n"
        "    assert getattr(tfma, name) is getattr(config_pb2, name), name\n"
        "assert len(config_pb2.DESCRIPTOR.message_types_by_name) > 20\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("pattern", ["**.csv", "logs/**x/a.csv"])
def test_two_stars_are_a_whole_part_or_a_mistake(tmp_path: Path, pattern: str) -> None:
    with pytest.raises(ValueError, match="entire path component"):
        list(stack.glob(tmp_path, pattern))


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("**", {".", "logs", "logs/days"}),
        ("logs/**", {"logs", "logs/days"}),
        ("**/*", {"a.csv", "logs", "logs/b.csv", "logs/days", "logs/days/c.txt"}),
        ("**/*.csv", {"a.csv", "logs/b.csv"}),
        ("*.csv", {"a.csv"}),
    ],
)
def test_a_glob_finds_the_same_in_every_python(tmp_path: Path, pattern: str, expected: set[str]) -> None:
    (tmp_path / "logs" / "days").mkdir(parents=True)
    for name in ("a.csv", "logs/b.csv", "logs/days/c.txt"):
        (tmp_path / name).touch()
    assert {str(path.relative_to(tmp_path)) for path in stack.glob(tmp_path, pattern)} == expected


def test_the_local_runner_exists_in_beam() -> None:
    from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions
    from apache_beam.runners.portability.fn_api_runner import FnApiRunner
    from apache_beam.runners.runner import create_runner

    options = PipelineOptions(list(beam_args("direct", ["workers=1"])))
    assert isinstance(create_runner(options.view_as(StandardOptions).runner), FnApiRunner)
