"""Files of examples to labels, columns and predictions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx.components.evaluator import executor as tfx_evaluator

from components import beam_jobs
from components.errors import InputError
from components.evaluator.component import FileEvaluator
from components.evaluator.scoring import Judged, Scored, ScoreFile, column_values, scored_path
from components.example_files import ExampleFile, read_pickle
from components.worker_errors import WorkerError, in_driver
from tests.components.evaluator.conftest import Impressions, Judge, impressions, schema_of


def test_the_first_value_of_a_list_is_taken_and_none_is_masked() -> None:
    batch = pa.RecordBatch.from_arrays(
        [
            pa.array([[5], [], None, [7, 8]], pa.large_list(pa.int64())),
            pa.array([[b"a"], [b"b"], [b"c"], [b"d"]], pa.large_list(pa.large_binary())),
            pa.nulls(4),
        ],
        ["user", "place", "never"],
    )
    user = column_values(batch, "user")
    assert user.dtype == np.int64
    assert user.tolist() == [5, None, None, 7]
    assert column_values(batch, "place").tolist() == [b"a", b"b", b"c", b"d"]
    assert column_values(batch, "never").mask.all()
    assert column_values(batch, "absent").mask.all()


def _score(
    rows: Impressions, models: dict[str, Judged], folder: Path, schema: schema_pb2.Schema
) -> list[Scored]:
    rows.write(folder / "examples")
    [path] = (folder / "examples" / "Split-eval").iterdir()
    work = ScoreFile(models, "click", ["user", "place"], schema, str(folder))
    work.process(ExampleFile(3, "eval", str(path)))
    batches: list[Scored] = read_pickle(scored_path(str(folder), 3))
    return batches


def test_rows_keep_their_order_and_every_model_scores_them(
    saved_model: Callable[[str], Path], tmp_path: Path
) -> None:
    rows = impressions(300, seed=5)
    models = {
        name: Judged(str(saved_model(model) / "Format-Serving"))
        for name, model in (("new", "good"), ("old", "reversed"))
    }
    [batch] = _score(rows, models, tmp_path, schema_of())
    np.testing.assert_array_equal(batch.label, rows.label)
    np.testing.assert_array_equal(batch.predictions["new"], rows.score)
    np.testing.assert_array_equal(batch.predictions["old"], 1 - rows.score)
    assert batch.columns["place"].tolist() == [place.encode() for place in rows.place]
    assert batch.columns["user"].tolist() == [None if user < 0 else user for user in rows.user]


def test_a_row_without_a_label_is_an_error(saved_model: Callable[[str], Path], tmp_path: Path) -> None:
    schema = schema_of()
    del schema.feature[0]
    assert schema.feature[0].name == "user"
    models = {"": Judged(str(saved_model("good") / "Format-Serving"))}
    with pytest.raises(ValueError, match="50 rows have no label click"):
        _score(impressions(50), models, tmp_path, schema)


class _Other(tf.Module):
    """A model of another feed, whose rows have a column that these lack."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def examples(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        parsed = tf.io.parse_example(examples, {"sku": tf.io.FixedLenFeature([], tf.string)})
        return {"click_probability": tf.strings.to_number(parsed["sku"])}


@pytest.mark.parametrize(
    ("signature", "reason"),
    [("serving_default", "has no signature 'examples'"), ("examples", "cannot score these rows; .*sku")],
)
def test_a_model_of_somebody_else_is_named(signature: str, reason: str, tmp_path: Path) -> None:
    module, path = _Other(), str(tmp_path / "model")
    tf.saved_model.save(module, path, signatures={signature: module.examples})
    with pytest.raises(WorkerError) as raised:
        _score(impressions(50), {"": Judged(path)}, tmp_path, schema_of())
    with pytest.raises(InputError, match=f"the model {path} {reason}"), in_driver(""):
        raise raised.value


def test_workers_of_beam_score_as_this_process_does(judge: Judge, monkeypatch: pytest.MonkeyPatch) -> None:
    few = impressions(500, seed=3)
    here = judge(few, "good", "worse", min_rows=40).result
    monkeypatch.setattr(beam_jobs, "SMALL_BYTES", 0)
    assert judge(few, "good", "worse", min_rows=40).result == here


def test_blessings_name_models_as_the_cluster_does() -> None:
    # TFX's container on Kubeflow puts the cluster's names into blessings of this class alone.
    assert issubclass(FileEvaluator.EXECUTOR_SPEC.executor_class, tfx_evaluator.Executor)
