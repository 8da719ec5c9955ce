"""The same command gives the same model: examples, features, averages, weights and figures, byte by byte."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tests.e2e.conftest import SMALL, Run, dfei

pytestmark = pytest.mark.slow

# What a figure depends on beside the data: where the run lies, and when and how fast it was.
OF_THE_RUN = ("pushed_to", "seconds", "created", "cpu_seconds", "peak_memory_mb", "rows_per_second")


def contents(root: Path) -> dict[str, Any]:
    """What two runs must have in common, by name: files as bytes, tables and weights as arrays, figures as text."""
    artifacts = root / "artifacts"
    patterns = (
        "DeclaredExampleGen/examples/*/*/*",
        "StatisticsGen/statistics/*/*/FeatureStats.pb",
        "Transform/transformed_examples/*/*/*",
        "Transform/state/*/*",
        "Transform/transform_graph/*/transform_fn/assets/*",
        "Trainer/model/*/Format-Serving/assets/*",
    )
    found: dict[str, Any] = {
        str(path.relative_to(root)): path.read_bytes()
        for pattern in patterns
        for path in artifacts.glob(pattern)
    }
    for variables in artifacts.glob("*/*/*/*/variables/variables.index"):
        reader = tf.train.load_checkpoint(str(variables.with_suffix("")))
        for name in reader.get_variable_to_shape_map():
            if not name.startswith("_"):
                found[f"{variables.parent.relative_to(root)}/{name}"] = np.asarray(
                    reader.get_tensor(name)
                ).tobytes()
    metrics = json.loads((root / "metrics.json").read_text())
    return found | {"metrics": json.dumps(without_the_run(metrics), sort_keys=True)}


def without_the_run(document: Any) -> Any:
    """A document without what belongs to the run alone."""
    if isinstance(document, dict):
        return {name: without_the_run(value) for name, value in document.items() if name not in OF_THE_RUN}
    return document


def test_a_second_run_ends_with_the_same_bytes(small_run: Run, tmp_path: Path) -> None:
    # Of so few rows no component has worker processes: `tests/pipeline/test_beam_workers.py` has those.
    sets = [part for setting in SMALL for part in ("--set", setting)]
    done = dfei("run", "--dataset", "simulated", "--data", small_run.data, "--root", tmp_path / "root", *sets)
    assert done.code == 0, done.text
    first, second = contents(small_run.root), contents(tmp_path / "root")
    assert len(first) > 40
    assert first.keys() == second.keys()
    assert [name for name in first if first[name] != second[name]] == []
