"""Pushes are whole versions or nothing."""

from __future__ import annotations

import errno
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from components.pusher import atomic
from components.version_notes import read_request
from pipeline.serving.version_files import scan


@pytest.fixture
def model(tmp_path: Path) -> Path:
    source = tmp_path / "model"
    (source / "variables").mkdir(parents=True)
    (source / "saved_model.pb").write_bytes(b"graph")
    (source / "variables" / "variables.index").write_bytes(b"index")
    return source


def _versions_and_leftovers(base: Path) -> list[str]:
    return [entry.name for entry in base.iterdir() if entry.name != atomic.LOCK]


def test_a_push_is_a_numbered_copy_with_its_facts(model: Path, tmp_path: Path) -> None:
    version = atomic.push(model, tmp_path / "serving" / "dfei", "artifacts/Trainer/model/7")
    assert version.name.isdigit()
    assert (version / "saved_model.pb").read_bytes() == b"graph"
    assert (version / "variables" / "variables.index").read_bytes() == b"index"
    assert json.loads((version / atomic.PUSHED_FACTS).read_text()) == {
        "model": "artifacts/Trainer/model/7",
        "version": int(version.name),
    }


def test_a_request_to_try_it_with_goes_along_and_is_no_part_of_the_model(model: Path, tmp_path: Path) -> None:
    request = tmp_path / "request.json"
    request.write_text('{"instances": [{"user": 7}]}')
    version = atomic.push(model, tmp_path / "serving", "a", request)
    assert read_request(version) == request.read_text()
    assert atomic.push(model, tmp_path / "serving", "a", request) == version
    assert read_request(atomic.push(model, tmp_path / "other", "a", tmp_path / "none")) is None


def test_the_newest_version_is_not_pushed_twice_but_an_older_one_comes_back_as_a_new_version(
    model: Path, tmp_path: Path
) -> None:
    base = tmp_path / "serving"
    first = atomic.push(model, base, "a")
    assert atomic.push(model, base, "a") == first
    second = atomic.push(model, base, "b")
    third = atomic.push(model, base, "a")
    assert int(first.name) < int(second.name) < int(third.name)
    assert atomic.versions(base) == [int(first.name), int(second.name), int(third.name)]


def test_another_model_of_the_same_address_is_pushed(model: Path, tmp_path: Path) -> None:
    # A root that was deleted and made anew counts its artifacts from the start, and pushes to the folder of before.
    base = tmp_path / "serving"
    first = atomic.push(model, base, "artifacts/Trainer/model/7")
    (model / "variables" / "variables.index").write_bytes(b"other")
    second = atomic.push(model, base, "artifacts/Trainer/model/7")
    assert int(first.name) < int(second.name)
    assert (second / "variables" / "variables.index").read_bytes() == b"other"
    assert atomic.push(model, base, "artifacts/Trainer/model/7") == second


def test_a_copy_that_breaks_leaves_nothing_behind(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = tmp_path / "serving"

    def breaks(path: Path) -> None:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(atomic, "_flush", breaks)
    with pytest.raises(OSError, match="No space left"):
        atomic.push(model, base, "a")
    assert _versions_and_leftovers(base) == []


def test_what_a_killed_push_left_is_no_version_and_is_cleared_by_the_next(
    model: Path, tmp_path: Path
) -> None:
    base = tmp_path / "serving"
    (base / ".unfinished-123").mkdir(parents=True)
    (base / ".unfinished-123" / "saved_model.pb").write_bytes(b"half")
    assert atomic.versions(base) == []
    version = atomic.push(model, base, "a")
    assert _versions_and_leftovers(base) == [version.name]


def test_folders_that_are_no_complete_version_do_not_count(tmp_path: Path) -> None:
    (tmp_path / "12").mkdir()
    (tmp_path / "notes").mkdir()
    (tmp_path / "13").mkdir()
    (tmp_path / "13" / "saved_model.pb").write_bytes(b"graph")
    assert atomic.versions(tmp_path) == [13]
    assert atomic.versions(tmp_path / "missing") == []


def test_two_pushes_to_one_directory_come_one_after_the_other(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = tmp_path / "serving"
    copying, go_on = threading.Event(), threading.Event()

    def slow(path: Path) -> None:
        copying.set()
        assert go_on.wait(60)

    monkeypatch.setattr(atomic, "_flush", slow)
    with ThreadPoolExecutor() as threads:
        first = threads.submit(atomic.push, model, base, "a")
        assert copying.wait(60)
        second = threads.submit(atomic.push, model, base, "b")
        with pytest.raises(TimeoutError):
            second.result(timeout=0.5)
        go_on.set()
        assert [int(push.result(60).name) for push in (first, second)] == atomic.versions(base)


def test_a_folder_that_knows_no_locks_is_pushed_to_all_the_same(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(atomic.fcntl, "flock", unknown)
    assert atomic.push(model, tmp_path / "serving", "a").is_dir()


def test_a_server_takes_the_lock_for_no_version(model: Path, tmp_path: Path) -> None:
    version = atomic.push(model, tmp_path / "serving", "a")
    assert (tmp_path / "serving" / atomic.LOCK).is_file()
    assert list(scan(tmp_path / "serving")) == [int(version.name)]
