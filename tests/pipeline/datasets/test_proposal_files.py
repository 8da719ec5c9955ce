"""What `dataset new` makes of the files, folders and globs that it is given: tomorrow's are read too."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from components.dataset.files import find_files
from components.errors import InputError
from pipeline.datasets.checking.check import check
from pipeline.datasets.proposal.named_files import named_after
from pipeline.datasets.proposal.propose import ProposalRequest
from tests.pipeline.datasets.proposed import Written, columns, write


def day_of(folder: Path, name: str, part: int, parts: int, drop: tuple[str, ...] = ()) -> Path:
    """A part of a log of ten days, in time."""
    frame = pl.DataFrame(columns())
    size = len(frame) // parts
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    frame = frame.slice(part * size, size).drop(*drop)
    frame.write_parquet(path) if path.suffix == ".parquet" else frame.write_csv(path)
    return path


def proposed(folder: Path, files: list[Path], **more: object) -> Written:
    return write(ProposalRequest(files, output=folder.parent / "a.yaml", yes=True, force=True, **more))  # type: ignore[arg-type]


def names(written: Written) -> list[str]:
    found = find_files(str(written.proposal.data_dir), written.declaration.impressions)
    return [file.name for file in found]


@pytest.mark.parametrize(
    ("made", "later", "pattern"),
    [
        ("log-2026-03-{:02}.csv", "log-2026-04-01.csv", "log-????-??-??.csv"),
        ("part-{}.csv", "part-10.csv", "part-*.csv"),
        ("2026/03/{:02}/log.csv", "2026/04/01/log.csv", "????/??/??/log.csv"),
        ("dt=2026-03-{:02}/part-0.parquet", "dt=2026-04-01/part-7.parquet", "dt=*/part-*.parquet"),
        ("x-{:02}.csv", "x-11.csv", "x-*.csv"),
    ],
)
def test_tomorrows_file_is_read(tmp_path: Path, made: str, later: str, pattern: str) -> None:
    data = tmp_path / "data"
    files = [day_of(data, made.format(day), day - 1, 9) for day in range(1, 10)]
    written = proposed(data, files)
    assert written.declaration.impressions.files == [pattern]
    assert written.proposal.data_dir == data
    assert not any("matches" in warning for warning in written.proposal.draft.warnings)
    day_of(data, later, 0, 9)
    assert later in names(written)
    result = check(written.declaration, data, quick=True)
    assert "10 file(s) of impressions" in " ".join(finding.found for finding in result.findings)


def test_hive_folders(tmp_path: Path) -> None:
    """Keys are columns: the domain is one of them, the day is a part of the time."""
    data = tmp_path / "feed"
    for day in range(10):
        for number, scene in enumerate(("app", "web")):
            part = 2 * day + number
            day_of(
                data,
                f"dt=2024-05-{6 + day:02}/scene={scene}/part-{part}.c000.snappy.parquet",
                part,
                20,
                ("channel",),
            )
    (data / "dt=2024-05-06" / "_SUCCESS").touch()
    for argument in (data, data / "**" / "*.parquet", data / "dt=*"):
        written = proposed(data, [argument], roles={"domain": "scene"})
        assert written.declaration.impressions.files == ["dt=*/scene=*/part-*.parquet"]
        assert written.proposal.data_dir == data
        assert written.declaration.domain == "scene"
        assert "dt" not in written.declaration.features
        assert written.proposal.rows == 3000
        assert named_after(argument) == "feed"


@pytest.mark.parametrize("name", ["log-2024-05-06.csv", "dt=2024-05-06/part-0.parquet", "2024/05/06/log.csv"])
def test_one_day_is_enough_to_know_of_the_next(tmp_path: Path, name: str) -> None:
    data = tmp_path / "data"
    written = proposed(data, [day_of(data, name, 0, 1)])
    later = name.replace("05", "06")
    day_of(data, later, 0, 1)
    assert names(written) == [name, later]


def test_files_that_were_not_named_are_said(tmp_path: Path) -> None:
    data = tmp_path / "data"
    files = [day_of(data, f"log-2026-03-{day:02}.csv", day - 1, 14) for day in range(1, 15)]
    written = proposed(data, files[:9])
    assert written.proposal.rows == 14 * (3000 // 14)
    assert any(
        "matches 5 files that were not named (log-2026-03-10.csv, " in w
        for w in written.proposal.draft.warnings
    )
    # One of several was meant to be the only one.
    written = proposed(data, files[:1])
    assert written.declaration.impressions.files == ["log-2026-03-01.csv"]
    assert any(
        w.startswith("13 files look like the log and no pattern") for w in written.proposal.draft.warnings
    )


def test_files_of_other_columns_are_not_taken_in(tmp_path: Path) -> None:
    data = tmp_path / "data"
    files = [day_of(data, f"log-{part}.csv", part, 2) for part in range(2)]
    (data / "log-9.csv").write_text("a,b\n1,2\n")
    assert proposed(data, files).declaration.impressions.files == ["log-0.csv", "log-1.csv"]


def test_names_without_dates_or_numbers(tmp_path: Path) -> None:
    data = tmp_path / "data"
    for part, name in enumerate(("north", "south", "west")):
        day_of(data, f"{name}.csv", part, 3)
    files = sorted(data.iterdir())
    assert proposed(data, files).declaration.impressions.files == ["*.csv"]
    assert proposed(data, [data]).declaration.impressions.files == ["*.csv"]
    assert proposed(data, files[:2]).declaration.impressions.files == ["north.csv", "south.csv"]
    assert proposed(data, [data / "*th.csv"]).declaration.impressions.files == ["*th.csv"]


def test_lookup_tables_are_not_taken_for_the_log(tmp_path: Path) -> None:
    """A folder of part files is a lookup as a file is; what a lookup names is not the log's."""
    data = tmp_path / "data"
    day_of(data, "log-1.csv", 0, 2)
    day_of(data, "log-2.csv", 1, 2)
    (data / "shops.csv").mkdir()
    for part, channel in enumerate(("app", "web", "mail")):
        (data / "shops.csv" / f"part-{part}.csv").write_text(f"channel,size\n{channel},{part}\n")
    written = proposed(data, [data], lookups=[f"{data}/shops.csv=channel"])
    assert written.declaration.impressions.files == ["log-*.csv"]
    assert written.declaration.lookups[0].files == ["shops.csv"]
    assert written.proposal.draft.sources.lookups[0].matched == 1.0


@pytest.mark.parametrize("argument", ["none", "none/*.csv", "none.csv"])
def test_nothing_is_there(tmp_path: Path, argument: str) -> None:
    (tmp_path / "none").mkdir()
    with pytest.raises(InputError, match=r"none.*: no (such file|file of csv, JSON lines or Parquet)"):
        proposed(tmp_path, [tmp_path / argument])
