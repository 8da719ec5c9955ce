"""A feed is there whole or not at all, and nobody's files are overwritten."""

from __future__ import annotations

import errno
import os
import shutil
import socket
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import pytest

from components.errors import InputError
from components.progress import Progress
from pipeline.simulate import simulate
from pipeline.simulate.directory import require_space, written_whole


def test_the_same_feed_is_reused(tmp_path: Path) -> None:
    first = simulate(tmp_path / "feed", rows=2_000)
    stamp = (tmp_path / "feed" / "truth.json").stat().st_mtime_ns
    again = simulate(tmp_path / "feed", rows=2_000)
    assert not first.reused
    assert again.reused
    assert again.best == first.best
    assert (tmp_path / "feed" / "truth.json").stat().st_mtime_ns == stamp


def test_another_feed_is_not_overwritten(tmp_path: Path) -> None:
    simulate(tmp_path / "feed", rows=2_000)
    with pytest.raises(InputError, match=r"holds another simulated feed .*Delete it or choose another"):
        simulate(tmp_path / "feed", rows=2_000, seed=1)


def test_a_feed_with_a_lost_or_changed_file_is_not_reused(tmp_path: Path) -> None:
    simulate(tmp_path / "feed", rows=2_000)
    part = tmp_path / "feed" / "impressions" / "part-003.csv"
    part.write_text(part.read_text() + "x")
    with pytest.raises(InputError, match=r"part-003\.csv: missing or changed since it was simulated"):
        simulate(tmp_path / "feed", rows=2_000)
    part.unlink()
    with pytest.raises(InputError, match=r"part-003\.csv: missing or changed since it was simulated"):
        simulate(tmp_path / "feed", rows=2_000)


def test_a_directory_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match="not empty and holds no simulated feed"):
        simulate(tmp_path, rows=2_000)
    with pytest.raises(InputError, match=r"mine\.txt: is a file"):
        simulate(tmp_path / "mine.txt", rows=2_000)
    with pytest.raises(InputError, match="a part of the path is a file"):
        simulate(tmp_path / "mine.txt" / "feed", rows=2_000)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_an_empty_directory_and_missing_parents_are_fine(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    simulate(tmp_path / "empty", rows=2_000)
    simulate(tmp_path / "a" / "b", rows=2_000)
    assert (tmp_path / "empty" / "truth.json").exists()
    assert (tmp_path / "a" / "b" / "truth.json").exists()


def test_an_interrupt_leaves_nothing(tmp_path: Path) -> None:
    def interrupt(report: Progress) -> None:
        if report.done > 1_000:
            assert any(path.name.startswith(".feed.partial-") for path in tmp_path.iterdir())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulate(tmp_path / "feed", rows=2_000, progress=interrupt)
    assert not list(tmp_path.iterdir())


def test_a_full_disk_before_and_during(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda place: usage(10, 9, 1))
        with pytest.raises(InputError, match="a feed of 2,000 rows needs 0 MB and the disk has 0 MB left"):
            simulate(tmp_path / "feed", rows=2_000)
    with pytest.raises(InputError, match="the disk is full"), written_whole(tmp_path / "feed"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with (
        pytest.raises(InputError, match="cannot be written: Permission denied"),
        written_whole(tmp_path / "feed"),
    ):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    assert not list(tmp_path.iterdir())
    require_space(tmp_path / "not" / "there", 1, "nothing")


def test_what_a_killed_process_left_is_removed_and_a_living_one_is_left_alone(tmp_path: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    prefix = f".feed.partial-{socket.gethostname()}-"
    abandoned, living = tmp_path / f"{prefix}{dead.pid}", tmp_path / f"{prefix}{os.getppid()}"
    elsewhere = tmp_path / f".feed.partial-elsewhere-{dead.pid}"
    for path in (abandoned, living, elsewhere):
        path.mkdir()
        (path / "part").write_text("half")
    simulate(tmp_path / "feed", rows=2_000)
    assert not abandoned.exists()
    assert living.exists()
    assert elsewhere.exists()
