"""The pipeline on KuaiRand's real logs."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest

from tests.e2e.conftest import metrics, run_dfei
from tests.e2e.later_part import write_later_part

pytestmark = pytest.mark.slow
ONE_CLASS = {"11", "14", "10"}


def test_fifteen_tabs_and_no_auc_where_there_is_one_class(kuairand_root: Path) -> None:
    result = metrics(kuairand_root)
    assert set(result["domains"]) == {str(tab) for tab in range(15)}
    assert result["rows"] == {"train": 150214, "eval": 30170}
    for tab, figures in result["domains"].items():
        one_class = figures["positives"] in (0, figures["rows"])
        assert (figures["auc"] is None) == one_class, tab
    assert all(result["domains"][tab]["auc"] is None for tab in ONE_CLASS)
    assert result["average_auc"] > 0.68
    assert result["overall_auc"] > 0.71


def test_another_label_is_one_setting_away(kuairand: Path, tmp_path: Path) -> None:
    finished = run_dfei(
        kuairand, tmp_path / "root", ("label=long_view", "training.epochs=1"), "kuairand-pure"
    )
    assert finished.code in (0, 1), finished.text
    assert metrics(tmp_path / "root")["domains"]["3"]["positives"] == 0


def test_a_part_with_unknown_users_and_no_lookup_rows_for_them_works(kuairand: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(kuairand / "data", data)
    users = data / "user_features_pure.csv"
    users.chmod(0o644)
    with users.open(newline="") as handle:
        rows = list(csv.reader(handle))
    with users.open("w", newline="") as handle:
        csv.writer(handle).writerows(rows[:1] + rows[1::2])
    finished = run_dfei(data, tmp_path / "root", ("training.epochs=1",), "kuairand-pure")
    assert finished.code == 0, finished.text
    assert metrics(tmp_path / "root")["rows"]["eval"] == 30170


def test_a_later_part_works_with_the_same_command(kuairand: Path, tmp_path: Path) -> None:
    """Into the root of the earlier part's run: evaluated against that model, and pushed as the next version."""
    root, settings = tmp_path / "root", ("training.epochs=1",)
    earlier = run_dfei(kuairand, root, settings, dataset="kuairand-pure")
    assert earlier.code == 0, earlier.text
    before = metrics(root)
    rows = write_later_part(kuairand, tmp_path / "later")
    finished = run_dfei(tmp_path / "later", root, settings, dataset="kuairand-pure")
    assert finished.code == 0, finished.text
    result = metrics(root)
    report = json.loads((root / "run.json").read_text())["ingest"]
    # The log begins in the last hour of the day before its first date.
    assert (report["first_day"], report["last_day"]) == ("2022-05-08", "2022-05-19")
    assert result["rows"]["train"] + result["rows"]["eval"] + report["duplicates"] == rows
    assert report["unmatched"]["data/user_features_pure.csv"] > 0.2 * rows
    assert set(result["domains"]) == {str(tab) for tab in range(15)}
    assert result["average_auc"] > 0.65
    assert int(Path(result["pushed_to"]).name) > int(Path(before["pushed_to"]).name)
    assert Path(before["pushed_to"]).is_dir()
