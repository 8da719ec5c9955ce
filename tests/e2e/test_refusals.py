"""What a run says, and its exit code, when the input is wrong or the model is bad."""

from __future__ import annotations

import csv
import os
import random
import shutil
from collections.abc import Callable
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


def _edit_first(path: Path, **values: str) -> None:
    """Sets columns of the first row."""
    _rewrite(path, lambda rows: [{**rows[0], **values}, *rows[1:]])


def _without_position(feed: Path) -> None:
    for path in (feed / "impressions").glob("*.csv"):
        _rewrite(path, lambda rows: [{k: v for k, v in row.items() if k != "position"} for row in rows])


def _in_one_domain(feed: Path) -> None:
    for path in (feed / "impressions").glob("*.csv"):
        _rewrite(path, lambda rows: [{**row, "domain_id": "4"} for row in rows])


def _of_two_days(feed: Path) -> None:
    for path in sorted((feed / "impressions").glob("*.csv"))[2:]:
        path.unlink()


def _emptied(feed: Path) -> None:
    for path in (feed / "impressions").glob("*.csv"):
        path.write_text(path.read_text().splitlines()[0] + "\n")


PART = "impressions/part-003.csv"
MISTAKES: dict[str, tuple[Callable[[Path], None], tuple[str, ...]]] = {
    "a missing log": (lambda feed: shutil.rmtree(feed / "impressions"), ("no file matches", "part-*.csv")),
    "a missing lookup file": (lambda feed: (feed / "users.csv").unlink(), ("no file matches users.csv",)),
    "a missing column": (_without_position, ("position", "is in none of the files")),
    "a text in a number column": (
        lambda feed: _edit_first(feed / PART, dwell_ratio="long"),
        ("part-003.csv:2", "dwell_ratio", "expected a number, found 'long'"),
    ),
    "a label that is not 0 or 1": (
        lambda feed: _edit_first(feed / PART, click="2"),
        ("part-003.csv:2", "click", "expected 0 or 1", "2"),
    ),
    "a domain column with one value": (_in_one_domain, ("domain_id", "only the value '4'")),
    "no day to evaluate on": (_of_two_days, ("rows of 2 days", "split.eval_days = 2")),
    "an empty log": (_emptied, ("no impressions",)),
}


@pytest.mark.slow
@pytest.mark.parametrize("mistake", MISTAKES)
def test_wrong_data_is_one_clear_message(mistake: str, feed: Path, tmp_path: Path) -> None:
    spoil, words = MISTAKES[mistake]
    spoil(feed)
    # No row may be rejected: what is wrong with one is then said.
    done = run_dfei(feed, tmp_path / "r", (*SMALL, "max_rejected_share=0"))
    _refused(done, *words)
    assert done.err.count("error:") == 1
    assert not (tmp_path / "r" / "serving").exists()


# Root without the capability to override permissions, which it would otherwise read everything with.
AS_ANYONE = ("setpriv", "--bounding-set=-dac_override,-dac_read_search") if os.geteuid() == 0 else ()


@pytest.mark.slow
@pytest.mark.skipif(bool(AS_ANYONE) and shutil.which("setpriv") is None, reason="root reads everything")
def test_a_folder_that_may_not_be_read_is_named(feed: Path, tmp_path: Path) -> None:
    feed.chmod(0)
    try:
        done = run_dfei(feed, tmp_path / "r", through=AS_ANYONE)
        _refused(done, str(feed), "is not readable")
    finally:
        feed.chmod(0o755)


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
