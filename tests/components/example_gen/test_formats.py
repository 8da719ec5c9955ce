"""The same rows give the same examples, whatever files they come in."""

from __future__ import annotations

import gzip
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.dataset.read_plan import cut, plan_reading
from components.errors import InputError
from components.example_gen.ingest import SPLITS
from tests.components.example_gen.small import (
    DAY_MS,
    DECLARATION,
    FIRST_DAY_MS,
    USERS,
    declare,
    log_text,
    read_examples,
    run_ingest,
    write_data,
)

LOG = log_text() + log_text().split("\n", 1)[1][:500].rsplit("\n", 1)[0] + "\n"


def examples(out: Path) -> list[Any]:
    return [read_examples(out, split) for split in SPLITS]


@pytest.fixture
def expected(tmp_path: Path) -> list[Any]:
    folder = tmp_path / "csv"
    folder.mkdir()
    run_ingest(declare(folder), write_data(folder, {"log.csv": LOG}), folder / "out")
    return examples(folder / "out")


def test_gzip(tmp_path: Path, expected: list[Any]) -> None:
    declaration = declare(tmp_path, ['impressions.files=["log*.csv.gz"]'])
    data = write_data(tmp_path, {"log.csv.gz": gzip.compress(LOG.encode())})
    report = run_ingest(declaration, data, tmp_path / "out", block_bytes=200)
    assert examples(tmp_path / "out") == expected
    assert report["duplicates"] > 0


def test_other_separator_and_byte_order_mark(tmp_path: Path, expected: list[Any]) -> None:
    text = LOG.replace(";", "/").replace(",", ";").replace("/", "+")
    declaration = declare(tmp_path, ['impressions.separator=";"', "features.tags.separator=+"])
    data = write_data(tmp_path, {"log.csv": b"\xef\xbb\xbf" + text.encode()})
    run_ingest(declaration, data, tmp_path / "out", piece_bytes=300)
    assert examples(tmp_path / "out") == expected


def test_tabs(tmp_path: Path, expected: list[Any]) -> None:
    declaration = declare(tmp_path, ["impressions.files=log.tsv"])
    data = write_data(tmp_path, {"log.tsv": LOG.replace(",", "\t")})
    run_ingest(declaration, data, tmp_path / "out")
    assert examples(tmp_path / "out") == expected


def test_files_in_the_data_folder_and_in_parts(tmp_path: Path, expected: list[Any]) -> None:
    header, *lines = LOG.strip().split("\n")
    declaration = declare(tmp_path)
    data = write_data(tmp_path, {})
    (data / "data").mkdir()
    for part in range(3):
        body = lines[part * 20 : (part + 1) * 20 if part < 2 else None]
        (data / "data" / f"log{part}.csv").write_text("\n".join([header, *body]))
    run_ingest(declaration, data, tmp_path / "out")
    assert examples(tmp_path / "out") == expected


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_small_files_are_read_as_one(tmp_path: Path, expected: list[Any], suffix: str) -> None:
    """Three rows each; one has its columns in another order, one a bad row, two nothing, not even a row group."""
    declaration = declare(tmp_path, [f'impressions.files=["log*{suffix}"]', "max_rejected_share=0.1"])
    data = write_data(tmp_path, {"whole.csv": LOG})
    log = pl.read_csv(data / "whole.csv", infer_schema=suffix == ".parquet")
    bad = log[:1].with_columns(scene=pl.lit(None, log["scene"].dtype))
    parts = [log[start : start + 3] for start in range(0, len(log), 3)]
    parts[4] = parts[4].select(parts[4].columns[::-1])
    parts[7] = pl.concat([parts[7], bad])
    parts[9:9] = parts[:0] = [log[:0]]
    for number, part in enumerate(parts):
        path = data / f"log{number:02d}{suffix}"
        part.write_csv(path) if suffix == ".csv" else _write_parquet(part, path)
    assert [(piece.file, piece.files) for piece in cut(plan_reading(declaration, str(data)))] == [
        (0, len(parts))
    ]
    report = run_ingest(declaration, data, tmp_path / "out")
    assert examples(tmp_path / "out") == expected
    assert [(r["file"], r["line"]) for r in report["rejects"]] == [
        (str(data / f"log08{suffix}"), 5 if suffix == ".csv" else 4)
    ]
    assert [file["rows"] for file in report["files"]] == [len(part) for part in parts]
    assert [file["rejected"] for file in report["files"]] == [int(n == 8) for n in range(len(parts))]


