"""What a run says, and its exit code, when the input is wrong or the model is bad."""

from __future__ import annotations

import csv
import random
import shutil
from pathlib import Path

import pytest

from tests.e2e.conftest import SMALL, Finished, dfei, run_dfei


@pytest.fixture
def feed(small_feed: Path, tmp_path: Path) -> Path:
    """A copy of the small feed to spoil."""
    copy = tmp_path / "data"
    shutil.copytree(small_feed, copy)
    return copy


def _rewrite(path: Path, change: object) -> None:
    with path.open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    rows = change(rows)
    with path.open("w", newline="") as handle:
        writer = csv.DictWriter(handle, fieldnames=list(rows[0]) if rows else ["empty"])
        writer.writeheader()
        writer.writerows(rows)


def _refused(done: Finished, *words: str) -> None:
    assert done.code == 2, (done.code, done.text)
    assert "Traceback" not in done.text
    for word in words:
        assert word in done.text, done.text


def test_an_unknown_data_set_lists_those_that_exist(tmp_path: Path) -> None:
    _refused(dfei("run", "--dataset", "kuairand", "--root", tmp_path / "r"), "kuairand-pure", "simulated")


def test_a_missing_data_folder_is_named(tmp_path: Path) -> None:
    done = dfei("run", "--dataset", "kuairand-pure", "--data", tmp_path / "nowhere", "--root", tmp_path / "r")
    _refused(done, "nowhere")


def test_an_unknown_setting_suggests_the_right_one(tmp_path: Path) -> None:
    done = dfei("run", "--dataset", "simulated", "--root", tmp_path / "r", "--set", "split.evaldays=3")
    _refused(done, "evaldays", "eval_days")


def test_an_unknown_model_lists_those_that_exist(tmp_path: Path) -> None:
    done = dfei("run", "--dataset", "simulated", "--root", tmp_path / "r", "--model", "deepfm")
    _refused(done, "deepfm", "dfei")


def test_a_root_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    _refused(dfei("run", "--dataset", "simulated", "--root", tmp_path / "file"), "file")


def test_a_missing_column_is_named(feed: Path, tmp_path: Path) -> None:
    for path in (feed / "impressions").glob("*.csv"):
        _rewrite(path, lambda rows: [{k: v for k, v in row.items() if k != "position"} for row in rows])
    _refused(run_dfei(feed, tmp_path / "r"), "position", "part-")


def test_shuffled_labels_are_not_blessed_and_not_pushed(feed: Path, tmp_path: Path) -> None:
    generator = random.Random(1)
    for path in (feed / "impressions").glob("*.csv"):

        def shuffle(rows: list[dict[str, str]]) -> list[dict[str, str]]:
            labels = [row["click"] for row in rows]
            generator.shuffle(labels)
            return [
                {**row, "click": label, "long_view": "0", "dwell_ratio": "0"}
                for row, label in zip(rows, labels, strict=True)
            ]

        _rewrite(path, shuffle)
    settings = [setting for setting in SMALL if "thresholds.average" not in setting]
    done = run_dfei(feed, tmp_path / "r", settings)
    assert done.code == 1, done.text
    assert "AUC" in done.text
    assert not list((tmp_path / "r").glob("serving/*/*"))
