"""KuaiRand's real logs, where they are present."""

from __future__ import annotations

import csv
import os
from collections import Counter
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import apache_beam as beam
import polars as pl
import pytest

from components.beam_jobs import beam_runner
from components.dataset import load_declaration
from components.dataset.files import data_fingerprint
from components.example_gen.ingest import ingest
from pipeline.beam_runner import beam_args
from tests.components.example_gen.small import read_columns

KUAIRAND = Path(os.environ.get("KUAIRAND_DIR", "KuaiRand-Pure"))
LOG = KUAIRAND / "data" / "log_standard_4_22_to_5_08_pure.csv"

pytestmark = pytest.mark.skipif(
    not LOG.is_file(), reason=f"KuaiRand-Pure is not at {KUAIRAND}; name its folder in KUAIRAND_DIR"
)


def pipeline() -> beam.Pipeline:
    return beam.Pipeline(argv=list(beam_args("direct", ["workers=1"])))


@pytest.fixture(scope="module")
def ingested(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    out = tmp_path_factory.mktemp("kuairand")
    declaration = load_declaration("kuairand-pure")
    uris = {split: str(out / f"Split-{split}") for split in ("train", "eval")}
    return ingest(declaration, str(KUAIRAND), uris, str(out / "tmp"), beam_runner(pipeline)), out


@pytest.fixture(scope="module")
def unique_rows() -> list[dict[str, str]]:
    """The log's rows without exact duplicates, by the csv module."""
    with LOG.open(newline="") as stream:
        rows = list(csv.reader(stream))
    return [dict(zip(rows[0], row, strict=True)) for row in dict.fromkeys(tuple(row) for row in rows[1:])]


def day(row: dict[str, str]) -> str:
    zone = timezone(timedelta(hours=8))
    return datetime.fromtimestamp(int(row["time_ms"]) / 1000, zone).date().isoformat()


def test_counts(ingested: tuple[dict[str, Any], Path], unique_rows: list[dict[str, str]]) -> None:
    report, _ = ingested
    days = Counter(day(row) for row in unique_rows)
    assert report["rows_read"] == 185_061
    assert report["duplicates"] == 4_677
    assert report["rejected"] == 0
    assert set(report["unmatched"].values()) == {0}
    assert (report["first_day"], report["last_day"]) == (min(days), max(days)) == ("2022-04-24", "2022-05-05")
    assert report["eval"] == days["2022-05-04"] + days["2022-05-05"]
    assert report["train"] == len(unique_rows) - report["eval"]


def test_examples_are_the_rows(
    ingested: tuple[dict[str, Any], Path], unique_rows: list[dict[str, str]]
) -> None:
    _, out = ingested
    names = ("tab", "user_id", "video_id", "is_click", "duration_ms", "local_time_ms")
    written = pl.concat(read_columns(out, split, names) for split in ("train", "eval"))
    written = written.select(pl.col(name).list.first().cast(pl.Int64) for name in names)
    expected = pl.DataFrame(unique_rows).with_columns(pl.col("time_ms").cast(pl.Int64) + 8 * 3_600_000)
    expected = expected.rename({"time_ms": "local_time_ms"}).select(
        pl.col(name).cast(pl.Int64) for name in names
    )
    assert written.sort(names).equals(expected.sort(names))
    tabs = dict(written["tab"].value_counts().iter_rows())
    assert tabs == {
        1: 140_067, 0: 16_473, 4: 10_981, 2: 5_233, 6: 5_209, 8: 899, 5: 280, 12: 416, 3: 269, 11: 191, 9: 124,
        7: 109, 13: 72, 10: 49, 14: 12,
    }  # fmt: skip


def test_joined_values(ingested: tuple[dict[str, Any], Path]) -> None:
    """User 712 on video 5239, the log's first row, against the tables' own text."""
    _, out = ingested
    names = load_declaration("kuairand-pure").example_columns()
    example = read_columns(out, "train", list(names), batches=1).row(0, named=True)
    tables = {}
    for name, key in (("user_features_pure.csv", "712"), ("video_features_basic_pure.csv", "5239")):
        with (KUAIRAND / "data" / name).open(newline="") as stream:
            tables[name] = next(row for row in csv.DictReader(stream) if next(iter(row.values())) == key)
    user, video = tables.values()
    assert example["user_active_degree"] == [user["user_active_degree"].encode()]
    assert example["onehot_feat3"] == [int(user["onehot_feat3"])]
    assert example["fans_user_num"] == [float(user["fans_user_num"])]
    assert example["tag"] == [tag.encode() for tag in video["tag"].split(",")]
    assert example["music_id"] == [int(video["music_id"])]
    assert example["behaviour.watch_ratio"] == [pytest.approx(61802 / 49866)]
    assert example["local_time_ms"] == [1650812741436 + 8 * 3_600_000]


def test_fingerprint_is_of_the_content_alone(tmp_path: Path) -> None:
    declaration = load_declaration("kuairand-pure")
    (tmp_path / "data").mkdir()
    for file in (KUAIRAND / "data").glob("*.csv"):
        (tmp_path / "data" / file.name).symlink_to(file)
    original = data_fingerprint(declaration, str(KUAIRAND))
    assert data_fingerprint(declaration, str(tmp_path)) == original
    users = tmp_path / "data" / "user_features_pure.csv"
    content = users.read_bytes()
    users.unlink()
    users.write_bytes(content[:-2] + b"9\n")
    assert data_fingerprint(declaration, str(tmp_path)) != original
