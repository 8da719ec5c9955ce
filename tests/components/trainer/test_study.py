"""The Trainer's study of its model: on the evaluation rows, by the function that is exported."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from components import progress
from components.dataset.loader import load_declaration
from components.trainer import training
from components.trainer.row_store import decode
from tests.components.trainer.test_row_store import LAYOUT, _write


def test_the_study_reads_the_evaluation_rows_and_asks_the_exported_function(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _write(tmp_path / "train.gz", 120)
    _write(tmp_path / "eval.gz", 40)
    asked = []

    def predict_transformed(rows: dict[str, tf.Tensor], domain: tf.Tensor) -> tf.Tensor:
        asked.append(int(domain.shape[0]))
        return tf.sigmoid(rows["numeric"][:, 0] / 40)

    rows = decode([str(tmp_path / "train.gz")], LAYOUT, tmp_path / "train rows")
    inputs = SimpleNamespace(
        layout=LAYOUT,
        declaration=load_declaration(
            "simulated", ["model.layers=[4]", "training.validation_min_rows=5", "report.rows=1000"]
        ),
        rows=rows,
        train=rows,
        validation=rows,
    )
    fn_args = SimpleNamespace(
        train_files=[str(tmp_path / "train*.gz")],
        eval_files=[str(tmp_path / "eval*.gz")],
        transform_graph_path="",
    )
    monkeypatch.setattr(training, "read_summary", lambda path: {"vocabularies": {"user": 8}})
    steps: list[str] = []
    with progress.listening(lambda event: steps.append(event.step)):
        found = training._study(
            fn_args, inputs, SimpleNamespace(predict_transformed=predict_transformed), tmp_path
        )
    assert (found.rows, found.of) == (40, 40)
    assert asked[0] == 40
    assert {baseline.name for baseline in found.baselines} == {"past click rate", "MLP", "LightGBM"}
    assert {name: domain.rows for name, domain in found.domains.items()} == {"1": 60, "0": 60}
    assert sum(day.rows for day in found.days if day.split == "eval") == 40
    assert found.importance[0].name == "age"
    assert found.cpu_seconds > 0
    assert "reading rows to judge" in steps
    assert "studying the model: importance" in steps
    assert np.isfinite([entry.drop for entry in found.importance]).all()
    # 240 rows of training and validation are too many for trees where 239 are the most.
    fewer = inputs.declaration.report.model_copy(update={"trees_rows": 239})
    inputs.declaration = inputs.declaration.model_copy(update={"report": fewer})
    found = training._study(
        fn_args, inputs, SimpleNamespace(predict_transformed=predict_transformed), tmp_path
    )
    assert {baseline.name for baseline in found.baselines} == {"past click rate", "MLP"}
