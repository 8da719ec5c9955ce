"""Folders as an engine leaves them that lost a worker and went on."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from components.committed import commit, committed_files, committed_of, remove_leftovers, temporary_of
from components.errors import InputError

NAME = "transformed_examples-{:05d}-of-{:05d}.gz"


def write(folder: Path, *names: str, second: int = 0) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_text(name)
        os.utime(folder / name, (1_000_000 + second, 1_000_000 + second))


def pieces(count: int) -> list[str]:
    return [NAME.format(piece, count) for piece in range(count)]


@pytest.fixture
def split(tmp_path: Path) -> Path:
    """Two pieces that were committed; before that an attempt of three, and one that was not moved into place."""
    folder = tmp_path / "Split-train"
    write(folder, *pieces(3), second=1)
    write(folder, *pieces(2), second=2)
    write(folder / "beam-temp-transformed_examples-0123", "7c2d.transformed_examples.gz")
    write(folder, "_SUCCESS", ".crc")
    return folder


def test_readers_find_what_was_committed_and_nothing_else(split: Path) -> None:
    wanted = [f"{split}/{name}" for name in pieces(2)]
    assert committed_files(split) == wanted
    assert committed_files(f"{split}/") == wanted
    assert committed_of([f"{split}/*"]) == wanted
    assert committed_of([f"{split}/*.csv"]) == []


def test_an_attempt_that_lacks_pieces_is_none(split: Path) -> None:
    (split / NAME.format(1, 3)).unlink()
    (split / NAME.format(0, 3)).touch()
    assert [Path(file).name for file in committed_files(split)] == pieces(2)


def test_pieces_of_no_whole_attempt_are_refused(tmp_path: Path) -> None:
    write(tmp_path, *pieces(4)[:3])
    with pytest.raises(InputError, match="3 of 4 pieces of transformed_examples are there"):
        committed_files(tmp_path)


def test_leftovers_are_removed_at_the_end(split: Path) -> None:
    removed = remove_leftovers(split.parent)
    assert sorted(Path(path).name for path in removed) == [
        "beam-temp-transformed_examples-0123",
        *pieces(3),
    ]
    assert sorted(path.name for path in split.iterdir()) == [".crc", "_SUCCESS", *pieces(2)]
    assert remove_leftovers(split.parent) == []
    assert remove_leftovers(split / "nowhere") == []


def test_a_file_is_not_there_until_it_is_whole(tmp_path: Path) -> None:
    path = f"{tmp_path}/data_tfrecord-00000.gz"
    first, second = temporary_of(path), temporary_of(path)
    assert first != second
    Path(first).write_text("half")
    assert committed_files(tmp_path) == []
    Path(second).write_text("whole")
    commit(second, path)
    assert committed_files(tmp_path) == [path]
    remove_leftovers(tmp_path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["data_tfrecord-00000.gz"]
    assert Path(path).read_text() == "whole"
