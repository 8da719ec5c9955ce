"""Files that look like the log and that nobody reads: named, with what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from components.dataset.declaration import Declaration
from components.dataset.files import data_fingerprint
from components.dataset.unread import file_notes, unread_files, unread_message

HEADER = "user,ts,tab,click\n"


def declared(files: list[str], ignore: tuple[str, ...] = ()) -> Declaration:
    return Declaration.model_validate(
        {
            "name": "log",
            "impressions": {"files": files, "ignore": list(ignore)},
            "lookups": [{"files": "users-1.csv", "key": "user"}],
            "label": "click",
            "domain": "tab",
            "timestamp": {"column": "ts", "unit": "s"},
            "features": {"tab": {"type": "string", "treatment": "vocabulary"}},
        }
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for day in range(1, 4):
        (tmp_path / f"log-2026-03-0{day}.csv").write_text(HEADER + f"1,{1_700_000_000 + day},a,1\n")
    (tmp_path / "users-1.csv").write_text("user,age\n1,2\n")
    return tmp_path


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("log-2026-04-01.csv", HEADER),
        ("log-2026-03-10.csv.gz", ""),
        ("log-2026-03-04.parquet", ""),
        ("later/april.csv", HEADER),
        ("april.csv", "click,tab,ts,user\n"),
    ],
)
def test_tomorrows_file_is_named(folder: Path, name: str, header: str) -> None:
    data = declared(["log-2026-03-0*.csv"])
    assert unread_message(data, str(folder)) == ""
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text(header)
    assert unread_files(data, str(folder)) == [name]
    assert unread_message(data, str(folder)) == (
        f"1 file looks like the log and no pattern matches: {name}; add a pattern to `impressions.files`, or name "
        "under `impressions.ignore` what is to stay unread"
    )
    assert unread_message(declared(["log-2026-03-0*.csv"], (name,)), str(folder)) == ""


@pytest.mark.parametrize(
    "name", ["notes.txt", "_SUCCESS", "users-2.csv", "_temporary/log-2026-03-04.csv", "odd.csv"]
)
def test_what_does_not_look_like_the_log_is_not_named(folder: Path, name: str) -> None:
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text("" if name == "odd.csv" else "user,age\n1,2\n")
    assert unread_files(declared(["log-2026-03-0*.csv"]), str(folder)) == []


def test_a_file_that_a_pattern_matches_changes_the_fingerprint(folder: Path) -> None:
    """A run looks anew: what was computed without tomorrow's file is not taken from the cache."""
    data = declared(["log-????-??-??.csv"])
    before = data_fingerprint(data, str(folder))
    (folder / "log-2026-04-01.csv").write_text(HEADER)
    assert data_fingerprint(data, str(folder)) != before
    assert unread_files(data, str(folder)) == []


def test_a_table_whose_log_says_which_files_count(folder: Path) -> None:
    data = declared(["log-2026-03-0*.csv"])
    assert file_notes(data, str(folder)) == []
    (folder / "_delta_log").mkdir()
    [note] = file_notes(data, str(folder))
    assert note.startswith(f"{folder.name} is a Delta table: its own log says which files count")
