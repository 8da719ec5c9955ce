"""Files of several days, cut into days: together they hold what the file held, in its bytes."""

from __future__ import annotations

import gzip
import json
import random
from datetime import datetime, timezone
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest

from components.dataset.files import find_files
from components.dataset.parquet import read_table, write_table
from pipeline.daily.cut import CutFiles
from pipeline.daily.days import file_named, read_deliveries
from pipeline.daily.declared import for_day
from tests.components.example_gen.small import DAY_MS, FIRST_DAY_MS, LOG_HEADER, declare
from tests.pipeline.daily.test_days import DAYS, line, rows_of, write


def cut(folder: Path, name: str, settings: list[str] | None = None) -> dict[str, Path]:
    declaration = declare(folder, settings or [])
    file = file_named(declaration.impressions, str(folder), name)
    files = CutFiles(folder / "book" / "cut")
    return {day: files.of_day(file, day, declaration) for day in DAYS}


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("packed", [False, True])
def test_each_line_is_in_the_file_of_its_day_as_it_was(tmp_path: Path, ending: str, packed: bool) -> None:
    lines = [text for day in range(3) for text in rows_of(day)]
    random.Random(1).shuffle(lines)
    # One that is no row, one whose time cannot be read, and an empty one stay with the line before.
    lines[10:10] = [lines[9].replace("a", '"a, b"', 1), "only,three,values", "noon,1,1,a,0,1,2,x,note", ""]
    name = "log.csv.gz" if packed else "log.csv"
    data = (ending.join([LOG_HEADER, *lines]) + ending).encode()
    (tmp_path / name).write_bytes(gzip.compress(data) if packed else data)
    found = {}
    for day, path in cut(tmp_path, name).items():
        assert path.name == name
        content = gzip.decompress(path.read_bytes()) if packed else path.read_bytes()
        header, *found[day] = content.decode().split(ending)[:-1]
        assert header == LOG_HEADER
    assert sorted(text for of_day in found.values() for text in of_day) == sorted(lines)
    [home] = [of_day for of_day in found.values() if "only,three,values" in of_day]
    at = home.index("only,three,values")
    assert home[at - 1 : at + 3] == lines[10:14]
    for day, of_day in found.items():
        begin = FIRST_DAY_MS + DAYS.index(day) * DAY_MS
        times = [int(text.split(",")[0]) for text in of_day if text[:1].isdigit()]
        assert all(begin <= time < begin + DAY_MS for time in times)


def test_json_lines_and_the_keys_of_folders(tmp_path: Path) -> None:
    names = LOG_HEADER.split(",")
    kept = [name for name in names if name != "scene"]
    path = tmp_path / "scene=7" / "log.jsonl"
    path.parent.mkdir()
    rows = [dict(zip(names, line(n % 3, n).split(","), strict=True)) for n in range(90)]
    path.write_text("".join(json.dumps({name: row[name] for name in kept}) + "\n" for row in rows))
    for path in cut(tmp_path, "scene=7/log.jsonl", ["impressions.files=['**/log*.jsonl']"]).values():
        assert path.parent.name == "scene=7"
        assert len(path.read_text().splitlines()) == 30


def test_parquet_keeps_its_types(tmp_path: Path) -> None:
    moments = [datetime.fromtimestamp((FIRST_DAY_MS + n * 3_600_000) / 1000, timezone.utc) for n in range(72)]
    table = pa.table(
        {
            "at": pa.array(moments, pa.timestamp("ms", "UTC")),
            "scene": pa.array([1] * 72, pa.int16()),
            "click": pa.array([n % 2 == 0 for n in range(72)]),
            "tags": pa.array([[f"t{n}"] for n in range(72)], pa.list_(pa.string())),
            "kind": pa.array([f"k{n % 3}" for n in range(72)]).dictionary_encode(),
        }
    )
    write_table(table, tmp_path / "log.parquet", row_group_size=50)
    parts = [
        read_table(path)
        for path in cut(tmp_path, "log.parquet", ["impressions.files=['log*.parquet']"]).values()
    ]
    assert [len(part) for part in parts] == [24, 24, 24]
    assert all(part.schema.equals(table.schema) for part in parts)
    assert pl.concat(pl.from_arrow(part) for part in parts).equals(pl.from_arrow(table))


def test_a_day_reads_its_own_rows_alone(tmp_path: Path) -> None:
    write(
        tmp_path,
        {"log.csv": [text for day in range(3) for text in rows_of(day)], "log-more.csv": rows_of(1, 5)},
    )
    declaration = declare(tmp_path, [])
    arrived = read_deliveries(declaration, str(tmp_path), tmp_path / "book/files.json")
    delivery = arrived.days[DAYS[1]]
    assert delivery.shared == ["log.csv"]
    part = CutFiles(tmp_path / "book/cut").of_day(
        file_named(declaration.impressions, str(tmp_path), "log.csv"), DAYS[1], declaration
    )
    files = find_files(str(tmp_path), for_day(declaration, delivery, {"log.csv": part}).impressions)
    assert {Path(file.path) for file in files} == {part, tmp_path / "log-more.csv"}
    assert len(part.read_text().splitlines()) == 61


def test_a_file_that_has_changed_is_cut_again_and_all_leave_in_the_end(tmp_path: Path) -> None:
    write(tmp_path, {"log.csv": [*rows_of(0), *rows_of(1)]})
    files = CutFiles(tmp_path / "book" / "cut")
    declaration = declare(tmp_path, [])
    one = files.of_day(file_named(declaration.impressions, str(tmp_path), "log.csv"), DAYS[0], declaration)
    write(tmp_path, {"log.csv": [*rows_of(0, 61), *rows_of(1)]})
    other = files.of_day(file_named(declaration.impressions, str(tmp_path), "log.csv"), DAYS[0], declaration)
    assert len(other.read_text().splitlines()) == len(one.read_text().splitlines()) + 1
    files.clear()
    assert not (tmp_path / "book" / "cut").exists()
