"""`predict_rows`: values of every type are read as training reads them, and written whole."""

from __future__ import annotations

import csv
import datetime
import decimal
import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from pyarrow import parquet

from components.dataset.blocks import read_all
from components.dataset.files import find_files
from components.dataset.sections import ColumnType, Impressions
from components.dataset.values import MISSING_NUMBERS, to_type
from components.errors import InputError
from pipeline.client import TensorSpec
from pipeline.predict import predict_rows
from pipeline.predict.columns import to_inputs
from pipeline.predict.rows import Chunk, Source


def test_values_that_json_has_no_type_for_go_through_as_text(saved: Path, tmp_path: Path) -> None:
    source, output = tmp_path / "rows.parquet", tmp_path / "out.jsonl"
    table = {
        "user_id": [3],
        "day": [datetime.date(2024, 3, 1)],
        "at": [datetime.datetime(2024, 3, 1, 9, 30)],
        "price": [decimal.Decimal("19.50")],
        "took": [datetime.timedelta(seconds=90)],
        "raw": [b"a\xff"],
    }
    parquet.write_table(pa.table(table), source)
    predict_rows(source, model_dir=saved, output=output)
    [row] = [json.loads(line) for line in output.read_text().splitlines()]
    assert {name: row[name] for name in table} == {
        "user_id": 3,
        "day": "2024-03-01",
        "at": "2024-03-01T09:30:00",
        "price": "19.50",
        "took": "0:01:30",
        "raw": "a\ufffd",
    }


def test_half_of_a_surrogate_pair_goes_through(saved: Path, tmp_path: Path) -> None:
    source, output = tmp_path / "rows.jsonl", tmp_path / "out.jsonl"
    source.write_text('{"user_id": 3, "title": "\\ud800"}')
    predict_rows(source, model_dir=saved, output=output)
    assert json.loads(output.read_text())["title"] == "\ud800"


def test_columns_of_parquet_keep_their_types(saved: Path, tmp_path: Path) -> None:
    source, output = tmp_path / "rows.parquet", tmp_path / "out.parquet"
    table = pa.table(
        {
            "user_id": pa.array([3, 4, None], pa.int32()),
            "duration": pa.array([0.5, 1.5, 2.5], pa.float32()),
            "tag": pa.array(["a", "bb", "a"]).dictionary_encode(),
            "note": pa.array([None, None, "late"], pa.string()),
            "counts": pa.array([[("a", 1)], [], None], pa.map_(pa.string(), pa.int64())),
        }
    )
    parquet.write_table(table, source)
    predict_rows(source, model_dir=saved, output=output, batch_size=2)
    scored = parquet.read_table(output)
    assert scored.column_names == [*table.column_names, "click_probability"]
    assert scored.select(table.column_names).equals(table)
    # Scores that the file already has are replaced.
    predict_rows(output, model_dir=saved / "1", output=source)
    rescored = parquet.read_table(source)
    assert rescored.column_names == scored.column_names
    assert rescored["click_probability"] != scored["click_probability"]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_column_that_only_later_rows_have_is_not_dropped(saved: Path, tmp_path: Path, suffix: str) -> None:
    source, output = tmp_path / "rows.jsonl", tmp_path / "out.jsonl"
    source.write_text('{"user_id": 1}\n{"user_id": 2}\n{"user_id": 3, "late": 5}\n')
    with pytest.raises(InputError, match=r"the column 'late' of line 3 .*--output FILE\.jsonl"):
        predict_rows(source, model_dir=saved, output=output.with_suffix(suffix), batch_size=2)
    assert list(tmp_path.iterdir()) == [source]
    predict_rows(source, model_dir=saved, output=output, batch_size=2)
    assert json.loads(output.read_text().splitlines()[-1])["late"] == 5


def test_lists_of_any_length_are_one_column_of_csv(saved: Path, tmp_path: Path) -> None:
    source, output = tmp_path / "rows.jsonl", tmp_path / "out.csv"
    values = [["a"], ["a", "é"], [], {"x": [1]}]
    source.write_text(
        "\n".join(json.dumps({"user_id": 3, "tags": value}) for value in values), encoding="utf-8"
    )
    predict_rows(source, model_dir=saved, output=output, batch_size=1)
    with output.open(encoding="utf-8") as text:
        assert [json.loads(row["tags"]) for row in csv.DictReader(text)] == values


def test_a_column_that_has_no_one_type_is_named(saved: Path, tmp_path: Path) -> None:
    source, output = tmp_path / "rows.jsonl", tmp_path / "out.parquet"
    for first, second, message in (
        ("null", "5", "had no value in the first rows"),
        ("5", '"a"', "different"),
    ):
        source.write_text(f'{{"user_id": 1, "x": {first}}}\n{{"user_id": 1, "x": {second}}}\n')
        with pytest.raises(InputError, match=f"the column 'x' .*{message}.*jsonl"):
            predict_rows(source, model_dir=saved, output=output, batch_size=1)


_TEXTS = [
    *MISSING_NUMBERS,
    " NA ",
    "None",
    " 7 ",
    "7.0",
    "+5",
    "1e3",
    "0.1",
    "x",
    "1_000",
    "\u0663",
    "inf",
    "-Infinity",
    "1e39",
]


@pytest.mark.parametrize("text", _TEXTS)
@pytest.mark.parametrize(("kind", "code"), [("int", 9), ("float", 1)])
def test_numbers_are_read_as_training_reads_them(text: str, kind: ColumnType, code: int) -> None:
    trained = to_type(pl.Series([text]), kind)
    chunk, specs = Chunk([{"x": text}], ["line 2"]), {"x": TensorSpec(code, (-1,))}
    if trained.bad[0]:
        with pytest.raises(InputError, match=r"line 2.* column 'x': (expected|a value does not fit)"):
            to_inputs(chunk, specs, "rows.csv")
        return
    missing = -1 if kind == "int" else np.nan
    expected_value = missing if trained.values[0] is None else trained.values[0]
    np.testing.assert_array_equal(
        to_inputs(chunk, specs, "rows.csv")["x"],
        np.array([expected_value], np.int64 if code == 9 else np.float32),
    )


@pytest.mark.parametrize(
    "value",
    [
        True,
        False,
        decimal.Decimal("7.00"),
        decimal.Decimal("0.25"),
        decimal.Decimal("100"),
        datetime.date(2024, 3, 1),
        datetime.datetime(2024, 3, 1, 9, 30),
        datetime.datetime(2024, 3, 1, 9, 30, tzinfo=datetime.timezone.utc),
    ],
)
def test_texts_are_read_as_training_reads_them(value: Any, tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    parquet.write_table(pa.table({"x": [value]}), path)
    [file] = find_files(str(tmp_path), Impressions(files=["rows.parquet"]))
    [block] = read_all(file)
    [chunk] = Source(path).chunks(10)
    trained = to_type(block.frame["x"], "string").values[0]
    assert to_inputs(chunk, {"x": TensorSpec(7, (-1,))}, "rows")["x"].tolist() == [trained.encode()]