def _write_parquet(frame: pl.DataFrame, path: Path) -> None:
    """As Spark writes a part without rows: no row group."""
    table = frame.to_arrow()
    with pq.ParquetWriter(path, table.schema) as writer:
        if len(table):
            writer.write_table(table)


@pytest.mark.parametrize("row_group_size", [7, 1000])
def test_parquet_with_its_own_types(tmp_path: Path, expected: list[Any], row_group_size: int) -> None:
    declaration = declare(tmp_path, ["impressions.files=log.parquet", "lookups.0.files=users.parquet"])
    data = write_data(tmp_path, {"log.csv": LOG})
    log = pl.read_csv(data / "log.csv").with_columns(
        pl.col("tags").str.split(";"), pl.col("click").cast(pl.Boolean), pl.col("item").cast(pl.Categorical)
    )
    log.write_parquet(data / "log.parquet", row_group_size=row_group_size)
    pl.read_csv(data / "users.csv").write_parquet(data / "users.parquet")
    report = run_ingest(declaration, data, tmp_path / "out", piece_bytes=300)
    assert examples(tmp_path / "out") == expected
    assert report["rows_read"] == len(log)


def test_parquet_names_the_row(tmp_path: Path) -> None:
    declaration = declare(tmp_path, ["impressions.files=log.parquet", "max_rejected_share=0.5"])
    data = write_data(tmp_path, {"log.csv": log_text()})
    log = pl.read_csv(data / "log.csv")
    rows = pl.int_range(len(log), eager=True)
    log = log.with_columns(click=pl.when(rows == 20).then(7).otherwise(pl.col("click")))
    log.write_parquet(data / "log.parquet", row_group_size=5)
    report = run_ingest(declaration, data, tmp_path / "out", piece_bytes=100)
    assert [(r["line"], r["reason"]) for r in report["rejects"]] == [
        (21, "label click: expected 0 or 1, found 7")
    ]


def test_iso_timestamps_and_days_of_the_zone(tmp_path: Path) -> None:
    """16:00 UTC is midnight in Shanghai: the same log has its last day elsewhere in another zone."""
    header, *lines = log_text().strip().split("\n")
    moved = [
        line.replace(line.split(",")[0], f"2022-04-{24 + n // 12}T16:{n % 12:02}:00Z")
        for n, line in enumerate(lines)
    ]
    last = {}
    for zone in ("Asia/Shanghai", "UTC"):
        folder = tmp_path / zone.replace("/", "")
        folder.mkdir()
        declaration = declare(folder, ["timestamp.unit=iso", f"time_zone={zone}"])
        report = run_ingest(
            declaration, write_data(folder, {"log.csv": "\n".join([header, *moved])}), folder / "out"
        )
        last[zone] = report["last_day"]
        first = read_examples(folder / "out", "train")[0]["local_time_ms"]
        assert first == [FIRST_DAY_MS + 8 * 3_600_000 - (0 if zone == "Asia/Shanghai" else 8 * 3_600_000)]
    assert last == {"Asia/Shanghai": "2022-04-28", "UTC": "2022-04-27"}


def test_eval_days_are_days_with_data(tmp_path: Path) -> None:
    """Days without rows do not count: two weeks of nothing before the last day change nothing."""
    text = log_text(days=4).replace(str(FIRST_DAY_MS + 3 * DAY_MS)[:6], str(FIRST_DAY_MS + 17 * DAY_MS)[:6])
    declaration = declare(tmp_path, ["split.eval_days=2"])
    report = run_ingest(declaration, write_data(tmp_path, {"log.csv": text}), tmp_path / "out")
    assert (report["train"], report["eval"]) == (24, 24)


