"""From a feed on disk to a pushed model, through the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ml_metadata import metadata_store
from ml_metadata.proto import metadata_store_pb2

from components.pusher import atomic
from tests.e2e.conftest import SMALL, Run, dfei, metrics, run_dfei

SCORE = """
import sys, numpy as np, tensorflow as tf
model = tf.saved_model.load(sys.argv[1])
records = list(tf.data.TFRecordDataset(sys.argv[2:-1], compression_type="GZIP").as_numpy_iterator())
scores = np.concatenate([model.signatures["examples"](examples=tf.constant(records[i:i + 1000]))["click_probability"]
                         .numpy() for i in range(0, len(records), 1000)])
examples = [tf.train.Example.FromString(record).features.feature for record in records]
np.savez(sys.argv[-1], scores=scores, label=[e["click"].int64_list.value[0] for e in examples],
         domain=[e["domain_id"].int64_list.value[0] for e in examples])
"""


def _score_in_a_fresh_process(root: Path, target: Path) -> dict[str, np.ndarray]:
    """Scores of the pushed version for the evaluation rows, with nothing but TensorFlow."""
    examples = sorted(root.glob("artifacts/DeclaredExampleGen/examples/*/Split-eval/*"))
    command = [sys.executable, "-c", SCORE, metrics(root)["pushed_to"], *map(str, examples), str(target)]
    subprocess.run(command, cwd="/", check=True, capture_output=True)
    return dict(np.load(target))


def test_a_run_says_what_it_did_and_leaves_its_files(small_run: Run) -> None:
    result = metrics(small_run.root)
    assert result["dataset"] == "simulated"
    assert result["model"] == "dfei"
    assert result["blessed"] is True
    assert set(result["domains"]) == {str(domain) for domain in range(6)}
    assert sum(domain["rows"] for domain in result["domains"].values()) == result["rows"]["eval"]
    pushed = Path(result["pushed_to"])
    assert pushed.parent == small_run.root / "serving" / "dfei"
    assert pushed.name.isdigit()
    assert (pushed / "assets.extra" / "tf_serving_warmup_requests").stat().st_size > 0
    page = (small_run.root / "report.html").read_text()
    assert "<html" in page
    assert str(pushed) in small_run.finished.text.replace(" ", "") or pushed.name in small_run.finished.text
    assert "Traceback" not in small_run.finished.text


def test_the_pushed_model_scores_in_a_fresh_process_as_it_was_evaluated(
    small_run: Run, tmp_path: Path
) -> None:
    rows = _score_in_a_fresh_process(small_run.root, tmp_path / "scores.npz")
    result = metrics(small_run.root)
    assert len(rows["scores"]) == result["rows"]["eval"]
    _expect(result, "overall_auc", rows["label"], rows["scores"])
    for domain, figures in result["domains"].items():
        here = rows["domain"] == int(domain)
        assert figures["rows"] == here.sum()
        assert figures["positives"] == rows["label"][here].sum()
        _expect(figures, "auc", rows["label"][here], rows["scores"][here])


def _expect(figures: dict[str, Any], auc: str, label: np.ndarray, score: np.ndarray) -> None:
    """The evaluation's figures are those of the scores: sums to single precision, and the AUC that they have whichever
    way pairs are counted whose scores rounding may have tied."""
    likelihood = np.log(np.where(label == 1, score, 1 - score.astype(float)))
    assert figures["log_loss"] == pytest.approx(-likelihood.mean(), rel=1e-5)
    if "calibration" in figures and label.any():
        assert figures["calibration"] == pytest.approx(score.sum() / label.sum(), rel=1e-5)
    if label.min() == label.max():
        assert figures[auc] is None
    else:
        ahead = score[label == 1].astype(float)[:, None] - score[label == 0].astype(float)[None, :]
        assert (ahead > 1e-6).mean() - 1e-5 <= figures[auc] <= (ahead > -1e-6).mean() + 1e-5


def _states_by_node(root: Path) -> dict[str, list[int]]:
    """The states of every component's executions in the metadata store, oldest first."""
    config = metadata_store_pb2.ConnectionConfig()
    config.sqlite.filename_uri = str(root / "metadata.sqlite")
    config.sqlite.connection_mode = metadata_store_pb2.SqliteMetadataSourceConfig.READONLY
    store = metadata_store.MetadataStore(config)
    types = {kind.id: kind.name for kind in store.get_execution_types()}
    states: dict[str, list[int]] = {}
    for execution in sorted(store.get_executions(), key=lambda found: found.id):
        name = types[execution.type_id].rsplit(".", 1)[-1]
        states.setdefault(name, []).append(execution.last_known_state)
    return states


def test_run_again_everything_comes_from_the_cache(small_run: Run) -> None:
    before = metrics(small_run.root)
    again = run_dfei(small_run.data, small_run.root)
    assert again.code == 0, again.text
    states = _states_by_node(small_run.root)
    resolver = states.pop(next(name for name in states if "Resolver" in name))
    assert len(resolver) == 2
    assert len(states) == 9
    both = [metadata_store_pb2.Execution.COMPLETE, metadata_store_pb2.Execution.CACHED]
    assert states == dict.fromkeys(states, both)
    summary = json.loads((small_run.root / "run.json").read_text())
    ran = set(summary["seconds"]) - set(summary["cached"]) - {"Baseline"}
    assert ran == set()
    after = metrics(small_run.root)
    assert {**after, "seconds": None} == {**before, "seconds": None}
    assert atomic.versions(small_run.root / "serving" / "dfei") == [int(Path(before["pushed_to"]).name)]


def test_a_changed_training_setting_reruns_only_what_it_touches(small_run: Run, tmp_path: Path) -> None:
    again = run_dfei(small_run.data, small_run.root, (*SMALL, "training.learning_rate=0.002"))
    assert again.code in (0, 1), again.text
    cached = set(json.loads((small_run.root / "run.json").read_text())["cached"])
    assert cached == {"ExampleGen", "StatisticsGen", "Schema", "ExampleValidator", "Transform"}


def test_the_report_is_rebuilt_without_running_anything(small_run: Run) -> None:
    (small_run.root / "report.html").unlink()
    done = dfei("report", small_run.root)
    assert done.code == 0, done.text
    assert (small_run.root / "report.html").is_file()
