"""Disks that are read-only or full, and odd names in a serving folder: said with the path, exit code 2."""

from __future__ import annotations

import errno
import hashlib
import logging
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from components.errors import InputError
from components.pusher.atomic import versions
from components.pusher.version_names import is_odd, version_number
from pipeline.failures import explain
from pipeline.serving.server import ModelServer
from tests.e2e.conftest import Finished, dfei
from tests.hostile.conftest import refused
from tests.pipeline.serving.conftest import settings_for
from tests.pipeline.serving.models import NAME, copy_version


def mounted(path: Path, *options: str) -> None:
    done = subprocess.run(["mount", *options, str(path)], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"this user may not mount a disk: {done.stderr.strip()}")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own, of 4 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted(disk, "-t", "tmpfs", "-o", "size=4m", "tmpfs")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


@pytest.fixture
def read_only(disk: Path, pushed: Path) -> Path:
    """The disk with a pushed model and rows on it, and no way to write."""
    copy_version(pushed / "1", disk / NAME, 1)
    (disk / "rows.csv").write_text("user_id\n1\n2\n")
    mounted(disk, "-o", "remount,ro")
    return disk


def commands(disk: Path) -> dict[str, list[str | Path]]:
    predict: list[str | Path] = ["predict", disk / "rows.csv", "--model-dir", disk / NAME, "-o"]
    image = "x/y@sha256:" + "0" * 64
    return {
        "predict": [*predict, disk / "out.csv"],
        "predict to Parquet": [*predict, disk / "out.parquet"],
        "predict to a new folder": [*predict, disk / "a/b/out.csv"],
        "simulate": ["simulate", disk / "feed", "--rows", "1000", "--domains", "3"],
        "run": ["run", "--dataset", "simulated", "--data", disk, "--root", disk / "root"],
        "compile": ["compile", "--dataset", "simulated", "--image", image, "--output", disk / "p.yaml"],
    }


@pytest.mark.parametrize("command", commands(Path()))
def test_a_read_only_disk(command: str, read_only: Path) -> None:
    refused(dfei(*commands(read_only)[command]), str(read_only))


def test_a_model_is_served_from_a_read_only_disk(read_only: Path) -> None:
    with ModelServer(settings_for(read_only / NAME)) as server:
        assert server.engine.ready


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_a_disk_that_is_full_while_predictions_are_written(
    disk: Path, pushed: Path, tmp_path: Path, suffix: str
) -> None:
    rows = tmp_path / "rows.csv"
    notes = (hashlib.md5(str(number).encode()).hexdigest() for number in range(150_000))
    rows.write_text("user_id,note\n" + "".join(f"{number},{note}\n" for number, note in enumerate(notes)))
    out = disk / f"out{suffix}"
    done: Finished = dfei("predict", rows, "--model-dir", pushed, "-o", out, "--batch-size", "20000")
    refused(done, str(out), "No space left")
    assert list(disk.iterdir()) == []


ERRORS: list[tuple[BaseException, str]] = [
    (OSError(errno.EROFS, "Read-only file system", "/mnt/a"), "read-only: /mnt/a"),
    (OSError(errno.ENOSPC, "No space left on device", "/mnt/a"), "full: /mnt/a"),
    (PermissionError(errno.EACCES, "Permission denied", "/mnt/a"), "no permission: /mnt/a"),
    (OSError(errno.EIO, "Input/output error", "/mnt/a"), "/mnt/a"),
    (sqlite3.OperationalError("attempt to write a readonly database"), "read-only"),
    (RuntimeError("/mnt/a/b.index; Read-only file system"), "read-only: /mnt/a/b.index"),
    (RuntimeError("Failed to write to file /mnt/a/b: No space left on device"), "full: /mnt/a/b"),
    (
        RuntimeError("{{function_node x}} /mnt/a/events.out; Disk quota exceeded [Op:Save]"),
        "/mnt/a/events.out",
    ),
]


@pytest.mark.parametrize(("error", "words"), ERRORS, ids=lambda value: str(value)[:40])
def test_what_a_disk_says_in_whatever_words(error: BaseException, words: str) -> None:
    for raised in (error, _caused_by(error)):
        told = explain(raised)
        assert told is not None
        assert words in told[0]
        assert told[1] == 2


def _caused_by(error: BaseException) -> BaseException:
    outer = RuntimeError("a component failed")
    outer.__cause__ = error
    return outer


def test_a_library_that_the_system_lacks_is_named() -> None:
    missing = OSError("libgomp.so.1: cannot open shared object file: No such file or directory")
    told = explain(_caused_by(missing))
    assert told == ("libgomp.so.1 is not on this machine: apt-get install libgomp1 (Debian, Ubuntu)", 2)


def test_defects_keep_their_traceback() -> None:
    assert explain(ValueError("x")) is None
    assert explain(FileNotFoundError(errno.ENOENT, "No such file or directory", "/mnt/a")) is None


ODD = ["\u00b2", "99999999999999999999", "9223372036854775808", "\u0661", "\u2460", "\u4e09"]


def test_odd_folders_are_passed_over_and_said(
    pushed: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    base = tmp_path / NAME
    copy_version(pushed / "1", base, 1)
    for name in [*ODD, "tmp", "1a", ".2", "-1", "+1", "1.0", "0x1"]:
        copy = base / name
        copy.mkdir()
        (copy / "saved_model.pb").write_bytes(b"x")
    with caplog.at_level(logging.WARNING, "pipeline.serving"), ModelServer(settings_for(base)) as server:
        assert server.engine.models[NAME].available == [1]
        for _ in range(3):
            server.engine.models[NAME].poll()
    said = [record.getMessage() for record in caplog.records]
    for name in ODD:
        assert sum(f": {name} is passed over" in line for line in said) == 1, said
    assert len(said) == len(ODD)
    assert versions(base) == [1]


@pytest.mark.parametrize("name", ODD)
def test_odd_names(name: str) -> None:
    assert is_odd(name)
    assert version_number(name) is None


@pytest.mark.parametrize(("name", "number"), [("0", 0), ("007", 7), ("9223372036854775807", 2**63 - 1)])
def test_names_of_versions(name: str, number: int) -> None:
    assert version_number(name) == number
    assert not is_odd(name)


def test_a_folder_with_odd_ones_alone_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "\u00b2").mkdir()
    with pytest.raises(InputError, match="no version"):
        ModelServer(settings_for(tmp_path)).start()
