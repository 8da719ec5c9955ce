"""`predict_rows`: files in, predictions out, from a server and from a model directory."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from components.errors import InputError
from components.version_notes import write_written
from pipeline.predict import PredictionProgress, predict_rows
from tests.pipeline.serving.conftest import Served
from tests.pipeline.serving.models import NAME, expected

ROWS = 1300


@pytest.fixture(scope="module")
def columns() -> dict[str, list[Any]]:
    chance = np.random.default_rng(3)
    return {
        "id": [f"row-{number}" for number in range(ROWS)],
        "user_id": chance.integers(0, 40, ROWS).tolist(),
        "duration": chance.random(ROWS).round(4).tolist(),
        "tag": chance.choice(["", "a", "bb"], ROWS).tolist(),
    }


@pytest.fixture(scope="module")
def records(columns: dict[str, list[Any]]) -> list[dict[str, Any]]:
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


@pytest.fixture(scope="module")
def files(
    columns: dict[str, list[Any]], records: list[dict[str, Any]], tmp_path_factory: Any
) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("rows")
    text = io.StringIO()
    writer = csv.DictWriter(text, list(columns))
    writer.writeheader()
    writer.writerows(records)
    (folder / "rows.csv").write_text(text.getvalue())
    with gzip.open(folder / "rows.csv.gz", "wt") as packed:
        packed.write(text.getvalue())
    (folder / "rows.tsv").write_text(text.getvalue().replace(",", "\t"))
    (folder / "rows.tsv.gz").write_bytes(gzip.compress((folder / "rows.tsv").read_bytes()))
    (folder / "rows.jsonl").write_text("\n".join(json.dumps(record) for record in records))
    (folder / "array.json").write_text(json.dumps(records, indent=1))
    (folder / "instances.json").write_text(json.dumps({"instances": records}))
    parquet.write_table(pa.Table.from_pydict(columns), folder / "rows.parquet")
    return {path.name: path for path in folder.iterdir()}


def scores_in(path: Path, separator: str = "") -> list[float]:
    if path.suffix == ".parquet":
        return parquet.read_table(path)["click_probability"].to_pylist()
    if path.suffix in (".csv", ".tsv"):
        with path.open() as text:
            rows = csv.DictReader(text, delimiter=separator or ("\t" if path.suffix == ".tsv" else ","))
            return [float(row["click_probability"]) for row in rows]
    return [json.loads(line)["click_probability"] for line in path.read_text().splitlines()]


@pytest.mark.parametrize(
    ("name", "suffix"),
    [
        ("rows.csv", ".csv"),
        ("rows.csv.gz", ".jsonl"),
        ("rows.tsv", ".tsv"),
        ("rows.tsv.gz", ".csv"),
        ("rows.jsonl", ".parquet"),
        ("array.json", ".jsonl"),
        ("instances.json", ".csv"),
        ("rows.parquet", ".parquet"),
    ],
)
def test_every_format_from_a_server(
    ours: Served, files: dict[str, Path], columns: dict[str, Any], tmp_path: Path, name: str, suffix: str
) -> None:
    output = tmp_path / f"out{suffix}"
    steps: list[PredictionProgress] = []
    url = f"grpc://{ours.grpc}/{NAME}" if suffix == ".parquet" else ours.rest
    done = predict_rows(
        files[name], url=url, model=NAME, output=output, batch_size=200, parallel=3, progress=steps.append
    )
    np.testing.assert_allclose(scores_in(output), expected(columns, 1.0), rtol=1e-5)
    assert (done.rows, done.missing) == (ROWS, ())
    assert [step.rows for step in steps] == [200, 400, 600, 800, 1000, 1200, 1300]
    assert steps[-1].total == ROWS
    assert all(step.total is None or step.rows < step.total for step in steps[:-1])
    assert list(tmp_path.iterdir()) == [output]


def test_rows_keep_their_columns_and_their_order(
    ours: Served, files: dict[str, Path], tmp_path: Path
) -> None:
    output = tmp_path / "out.csv"
    predict_rows(files["rows.csv"], url=ours.rest, model=NAME, output=output, batch_size=100)
    with output.open() as text:
        rows = list(csv.DictReader(text))
    assert list(rows[0]) == ["id", "user_id", "duration", "tag", "click_probability"]
    assert [row["id"] for row in rows] == [f"row-{number}" for number in range(ROWS)]


def test_another_separator(ours: Served, files: dict[str, Path], tmp_path: Path) -> None:
    source, users = tmp_path / "rows.csv", tmp_path / "users.csv"
    source.write_text("user_id;tag\n3;a\n")
    outputs = []
    for text in ("user_id;duration\n3;0.5\n", "user_id,duration\n3,0.5\n"):
        users.write_text(text)
        outputs.append(tmp_path / f"out{len(outputs)}.csv")
        lookup = f"{users}=user_id"
        predict_rows(source, url=ours.rest, model=NAME, separator=";", lookups=[lookup], output=outputs[-1])
    # Without it the headers tell.
    users.write_text("user_id|duration\n3|0.5\n")
    outputs.append(tmp_path / "shown.csv")
    predict_rows(source, url=ours.rest, model=NAME, lookups=[f"{users}=user_id"], output=outputs[-1])
    answer = expected({"user_id": [3], "duration": [0.5], "tag": ["a"]}, 1.0)
    # What is written is separated as what was read.
    assert outputs[0].read_text().startswith("user_id;tag;click_probability\n3;a;")
    np.testing.assert_allclose([scores_in(output, ";") for output in outputs], [answer] * 3, rtol=1e-5)
    source.write_text("id user_id tag duration\n1 3 a 0.5\n")
    predict_rows(source, url=ours.rest, model=NAME, output=outputs[0])
    assert outputs[0].read_text().startswith("id user_id tag duration click_probability\n1 3 a 0.5 ")
    for name, separator, message in (
        ("rows.jsonl", ";", "--separator is for CSV, but .*rows.jsonl is read as json"),
        ("rows.csv", ";;;;;", "expected a character"),
    ):
        with pytest.raises(InputError, match=message):
            predict_rows(files[name], url=ours.rest, model=NAME, separator=separator)


def test_a_model_directory_and_a_version(
    saved: Path, files: dict[str, Path], columns: dict[str, Any], tmp_path: Path
) -> None:
    output = tmp_path / "out.jsonl"
    for directory, bias in ((saved, 1.0), (saved / "1", 0.0)):
        predict_rows(files["rows.parquet"], model_dir=directory, output=output)
        np.testing.assert_allclose(scores_in(output), expected(columns, bias), rtol=1e-5)


def test_a_models_own_log_is_read_as_the_model_notes(saved: Path, tmp_path: Path) -> None:
    model, source, output = tmp_path / "1", tmp_path / "log.tsv", tmp_path / "out.tsv"
    shutil.copytree(saved / "1", model)
    source.write_text("user_id\tduration\ttag\n3\t0,5 €\ta\n")
    with pytest.raises(InputError, match=r"line 2, column 'duration'.*; --written duration=comma reads it"):
        predict_rows(source, model_dir=model, output=output)
    predict_rows(source, model_dir=model, output=output, written=["duration=comma"])
    asked = scores_in(output, "\t")
    write_written(model, {"duration": "comma"})
    predict_rows(source, model_dir=model, output=output)
    assert scores_in(output, "\t") == asked
    np.testing.assert_allclose(
        asked, expected({"user_id": [3], "duration": [0.5], "tag": ["a"]}, 0.0), rtol=1e-5
    )


def test_a_labelled_version_and_another_signature(
    ours: Served, files: dict[str, Path], tmp_path: Path
) -> None:
    output = tmp_path / "out.csv"
    predict_rows(
        files["rows.csv"], url=ours.rest, model=NAME, label="stable", signature="explain", output=output
    )
    with output.open() as text:
        assert list(next(csv.DictReader(text)))[-3:] == ["weights.0", "weights.1", "weights.2"]


def test_standard_input_to_standard_output(
    ours: Served, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for text in ("user_id,duration,tag\n3,0.5,a\n", '{"user_id": 3, "duration": 0.5, "tag": "a"}\n'):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(text.encode()))))
        predict_rows(None, url=ours.rest, model=NAME)
        answer = capsys.readouterr().out.splitlines()[-1]
        score = (
            json.loads(answer)["click_probability"] if text[0] == "{" else float(answer.rpartition(",")[2])
        )
        assert score == pytest.approx(expected({"user_id": [3], "duration": [0.5], "tag": ["a"]}, 1.0)[0])


def test_missing_columns_and_values_are_sent_as_missing(ours: Served, tmp_path: Path) -> None:
    source = tmp_path / "some.jsonl"
    source.write_text('{"user_id": 3, "tag": null}\n{"user_id": null}\n{"user_id": "4", "tag": ["a", "b"]}\n')
    output = tmp_path / "out.jsonl"
    done = predict_rows(source, url=ours.rest, model=NAME, output=output)
    assert done.missing == ("duration",)
    assert all(np.isnan(score) for score in scores_in(output))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "a.csv",
            "user_id,duration,tag\n1,0.5,a\n2,fast,a\n",
            r"line 3, column 'duration': expected float32, got 'fast'",
        ),
        (
            "a.csv",
            "user_id,duration,tag\n1.5,0.5,a\n",
            r"line 2, column 'user_id': expected int64, got '1\.5'",
        ),
        ("a.csv", "user_id,duration\n1,0.5,a\n", "line 2: 3 cells, expected 2"),
        ("a.csv", "user_id,user_id\n1,2\n", "appears twice"),
        ("a.csv", "", "empty"),
        ("a.csv", "user_id,duration,tag\n", "no rows"),
        ("a.jsonl", "[]", "no rows"),
        (
            "a.csv",
            "colour\nred\n",
            "none of its columns is an input of 'serving_default'; it takes duration, tag, user_id",
        ),
        ("a.csv", b"user_id\n\xff\n", "not UTF-8"),
        ("a.csv.gz", b"user_id\n1\n", "not a whole gzip file"),
        ("a.csv.gz", gzip.compress(b"", mtime=0)[:10] + b"\xff" * 64, "not a whole gzip file"),
        ("a.jsonl", '{"user_id": 1}\n{"user_id": \n', "line [23]: not JSON"),
        ("a.jsonl", '{"user_id": 1}\n7\n', "line 2: expected an object"),
        ("a.jsonl", '{"user_id": {"x": 1}}', "line 1, column 'user_id'"),
        ("a.jsonl", '{"user_id": 99999999999999999999}', "expected int64, got 99999999999999999999"),
        ("a.jsonl", '{"user_id": ' + "[" * 100_000, "nested too deeply"),
        ("a.parquet", b"PAR1 no", "cannot be read as Parquet"),
        ("a.xlsx", b"", "the suffix '.xlsx' is not known"),
    ],
)
def test_wrong_sources(ours: Served, tmp_path: Path, name: str, content: str | bytes, message: str) -> None:
    source = tmp_path / name
    source.write_bytes(content if isinstance(content, bytes) else content.encode())
    output = tmp_path / "out.jsonl"
    with pytest.raises(InputError, match=message):
        predict_rows(source, url=ours.rest, model=NAME, output=output)
    assert not output.exists()
    assert list(tmp_path.iterdir()) == [source]


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        (
            "a.csv",
            b'user_id,duration,tag\n1,0.5,a\n2,0.5\n3,fast,a\n4,"0.5"x,a\n5,0.5,\xff\n6,"0.5\n",a,a\n7,0.5,bb\n',
            [
                "line 3: 2 cells, expected 3 as in the header",
                "line 5: not CSV: ',' expected after '\"'",
                "line 6: is not UTF-8 text",
            ],
        ),
        (
            "a.jsonl",
            b'{"user_id": 1, "duration": 0.5, "tag": "a"}\n{"user_id": 2, "duration": 0.5, "tag": "a\n'
            b'{"user_id": 2, "dura\n7\n"x": 1\n{"user_id": 3, "duration": "fast", "tag": "a"}\n'
            b'{"user_id": 5, "tag": "\xff"}\n{"user_id": 7, "duration": 0.5, "tag": "bb"}\n',
            [
                "line 2: not JSON: Invalid control character at",
                "line 3: not JSON: Invalid control character at",
                "line 4: expected an object with the columns, got 7",
            ],
        ),
    ],
)
def test_rows_that_cannot_be_used_are_passed_over_where_that_is_wanted(
    ours: Served, tmp_path: Path, name: str, content: bytes, told: list[str]
) -> None:
    source, output = tmp_path / name, tmp_path / "out.csv"
    source.write_bytes(content)
    with pytest.raises(InputError):
        predict_rows(source, url=ours.rest, model=NAME, output=output)
    assert not output.exists()
    for rows in (1, 512):
        done = predict_rows(
            source, url=ours.rest, model=NAME, output=output, batch_size=rows, skip_bad_rows=True
        )
        with output.open() as text:
            assert [row["user_id"] for row in csv.DictReader(text)] == ["1", "7"]
        assert (done.rows, done.skipped) == (2, 5 if name == "a.csv" else 6)
        assert rows == 1 or list(done.first_skipped) == told
    source.write_bytes(content.splitlines(keepends=True)[0] + b"}\n" * 3)
    if name == "a.csv":
        with pytest.raises(InputError, match="none of its 3 rows can be used; line 2: 1 cells"):
            predict_rows(source, url=ours.rest, model=NAME, output=output, skip_bad_rows=True)


def test_an_open_quote_does_not_pass_over_the_rest_of_a_file(ours: Served, tmp_path: Path) -> None:
    source = tmp_path / "a.csv"
    source.write_text('user_id,duration,tag\n1,0.5,"a\n2,0.5,a\n3,0.5,a\n')
    with pytest.raises(InputError, match="line 2: not CSV: a quote opens in line 2 and is not closed"):
        predict_rows(source, url=ours.rest, model=NAME, output=tmp_path / "b.csv", skip_bad_rows=True)


def test_keys_of_folders_are_columns(ours: Served, tmp_path: Path) -> None:
    """As Hive and Spark write them: what the model asks for is taken from the folders, other keys are not written."""
    path = tmp_path / "dt=2026-03-14" / "tag=bb" / "a.csv"
    path.parent.mkdir(parents=True)
    path.write_text("id,user_id,duration\nx,7,0.5\n")
    (tmp_path / "whole.csv").write_text("id,user_id,duration,tag\nx,7,0.5,bb\n")
    for source, output in ((path, "a.csv"), (tmp_path / "whole.csv", "b.csv")):
        predict_rows(source, url=ours.rest, model=NAME, output=tmp_path / output)
    assert (tmp_path / "a.csv").read_text() == (tmp_path / "b.csv").read_text()


def test_a_header_alone_gives_a_header_alone(ours: Served, tmp_path: Path) -> None:
    """As a day without rows: whoever reads the scores finds their columns."""
    (tmp_path / "a.csv").write_text("id,user_id,duration,tag\n")
    done = predict_rows(tmp_path / "a.csv", url=ours.rest, model=NAME, output=tmp_path / "b.csv")
    assert (done.rows, done.missing) == (0, ())
    assert (tmp_path / "b.csv").read_text() == "id,user_id,duration,tag,click_probability\n"


def test_wrong_targets(ours: Served, saved: Path, files: dict[str, Path], tmp_path: Path) -> None:
    source = files["rows.csv"]
    for arguments, message in (
        ({}, "name either"),
        ({"url": ours.rest, "model_dir": saved}, "name either"),
        ({"url": ours.rest}, "which model"),
        ({"url": f"{ours.rest}/other"}, "NOT_FOUND.*which model is it"),
        ({"url": "localhost:8500/clicks"}, "expected http"),
        ({"url": f"{ours.rest}/{NAME}", "signature": "guess"}, "has no signature 'guess'; there are"),
        ({"url": f"{ours.rest}/{NAME}", "signature": "rank"}, "not one value per row"),
        ({"url": f"{ours.rest}/{NAME}", "version": 1, "label": "stable"}, "not both"),
        ({"model_dir": tmp_path / "none"}, "no such directory"),
        ({"model_dir": tmp_path}, "neither a SavedModel"),
        ({"url": f"{ours.rest}/{NAME}", "output": tmp_path / "a.xls"}, "suffix '.xls' is not known"),
        ({"url": f"{ours.rest}/{NAME}", "format": "parquet"}, "name a file with --output"),
    ):
        with pytest.raises(InputError, match=message):
            predict_rows(source, **arguments)
    with pytest.raises(InputError, match="no such file"):
        predict_rows(tmp_path / "none.csv", url=ours.rest, model=NAME)
    (tmp_path / "day.csv").write_text("user\n1\n")
    for several, each in ((tmp_path, f"{tmp_path}/*"), (tmp_path / "d*.csv", f"{tmp_path}/d*.csv")):
        with pytest.raises(InputError, match=re.escape(f"for file in {each}; do dfei predict $file")):
            predict_rows(several, url=ours.rest, model=NAME)


def test_a_server_that_is_not_there(files: dict[str, Path]) -> None:
    with pytest.raises(InputError, match="is the server running there"):
        predict_rows(files["rows.csv"], url="http://127.0.0.1:1", model=NAME, timeout=0.5)


def test_a_folder_as_the_output_is_refused_before_anything_is_asked(saved: Path, tmp_path: Path) -> None:
    source, output = tmp_path / "rows.csv", tmp_path / "out.csv"
    source.write_text("user_id,duration,tag\n1,0.5,a\n")
    output.mkdir()
    with pytest.raises(InputError, match="this is a folder"):
        predict_rows(source, model_dir=saved, output=output)
    assert sorted(tmp_path.iterdir()) == [output, source]


def test_a_disk_that_is_full_at_the_end_leaves_nothing(
    saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "rows.csv"
    source.write_text("user_id,duration,tag\n1,0.5,a\n")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(InputError, match=r"out\.csv: cannot be written: No space left.*--output"):
        predict_rows(source, model_dir=saved, output=tmp_path / "out.csv")
    assert list(tmp_path.iterdir()) == [source]


def test_a_reader_that_has_enough_is_no_defect(saved: Path, files: dict[str, Path]) -> None:
    words = [sys.executable, "-m", "pipeline", "predict", str(files["rows.csv"]), "--model-dir", str(saved)]
    read_end, write_end = os.pipe()
    os.close(read_end)
    try:
        done = subprocess.run(words, stdout=write_end, stderr=subprocess.PIPE, text=True, timeout=120)
    finally:
        os.close(write_end)
    # As a shell says of a process that SIGPIPE ended.
    assert done.returncode == 141
    assert "error" not in done.stderr
