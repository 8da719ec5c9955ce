"""Which days a folder holds, whatever files their rows lie in."""

from __future__ import annotations

import gzip
import random
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.dataset.day_names import day_in
from components.dataset.declaration import Declaration
from components.errors import InputError
from pipeline.daily.days import Deliveries, read_deliveries
from tests.components.example_gen.small import DAY_MS, FIRST_DAY_MS, LOG_HEADER, declare

DAYS = ["2022-04-25", "2022-04-26", "2022-04-27"]


def line(day: int, row: int, minutes: int = 0) -> str:
    at = FIRST_DAY_MS + day * DAY_MS + (row + minutes) * 60_000
    return f"{at},{row % 2},{row % 3 + 1},a,{row % 2},1,2,x,note {row}"


def rows_of(day: int, count: int = 60) -> list[str]:
    return [line(day, row) for row in range(count)]


def write(folder: Path, files: dict[str, list[str]]) -> None:
    for name, lines in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join([LOG_HEADER, *lines]) + "\n")


def read(folder: Path, settings: list[str] | None = None) -> Deliveries:
    declaration = declare(folder, settings or [])
    return read_deliveries(declaration, str(folder), folder / "book" / "files.json")


def test_one_file_a_day(tmp_path: Path) -> None:
    write(tmp_path, {f"log-{day}.csv": rows_of(day) for day in range(3)})
    found = read(tmp_path)
    assert list(found.days) == DAYS
    assert [day.rows for day in found.days.values()] == [60, 60, 60]
    assert found.days[DAYS[1]].parts.keys() == {"log-1.csv"}
    assert found.notes == []


@given(seed=st.integers(0, 10**6), files=st.integers(1, 5))
def test_a_day_is_its_rows_whatever_files_they_lie_in(
    tmp_path_factory: pytest.TempPathFactory, seed: int, files: int
) -> None:
    folder = tmp_path_factory.mktemp("spread")
    write(folder / "a", {f"log-{day}.csv": rows_of(day) for day in range(3)})
    lines = [text for day in range(3) for text in rows_of(day)]
    random.Random(seed).shuffle(lines)
    write(folder / "b", {f"log-{n}.csv": lines[n::files] for n in range(files)})
    one, other = read(folder / "a").days, read(folder / "b").days
    assert {day: found.fingerprint for day, found in one.items()} == {
        day: found.fingerprint for day, found in other.items()
    }


def test_a_changed_value_or_a_row_more_is_another_day(tmp_path: Path) -> None:
    write(tmp_path / "a", {"log-0.csv": rows_of(0), "log-1.csv": rows_of(1)})
    write(
        tmp_path / "b",
        {"log-0.csv": [*rows_of(0)[:-1], line(0, 59).replace("note", "no")], "log-1.csv": rows_of(1)},
    )
    write(tmp_path / "c", {"log-0.csv": rows_of(0, 61), "log-1.csv": rows_of(1)})
    first = [read(tmp_path / name).days[DAYS[0]].fingerprint for name in "abc"]
    second = [read(tmp_path / name).days[DAYS[1]].fingerprint for name in "abc"]
    assert len(set(first)) == 3
    assert len(set(second)) == 1


def test_a_column_of_another_name_is_another_day(tmp_path: Path) -> None:
    """As the good file of a day that came with a column renamed is: its values are those of before."""
    for name, header in (("a", LOG_HEADER), ("b", LOG_HEADER.replace("item", "item_of"))):
        write(tmp_path / name, {"log-0.csv": rows_of(0), "log-1.csv": rows_of(1)})
        path = tmp_path / name / "log-0.csv"
        path.write_text(path.read_text().replace(LOG_HEADER, header))
    one, other = (read(tmp_path / name).days for name in "ab")
    assert one[DAYS[0]].fingerprint != other[DAYS[0]].fingerprint
    assert one[DAYS[1]].fingerprint == other[DAYS[1]].fingerprint


