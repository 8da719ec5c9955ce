"""The script that mirrors a bucket, with a stand-in for rclone that reads a local directory."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[3] / "kubeflow" / "serving" / "components" / "bucket" / "sync.sh"
RCLONE = """#!/bin/sh
for last; do :; done
case "$*" in
  *"--dirs-only"*) [ -d "$last" ] || exit 3; cd "$last" && ls -p | grep '/$' || true ;;
  *"--max-age"*) find "$last" -type f -newermt '-60 seconds' ;;
  copy*) [ -z "$FAIL_COPY" ] || exit 1; cp -r "$2" "$3" ;;
esac
"""


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    tool = tmp_path / "bin" / "rclone"
    tool.parent.mkdir()
    tool.write_text(RCLONE)
    tool.chmod(0o755)
    (tmp_path / "bucket").mkdir()
    return tmp_path / "bucket", tmp_path / "models" / "dfei"


def look(folders: tuple[Path, Path], **variables: str) -> str:
    bucket, models = folders
    environment = {
        **os.environ,
        "PATH": f"{bucket.parent / 'bin'}:{os.environ['PATH']}",
        "SOURCE": str(bucket),
        "TARGET": str(models),
        "SETTLE": "60s",
        "INTERVAL_SECONDS": "0",
        "FAIL_COPY": "",
        **variables,
    }
    run = subprocess.run(["sh", str(SCRIPT)], env=environment, capture_output=True, text=True, check=True)
    return run.stdout


def push(bucket: Path, version: str, age: float = 3600.0) -> None:
    folder = bucket / version / "variables"
    folder.mkdir(parents=True)
    for file in (folder / "variables.index", folder.parent / "saved_model.pb"):
        file.write_text(version)
        os.utime(file, (time.time() - age,) * 2)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_versions_come_and_go_with_the_bucket(folders: tuple[Path, Path]) -> None:
    bucket, models = folders
    push(bucket, "1")
    push(bucket, "20")
    (bucket / "notes").mkdir()
    assert "version 1 is here" in look(folders)
    assert names(models) == {"1", "20"}
    assert (models / "20" / "variables" / "variables.index").read_text() == "20"
    shutil.rmtree(bucket / "20")
    assert "version 20 is gone" in look(folders)
    assert names(models) == {"1"}


def test_a_version_that_is_being_written_waits(folders: tuple[Path, Path]) -> None:
    bucket, models = folders
    push(bucket, "1")
    push(bucket, "2", age=0.0)
    assert "version 2 is still being written" in look(folders)
    assert names(models) == {"1"}


def test_a_version_without_a_graph_is_left_out(folders: tuple[Path, Path]) -> None:
    bucket, models = folders
    push(bucket, "1")
    (bucket / "1" / "saved_model.pb").unlink()
    assert "could not be copied whole" in look(folders)
    assert names(models) == set()


def test_nothing_is_removed_when_the_bucket_cannot_be_read(folders: tuple[Path, Path]) -> None:
    bucket, models = folders
    push(bucket, "1")
    look(folders)
    assert "no version in" in look(folders, SOURCE=str(bucket / "1" / "variables"))
    assert "trying again" in look(folders, SOURCE=str(bucket / "none"))
    push(bucket, "2")
    assert "could not be copied whole" in look(folders, FAIL_COPY="1")
    assert names(models) == {"1"}
