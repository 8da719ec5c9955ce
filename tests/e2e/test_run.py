"""From a feed on disk to a pushed model, through the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

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


def _auc(label: np.ndarray, score: np.ndarray) -> float:
    positive, negative = score[label == 1], score[label == 0]
    wins = (positive[:, None] > negative[None, :]).mean() + 0.5 * (
        positive[:, None] == negative[None, :]
    ).mean()
    return float(wins)


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
    assert _auc(rows["label"], rows["scores"]) == pytest.approx(result["overall_auc"], abs=2e-3)
    for domain, figures in result["domains"].items():
        here = rows["domain"] == int(domain)
        assert figures["rows"] == here.sum()
        assert figures["positives"] == rows["label"][here].sum()
        if figures["auc"] is not None:
            assert _auc(rows["label"][here], rows["scores"][here]) == pytest.approx(figures["auc"], abs=5e-3)
        else:
            assert rows["label"][here].min() == rows["label"][here].max()


def test_run_again_everything_comes_from_the_cache(small_run: Run) -> None:
    before = metrics(small_run.root)
    again = run_dfei(small_run.data, small_run.root)
    assert again.code == 0, again.text
    summary = json.loads((small_run.root / "run.json").read_text())
    ran = set(summary["seconds"]) - set(summary["cached"]) - {"Baseline"}
    assert ran == set()
    after = metrics(small_run.root)
    assert {**after, "seconds": None} == {**before, "seconds": None}
    assert [path.name for path in (small_run.root / "serving" / "dfei").iterdir()] == [
        Path(before["pushed_to"]).name
    ]


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