@pytest.mark.parametrize(
    ("value", "other"),
    [
        ([["a", "b"], None, []], [["a", "c"], None, []]),
        ([{"x": 1}, None, {"x": 2}], [{"x": 1}, None, {"x": 3}]),
        ([b"\xff", None, b"text"], [b"\xfe", None, b"text"]),
        ([timedelta(1), None, timedelta(2)], [timedelta(1), None, timedelta(3)]),
    ],
    ids=["lists", "objects", "bytes", "durations"],
)
def test_a_day_is_known_by_the_values_of_columns_of_any_type(
    tmp_path: Path, value: list[Any], other: list[Any]
) -> None:
    """As the lists of JSON and Parquet, which have no text."""
    found = []
    for folder, values in (("a", value), ("b", other), ("c", value)):
        rows = [dict(zip(LOG_HEADER.split(","), line(0, row).split(","), strict=True)) for row in range(60)]
        table = pl.DataFrame(rows).with_columns(pl.Series("more", values * 20))
        (tmp_path / folder).mkdir()
        table.write_parquet(tmp_path / folder / "log.parquet")
        found.append(read(tmp_path / folder, ["impressions.files=[log.parquet]"]).days[DAYS[0]].fingerprint)
    assert found[0] == found[2]
    assert found[0] != found[1]


def test_a_file_delivered_twice_changes_nothing(tmp_path: Path) -> None:
    write(tmp_path, {f"log-{day}.csv": rows_of(day) for day in range(2)})
    before = read(tmp_path).days[DAYS[1]]
    write(tmp_path, {"log-1-again.csv": rows_of(1)})
    after = read(tmp_path).days[DAYS[1]]
    assert after.fingerprint == before.fingerprint
    assert after.repeats == {"log-1.csv": "log-1-again.csv"}


def test_late_rows_belong_to_their_own_day_and_make_no_day_of_their_own(tmp_path: Path) -> None:
    late, early = line(0, 900), line(9, 0)
    write(tmp_path, {"log-0.csv": rows_of(0), "log-1.csv": [*rows_of(1, 200), late, early]})
    found = read(tmp_path)
    assert list(found.days) == DAYS[:2]
    assert found.days[DAYS[0]].rows == 61
    assert found.notes == [
        "1 rows of 2022-05-04 lie in files of other days, and no file delivers that day: left out"
    ]


def test_days_are_those_of_the_declared_zone(tmp_path: Path) -> None:
    write(tmp_path, {"log.csv": [line(0, 0), line(0, 1439)]})
    assert list(read(tmp_path).days) == [DAYS[0]]
    (tmp_path / "book" / "files.json").unlink()
    assert list(read(tmp_path, ["time_zone=UTC"]).days) == ["2022-04-24", DAYS[0]]


def test_a_day_that_has_only_just_begun_is_none_yet(tmp_path: Path) -> None:
    write(tmp_path, {"log-0.csv": rows_of(0), "log-1.csv": rows_of(1), "log-2.csv": rows_of(2, 3)})
    found = read(tmp_path)
    assert list(found.days) == DAYS[:2]
    assert found.notes == ["2022-04-27 has 3 rows where 60 are usual: it has only just begun"]


def test_an_unreadable_file_is_the_day_that_is_missing_there(tmp_path: Path) -> None:
    write(tmp_path, {"log-0.csv": rows_of(0), "log-2.csv": rows_of(2)})
    (tmp_path / "log-1.csv").write_text("\n".join(["moment" + LOG_HEADER[2:], *rows_of(1)]) + "\n")
    found = read(tmp_path)
    assert list(found.days) == DAYS
    [problem] = found.days[DAYS[1]].problems
    assert "log-1.csv: has no column at (the timestamp)" in problem
    good = found.days[DAYS[1]].fingerprint
    write(tmp_path, {"log-1.csv": rows_of(1)})
    assert read(tmp_path).days[DAYS[1]].problems == []
    assert read(tmp_path).days[DAYS[1]].fingerprint != good


def test_times_in_another_unit_are_a_problem_of_their_day(tmp_path: Path) -> None:
    write(tmp_path, {"log-0.csv": rows_of(0), "log-2.csv": rows_of(2)})
    write(tmp_path, {"log-1.csv": [text.replace("000,", ",", 1) for text in rows_of(1)]})
    [problem] = read(tmp_path).days[DAYS[1]].problems
    assert "log-1.csv: none of the 60 rows has a readable time in column at (unit ms)" in problem


