"""Samples are spread over the files, and are the files when these are small."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pytest

from components.dataset.files import DataFile, find_files
from components.dataset.sections import Impressions
from pipeline.datasets import sampling
from pipeline.datasets.sampling import sample_rows


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """What counts as small, smaller."""
    monkeypatch.setattr(sampling, "WHOLE_BYTES", 10_000)
    monkeypatch.setattr(sampling, "WINDOW_BYTES", 1_024)


def files(folder: Path, name: str, rows: int = 30_000) -> list[DataFile]:
    frame = pl.DataFrame({"n": range(rows), "text": [f"value {n % 7}" for n in range(rows)]})
    if name.endswith("parquet"):
        frame.write_parquet(folder / name, row_group_size=1_000)
    else:
        (folder / name).write_text(frame.write_csv())
    return find_files(str(folder), Impressions(files=[name]))


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("name", ["log.csv", "log.parquet"])
def test_a_sample_reaches_from_the_first_row_to_the_last(tmp_path: Path, name: str) -> None:
    found, likely, bad = sample_rows(files(tmp_path, name), 3_000)
    numbers = found["n"].cast(pl.Int64)
    assert 1_500 <= len(found) <= 6_000
    assert likely == pytest.approx(30_000, rel=0.1)
    assert bad == 0
    assert numbers.n_unique() == len(numbers)
    assert numbers[0] == 0
    assert numbers[-1] >= 29_000
    # Every tenth of the log is there.
    assert set((numbers // 3_000).to_list()) == set(range(10))


@pytest.mark.parametrize("name", ["log.csv", "log.parquet"])
def test_small_files_are_their_own_sample(tmp_path: Path, name: str) -> None:
    found, likely, _ = sample_rows(files(tmp_path, name, 500), 100)
    assert found["n"].cast(pl.Int64).to_list() == list(range(500))
    assert likely == 500


def test_files_of_other_types_meet_as_text(tmp_path: Path) -> None:
    pl.DataFrame({"n": [1, 2]}).write_parquet(tmp_path / "a.parquet")
    pl.DataFrame({"n": ["x"]}).write_parquet(tmp_path / "b.parquet")
    found, _, _ = sample_rows(find_files(str(tmp_path), Impressions(files=["*.parquet"])), 100)
    assert found["n"].to_list() == ["1", "2", "x"]


def test_bytes_are_text_where_they_can_be(tmp_path: Path) -> None:
    pl.DataFrame({"n": [b"a", b"\xff", None]}).write_parquet(tmp_path / "a.parquet")
    found, _, _ = sample_rows(find_files(str(tmp_path), Impressions(files=["a.parquet"])), 100)
    assert found["n"].to_list() == ["a", None, None]


def test_a_file_without_a_row_group_has_nothing_to_sample(tmp_path: Path) -> None:
    path = tmp_path / "part-0.parquet"
    with pq.ParquetWriter(path, pl.DataFrame({"a": [1]}).to_arrow().schema):
        pass
    [file] = find_files(str(tmp_path), Impressions(files=["part-0.parquet"]))
    assert list(sampling.spread(file, 3)) == []
