"""Which files a pattern matches, and what is said about one that can match none."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from components.dataset.blocks import read_all
from components.dataset.files import find_files
from components.dataset.sections import Impressions, Lookup
from components.errors import InputError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    names = ("a.csv", "._a.csv", "logs/b.csv", "logs/.kept/c.csv", "logs/.kept/.d.csv", "folder.csv/e.csv")
    for name in names:
        path = tmp_path / "data_dir" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x,y\n1,2\n")
    return tmp_path / "data_dir"


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*.csv", ["a.csv"]),
        ("._a.csv", ["._a.csv"]),
        (".*.csv", ["._a.csv"]),
        ("**/*.csv", ["a.csv", "folder.csv/e.csv", "logs/b.csv"]),
        ("logs/.kept/*.csv", ["logs/.kept/c.csv"]),
        ("../data_dir/*.csv", ["../data_dir/a.csv"]),
    ],
)
def test_a_glob_leaves_hidden_files_and_folders_out(folder: Path, pattern: str, expected: list[str]) -> None:
    assert [file.name for file in find_files(str(folder), Impressions(files=[pattern]))] == expected


def test_a_glob_from_the_root(folder: Path) -> None:
    [file] = find_files(str(folder), Impressions(files=[f"{folder}/*.csv"]))
    assert file.path == str(folder / "a.csv")


@pytest.mark.parametrize("pattern", ["folder.csv", "folder*.csv", "folder.csv/", "{folder}/folder.csv"])
def test_a_folder_stands_for_the_files_in_it(folder: Path, pattern: str) -> None:
    files = find_files(str(folder), Impressions(files=[pattern.format(folder=folder)]))
    assert [file.path for file in files] == [f"{folder}/folder.csv/e.csv"]


def test_a_folder_without_a_table(folder: Path) -> None:
    (folder / "empty.csv").mkdir()
    (folder / "empty.csv" / "_SUCCESS").touch()
    with pytest.raises(
        InputError, match=r"empty.csv: is a folder without a file of a known format \(.csv, .csv.gz"
    ):
        find_files(str(folder), Impressions(files=["empty.csv"]))


def test_what_writers_leave_is_no_table(folder: Path) -> None:
    """Spark's unfinished files and marks, and what `ignore` names."""
    for name in ("days/_temporary/0/a.csv", "days/_SUCCESS", "days/.a.csv.crc", "days/a.csv", "days/b.csv"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x,y\n1,2\n")
    for pattern in ("days", "days/*", "days/**/*"):
        found = find_files(str(folder), Impressions(files=[pattern], ignore=["days/b*"]))
        assert [file.name for file in found] == ["days/a.csv"], pattern
    with pytest.raises(InputError, match="`ignore` leaves none of the files that match days"):
        find_files(str(folder), Impressions(files=["days"], ignore=["days"]))


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_keys_of_folders_are_columns(tmp_path: Path, suffix: str) -> None:
    """Text, the same for every row; a column that the file has itself is the file's."""
    for day, scene in (("2026-03-14", "a%2Fb"), ("2026-03-15", "__HIVE_DEFAULT_PARTITION__")):
        folder = tmp_path / f"dt={day}" / f"scene={scene}" / "user=9"
        folder.mkdir(parents=True)
        frame = pl.DataFrame({"user": [1, 2], "click": [0, 1]})
        path = folder / f"part-0.{suffix}"
        frame.write_csv(path) if suffix == "csv" else frame.write_parquet(path)
    files = find_files(str(tmp_path), Impressions(files=["dt=*"]))
    assert [file.columns for file in files] == [("user", "click", "dt", "scene")] * 2
    blocks = [block.frame.cast(pl.String).rows() for file in files for block in read_all(file)]
    assert blocks == [
        [("1", "0", "2026-03-14", "a/b"), ("2", "1", "2026-03-14", "a/b")],
        [("1", "0", "2026-03-15", None), ("2", "1", "2026-03-15", None)],
    ]


@pytest.mark.parametrize("pattern", ["**.csv", "", "/", "."])
def test_a_pattern_that_can_match_nothing(folder: Path, pattern: str) -> None:
    with pytest.raises(InputError, match=r"the declaration's files: '.*' can match no file; give names"):
        find_files(str(folder), Impressions(files=[pattern]))


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-16"])
def test_utf_16_is_refused_by_name(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "log.csv").write_bytes("x,y\n1,2\n".encode(encoding))
    with pytest.raises(
        InputError, match=r"log.csv:1: the header has NUL bytes: is the file UTF-16\? Write it"
    ):
        find_files(str(tmp_path), Impressions(files=["log.csv"]))


@pytest.mark.parametrize("rows", [1, 300_000])
def test_lines_that_end_in_cr_only(tmp_path: Path, rows: int) -> None:
    (tmp_path / "log.csv").write_bytes(b"x,y\r" + b"1,2\r" * rows)
    with pytest.raises(InputError, match=r"log.csv:1: lines end in CR only: rewrite the file with LF"):
        find_files(str(tmp_path), Impressions(files=["log.csv"]))


def test_lines_may_end_in_cr_and_lf(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_bytes(b"x,y\r\n1,2\r\n")
    [file] = find_files(str(tmp_path), Impressions(files=["log.csv"]))
    assert (file.columns, file.data_start) == (("x", "y"), 5)


def test_a_header_that_csv_cannot_hold(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("x" * 200_000 + ",y\n1,2\n")
    with pytest.raises(InputError, match=r"log.csv:1: the header cannot be parsed: field larger"):
        find_files(str(tmp_path), Impressions(files=["log.csv"]))


DATED = ("log-2026-03-14.csv", "log-20260315.csv", "log-2026_03_16.csv")


@pytest.fixture
def dated(tmp_path: Path) -> Path:
    others = ("log-2026-13-01.csv", "log-99999999.csv", "log-notes-new.csv", "day/2026-03-14/part-0.csv")
    tables = ("items-2026-03-14.csv", "items-20260315.csv")
    for name in (*DATED, *others, *tables):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x,y\n1,2\n")
    return tmp_path


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("log-{data_day}.csv", sorted(DATED)),
        ("log-{2026-03-15}.csv", ["log-20260315.csv"]),
        ("day/{data_day}", ["day/2026-03-14/part-0.csv"]),
        ("**/{data_day}/part-*.csv", ["day/2026-03-14/part-0.csv"]),
    ],
)
def test_a_date_in_a_pattern_is_any_date_however_it_is_written(
    dated: Path, pattern: str, expected: list[str]
) -> None:
    assert [file.name for file in find_files(str(dated), Impressions(files=[pattern]))] == expected


def test_of_a_table_for_each_day_the_newest_is_read_and_a_days_own_where_it_is_named(dated: Path) -> None:
    def names(pattern: str) -> list[str]:
        return [file.name for file in find_files(str(dated), Lookup(files=[pattern], key="x"))]

    assert names("items-{data_day}.csv") == ["items-20260315.csv"]
    assert names("items-{2026-03-14}.csv") == ["items-2026-03-14.csv"]
    with pytest.raises(InputError, match=r"no file matches items-\{2026-03-16\}\.csv .* stands for a date"):
        names("items-{2026-03-16}.csv")