def test_domain_from_a_lookup(tmp_path: Path) -> None:
    text = DECLARATION.replace("domain: scene", "domain: age")
    declaration = declare(tmp_path, ["max_rejected_share=0.6"], text=text)
    data = write_data(tmp_path, {"log.csv": log_text()}, users="user,age\n1,30\n2,\n3,41\n")
    report = run_ingest(declaration, data, tmp_path / "out", piece_bytes=300)
    assert report["rejected"] == 24  # the users 0 (unknown) and 2 (without an age)
    ages = [e["age"] for split in SPLITS for e in read_examples(tmp_path / "out", split)]
    assert ages == [[30], [41]] * 12


def test_another_label_is_one_setting_away(tmp_path: Path) -> None:
    """The old label stays a behaviour; the new one is written as int64."""
    text = DECLARATION.replace("post_exposure:", "columns: {liked: int}\npost_exposure:")
    header, *lines = log_text().strip().split("\n")
    log = "\n".join([header + ",liked", *(f"{line},{n % 2}" for n, line in enumerate(lines))])
    declaration = declare(tmp_path, ["label=liked"], text=text)
    run_ingest(declaration, write_data(tmp_path, {"log.csv": log}), tmp_path / "out")
    rows = read_examples(tmp_path / "out", "train")
    assert [row["liked"] for row in rows[:4]] == [[0], [1], [0], [1]]
    assert "click" not in rows[0]
    assert rows[1]["behaviour.click"] == [1.0]


def test_ids_in_decimals_and_columns_that_nobody_uses(tmp_path: Path, expected: list[Any]) -> None:
    """As warehouses export them: no id is rounded, and the type of an unused column is no matter."""
    data = write_data(tmp_path, {"log.csv": LOG})
    log = pl.read_csv(data / "log.csv")
    digits = 10**18
    users = log["user"].to_list()
    unused: dict[str, pa.Array] = {
        "trace": pa.array([bytes([255, user]) for user in users]),
        "dwell": pa.array(users, pa.duration("ms")),
        "clock": pa.array(users, pa.time32("ms")),
        "record": pa.array([{"a": user} for user in users]),
        "amount": pa.array([Decimal(user) for user in users], pa.decimal256(50, 0)),
    }
    table = pa.table({name: column.to_arrow() for name, column in log.to_dict().items()} | unused)
    ids = pa.array([Decimal(digits + user) for user in users], pa.decimal128(38, 0))
    table = table.set_column(table.schema.get_field_index("user"), "user", ids)
    pq.write_table(table, data / "log.parquet", row_group_size=20)
    long = "user,age\n" + "".join(f"{digits + int(line[0])}{line[1:]}\n" for line in USERS.splitlines()[1:])
    (data / "users.csv").write_text(long)
    report = run_ingest(declare(tmp_path, ["impressions.files=log.parquet"]), data, tmp_path / "out")
    found = examples(tmp_path / "out")
    assert {user for rows in found for row in rows for user in row["user"]} == {
        digits + n for n in set(users)
    }
    for row in (row for rows in found for row in rows):
        row["user"] = [row["user"][0] - digits]
    assert found == expected
    assert report["duplicates"] > 0


def test_a_list_where_one_value_is_declared(tmp_path: Path) -> None:
    data = write_data(tmp_path, {"log.csv": LOG})
    log = pl.read_csv(data / "log.csv").with_columns(pl.concat_list("user").alias("user"))
    log.write_parquet(data / "log.parquet")
    with pytest.raises(InputError, match=r"log\.parquet: column user: .*, but one value is declared"):
        run_ingest(declare(tmp_path, ["impressions.files=log.parquet"]), data, tmp_path / "out")