def test_half_a_compressed_file_is_a_problem_of_its_day(tmp_path: Path) -> None:
    write(tmp_path, {"log-0.csv": rows_of(0), "log-1.csv": rows_of(1)})
    whole = gzip.compress("\n".join([LOG_HEADER, *rows_of(2, 5000)]).encode())
    (tmp_path / "log-2.csv.gz").write_bytes(whole[: len(whole) // 2])
    found = read(tmp_path, ["impressions.files=['log*']"])
    assert len(found.days[DAYS[2]].problems) == 1


def test_files_that_did_not_change_are_not_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, {f"log-{day}.csv": rows_of(day) for day in range(3)})
    before = read(tmp_path)
    read_again = []

    def note(declaration: Declaration, data_dir: str, name: str, section: object) -> dict[str, object]:
        read_again.append(name)
        return {}

    monkeypatch.setattr("pipeline.daily.days._days_of", note)
    assert read(tmp_path) == before
    assert read_again == []
    write(tmp_path, {"log-1.csv": rows_of(1, 61)})
    read(tmp_path)
    assert read_again == ["log-1.csv"]


@pytest.mark.parametrize(
    ("name", "pattern", "day"),
    [
        ("log-2026-03-14.csv", "log-{data_day}.csv", "2026-03-14"),
        ("2026-03-14/part-0.csv", "{data_day}/*.csv", "2026-03-14"),
        ("a/b/2026-03-14.csv.gz", "**/{data_day}.csv.gz", "2026-03-14"),
        ("dt=2026-03-14/scene=feed/part-0.parquet", "**/*.parquet", "2026-03-14"),
        ("feed/ds=20260314/part-0.parquet", "feed/*/*.parquet", "2026-03-14"),
        ("dia=2026-03-14/part-0.csv.gz", "dia=*/part-*.csv.gz", "2026-03-14"),
        ("user=20260314/part-0.csv", "user=*/*.csv", None),
        ("log-20260314.csv", "log-{data_day}.csv", "2026-03-14"),
        ("log_2026_03_14.csv", "log_{data_day}.csv", "2026-03-14"),
        ("in/2026-03-14/part-0.csv", "in/{data_day}", "2026-03-14"),
        ("log-2026-03-14.csv", "log-{2026-03-14}.csv", "2026-03-14"),
        ("log-2026-13-14.csv", "log-{data_day}.csv", None),
        ("log-2026-03-14.csv", "log-*.csv", None),
        ("part-017.csv", "part-*.csv", None),
    ],
)
def test_the_day_in_a_name(name: str, pattern: str, day: str | None) -> None:
    assert day_in(name, pattern) == day


def test_a_declared_date_finds_the_files_of_all_days(tmp_path: Path) -> None:
    write(tmp_path, {f"in/{day}.csv": rows_of(n) for n, day in enumerate(DAYS)})
    write(tmp_path, {"in/other.csv": rows_of(7)})
    assert list(read(tmp_path, ["impressions.files=['in/{data_day}.csv']"]).days) == DAYS


def test_events_belong_to_their_day_or_to_the_next_that_has_impressions(tmp_path: Path) -> None:
    write(tmp_path, {f"log-{day}.csv": rows_of(day) for day in (0, 2)})
    times = [FIRST_DAY_MS + day * DAY_MS + 1 for day in (-20, 0, 1, 2, 3)]
    (tmp_path / "search.csv").write_text("when,user\n" + "".join(f"{time},1\n" for time in times))
    events = "events=[{files: [search.csv], timestamp: {column: when, unit: ms}}]"
    found = read(tmp_path, [events]).days
    assert {day: one.event_rows for day, one in found.items()} == {DAYS[0]: 2, DAYS[2]: 2}
    assert (found[DAYS[0]].after, found[DAYS[2]].after) == (None, DAYS[0])
    without = read(tmp_path).days
    assert found[DAYS[0]].fingerprint != without[DAYS[0]].fingerprint
    with (tmp_path / "search.csv").open("a") as stream:
        stream.write(f"{times[2]},2\n")
    again = read(tmp_path, [events]).days
    assert again[DAYS[0]].fingerprint == found[DAYS[0]].fingerprint
    assert (again[DAYS[2]].event_rows, again[DAYS[2]].fingerprint == found[DAYS[2]].fingerprint) == (3, False)
    (tmp_path / "search.csv").write_text("at,user\n1,1\n")
    with pytest.raises(InputError, match="when"):
        read(tmp_path, [events])
