"""`predict_rows` with lookups: a model gets what it was trained with from tables beside the rows."""

from __future__ import annotations

import csv
import doctest
import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from components.dataset.input_names import LIST_SEPARATOR
from components.errors import InputError
from pipeline.predict import Prediction, joins, predict_rows
from tests.pipeline.commands.terminal import HOUSE
from tests.pipeline.serving.conftest import Served
from tests.pipeline.serving.models import NAME, expected

USERS = {"user_id": [7, 3, 5], "duration": [0.25, 0.5, 1.5], "city": ["x", "y", "z"]}
ITEMS = {"item": ["b", "a"], "tag": ["bb", "a"], "maker": [1, 2]}
ROWS = {"user_id": [3, 7, 3, 5], "item": ["a", "b", "b", "a"]}
JOINED = {"user_id": [3, 7, 3, 5], "duration": [0.5, 0.25, 0.5, 1.5], "tag": ["a", "bb", "bb", "a"]}


def write(path: Path, columns: dict[str, list[Any]]) -> Path:
    frame = pl.DataFrame(columns)
    if path.suffix == ".parquet":
        frame.write_parquet(path)
    elif path.suffix == ".gz":
        path.write_bytes(gzip.compress(frame.write_csv().encode()))
    else:
        frame.write_csv(path, separator="\t" if path.suffix == ".tsv" else ",")
    return path


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    return write(tmp_path / "rows.csv", ROWS)


def ask(ours: Served, rows: Path, *lookups: str, **more: Any) -> tuple[Prediction, list[dict[str, str]]]:
    output = rows.parent / "out.csv"
    done = predict_rows(rows, url=ours.rest, model=NAME, lookups=lookups, output=output, **more)
    with output.open() as text:
        return done, list(csv.DictReader(text))


def scores(rows: list[dict[str, str]]) -> list[float]:
    return [float(row["click_probability"]) for row in rows]


def test_a_prefix_is_guessed_for_the_message() -> None:
    assert doctest.testmod(joins).failed == 0


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".tsv", ".parquet"])
def test_scores_are_those_of_the_joined_rows(ours: Served, rows: Path, suffix: str) -> None:
    users = write(rows.with_name(f"users{suffix}"), USERS)
    items = write(rows.with_name(f"items{suffix}"), ITEMS)
    done, found = ask(ours, rows, f"{users}=user_id", f"{items}=item", batch_size=3)
    np.testing.assert_allclose(scores(found), expected(JOINED, 1.0), rtol=1e-5)
    assert list(found[0]) == ["user_id", "item", "click_probability"]
    assert (done.missing, done.mostly_missing) == ((), False)
    assert done.unmatched == {f"{users}=user_id": 0, f"{items}=item": 0}


def test_each_file_is_read_in_its_encoding(ours: Served, tmp_path: Path) -> None:
    source, users = tmp_path / "rows.csv", tmp_path / "users.csv"
    source.write_text("user_id,duration,tag\n3,0.5,b\u00e4r\n", encoding="utf-8")
    wanted = scores(ask(ours, source)[1])
    source.write_bytes("user_id,duration,tag\n3,0.5,b\u00e4r\n".encode("cp1252"))
    with pytest.raises(InputError, match=r"rows.csv: is not UTF-8 text.*--encoding"):
        ask(ours, source)
    assert scores(ask(ours, source, encoding="cp1252")[1]) == wanted
    source.write_text("user_id,tag\n3,b\u00e4r\n", encoding="utf-8")
    users.write_bytes("user_id,duration,note\n3,0.5,gr\u00fcn\n".encode("cp1252"))
    with pytest.raises(InputError, match=r"users.csv:2: is not UTF-8 text.*--encoding"):
        ask(ours, source, f"{users}=user_id")
    assert scores(ask(ours, source, f"{users}=user_id", encoding="cp1252")[1]) == wanted
    with pytest.raises(InputError, match="--encoding klingon: 'klingon' is no encoding of text"):
        ask(ours, source, encoding="klingon")


def test_keys_of_64_bits_may_have_a_fraction_of_zero(ours: Served, tmp_path: Path) -> None:
    users = write(tmp_path / "users.csv", {"user_id": ["9007199254740993.0"], "duration": [0.5]})
    source = tmp_path / "rows.csv"
    source.write_text("user_id,tag\n9007199254740993.0,a\n9007199254740992,a\n9007199254740993,a\n")
    done, found = ask(ours, source, f"{users}=user_id")
    wanted = expected({"user_id": [2**53 + 1] * 2, "duration": [0.5] * 2, "tag": ["a"] * 2}, 1.0)
    np.testing.assert_allclose(np.array(scores(found))[[0, 2]], wanted, rtol=1e-5)
    assert done.unmatched == {f"{users}=user_id": 1}


def test_lists_are_joined_as_every_model_splits_them(ours: Served, tmp_path: Path) -> None:
    users = write(tmp_path / "users.parquet", {"user_id": [3, 7], "tag": [["x", "yy"], []]})
    source = write(tmp_path / "rows.csv", {"user_id": [3, 7], "duration": [0.5, 0.25]})
    _, found = ask(ours, source, f"{users}=user_id")
    joined = {"user_id": [3, 7], "duration": [0.5, 0.25], "tag": [LIST_SEPARATOR.join(["x", "yy", ""]), ""]}
    np.testing.assert_allclose(scores(found), expected(joined, 1.0), rtol=1e-5)


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_keys_of_64_bits_find_their_line_and_no_other(ours: Served, tmp_path: Path, suffix: str) -> None:
    keys = [2**53 + 1, 2**53, 2**62 + 3]
    users = write(tmp_path / "users.csv", {"user_id": keys[:2], "duration": [0.5, 0.25]})
    source = tmp_path / f"rows{suffix}"
    if suffix == ".jsonl":
        source.write_text("\n".join(json.dumps({"user_id": key, "tag": "a"}) for key in keys))
    else:
        write(source, {"user_id": keys, "tag": ["a"] * 3})
    done, found = ask(ours, source, f"{users}=user_id")
    wanted = {"user_id": keys[:2], "duration": [0.5, 0.25], "tag": ["a"] * 2}
    np.testing.assert_allclose(scores(found)[:2], expected(wanted, 1.0), rtol=1e-5)
    assert done.unmatched == {f"{users}=user_id": 1}


def test_keys_of_other_names_and_prefixes(ours: Served, rows: Path) -> None:
    users = write(rows.with_name("users.csv"), {"id": USERS["user_id"], "ation": USERS["duration"]})
    items = write(rows.with_name("items.csv"), ITEMS)
    _, found = ask(ours, rows, f"{users}=user_id:id:dur", f"{items}=item:item")
    np.testing.assert_allclose(scores(found), expected(JOINED, 1.0), rtol=1e-5)


def test_names_may_hold_colons(ours: Served, tmp_path: Path) -> None:
    rows = write(tmp_path / "rows.csv", {"user_id": [3, 7], "item:token": ["a", "b"]})
    users = write(
        rows.with_name("users.csv"), {"user_id:token": USERS["user_id"], "ation": USERS["duration"]}
    )
    items = write(rows.with_name("items.csv"), {"item:token": ITEMS["item"], "tag": ITEMS["tag"]})
    joined = {name: column[:2] for name, column in JOINED.items()}
    _, found = ask(ours, rows, f"{users}=user_id:user_id:token:dur", f"{items}=item:token")
    np.testing.assert_allclose(scores(found), expected(joined, 1.0), rtol=1e-5)


def test_a_table_joined_by_a_column_of_another_one(ours: Served, rows: Path) -> None:
    users = write(rows.with_name("users.csv"), {**USERS, "club": ["p", "q", "q"]})
    clubs = write(rows.with_name("clubs.parquet"), {"club": ["q", "p"], "tag": ["a", "bb"]})
    _, found = ask(ours, rows, f"{users}=user_id", f"{clubs}=club")
    joined = {**JOINED, "tag": ["a", "bb", "a", "a"]}
    np.testing.assert_allclose(scores(found), expected(joined, 1.0), rtol=1e-5)


def test_a_column_of_the_rows_wins(ours: Served, rows: Path) -> None:
    write(rows, {**ROWS, "duration": [2.0, 2.0, 2.0, 2.0]})
    users = write(rows.with_name("users.csv"), USERS)
    items = write(rows.with_name("items.csv"), ITEMS)
    _, found = ask(ours, rows, f"{users}=user_id", f"{items}=item")
    np.testing.assert_allclose(scores(found), expected({**JOINED, "duration": [2.0] * 4}, 1.0), rtol=1e-5)


def test_numbers_are_the_same_key_however_they_are_written(ours: Served, tmp_path: Path) -> None:
    source = tmp_path / "rows.jsonl"
    keys: list[Any] = [3, "3.0", 7.0, None, "8", " 5"]
    source.write_text("\n".join(json.dumps({"user_id": key, "tag": "a"}) for key in keys))
    users = write(tmp_path / "users.parquet", {**USERS, "user_id": [7.0, 3.0, 5.0]})
    done, found = ask(ours, source, f"{users}=user_id")
    present = {"user_id": [3, 3, 7, 5], "duration": [0.5, 0.5, 0.25, 1.5], "tag": ["a"] * 4}
    np.testing.assert_allclose(np.array(scores(found))[[0, 1, 2, 5]], expected(present, 1.0), rtol=1e-5)
    assert np.isnan(np.array(scores(found))[[3, 4]]).all()
    assert done.unmatched == {f"{users}=user_id": 2}


def test_keys_that_are_no_inputs_are_texts(ours: Served, rows: Path) -> None:
    write(rows, {**ROWS, "item": ["007", "7", "7", "007"]})
    users = write(rows.with_name("users.csv"), USERS)
    items = write(rows.with_name("items.csv"), {"item": ["7", "007"], "tag": ["bb", "a"]})
    _, found = ask(ours, rows, f"{users}=user_id", f"{items}=item")
    np.testing.assert_allclose(scores(found), expected(JOINED, 1.0), rtol=1e-5)


def test_a_table_without_any_of_the_keys_leaves_its_columns_missing(ours: Served, rows: Path) -> None:
    users = write(rows.with_name("users.csv"), {**USERS, "user_id": [70, 30, 50]})
    done, _ = ask(ours, rows, f"{users}=user_id")
    assert done.missing == ("duration", "tag")
    assert done.mostly_missing
    assert done.unmatched == {f"{users}=user_id": 4}


@pytest.mark.parametrize(
    ("table", "argument", "message"),
    [
        (
            "user_id,duration\n3,1\n7,2\n3,4\n",
            "t.csv=user_id",
            r"t\.csv:2 and .*t\.csv:4: the key user_id = 3 ",
        ),
        (
            "id,duration\n3,1\n",
            "t.csv=user_id",
            r"t\.csv: has no column user_id \(the key of the lookup\).*--lookup .*t\.csv=user_id:THEIRS",
        ),
        ("id,duration\n3,1\n", "t.csv=id", r"rows\.csv: has no column id.*--lookup .*t\.csv=OURS:id"),
        ("id,duration\n3,1\n", "t.csv=user:id", r"rows\.csv: has no column user, the key of .* mean user_id"),
        (
            "user_id,duration\n3,fast\n",
            "t.csv=user_id",
            r"t\.csv:2, column duration: expected float, found 'fast'; mend it, or leave it empty: an",
        ),
        (
            "user_id;ation\n3;0,5\n",
            "t.csv=user_id:user_id:dur",
            r"t\.csv:2, column ation: expected float, found '0,5'; --written duration=comma reads it",
        ),
        ("user_id,duration\nx,1\n", "t.csv=user_id", r"t\.csv:2, column user_id: expected int, found 'x'"),
        ("user_id,duration\n3\n", "t.csv=user_id", r"t\.csv:2: expected 2 values, found 1"),
        ("user_id,duration\n", "t.csv=user_id", r"t\.csv: there is nothing below the header"),
        (
            "user_id,age\n3,1\n",
            "t.csv=user_id",
            r"t\.csv: none of its columns is an input of the model.* age",
        ),
        ("", "none.csv=user_id", r"none\.csv: no such file"),
        ("", "t.csv", "expected FILE=KEY"),
        ("", "t.csv=", "expected FILE=KEY"),
        ("id,duration\n3,1\n", "t.csv=user_id:", r"t\.csv: has no column user_id:"),
        ("id,duration\n3,1\n", "t.csv=user_id:b:c:d", r"t\.csv: has no column c"),
    ],
)
def test_wrong_tables(ours: Served, rows: Path, table: str, argument: str, message: str) -> None:
    rows.with_name("t.csv").write_text(table)
    with pytest.raises(InputError, match=message):
        ask(ours, rows, f"{rows.parent}/{argument}")
    assert not rows.with_name("out.csv").exists()


def test_a_column_of_two_tables_is_refused(ours: Served, rows: Path) -> None:
    users = write(rows.with_name("users.csv"), USERS)
    items = write(rows.with_name("items.csv"), {**ITEMS, "duration": [1, 2]})
    with pytest.raises(
        InputError, match=r"column duration is in .*users\.csv and in .*items\.csv: give the prefix"
    ):
        ask(ours, rows, f"{users}=user_id", f"{items}=item")


def test_a_model_that_gets_less_than_half_of_its_inputs_is_no_quiet_matter(saved: Path, rows: Path) -> None:
    users, items = write(rows.with_name("users.csv"), USERS), write(rows.with_name("items.csv"), ITEMS)

    def dfei(*lookups: str) -> str:
        command = [
            sys.executable,
            "-m",
            "pipeline",
            "predict",
            str(rows),
            "--model-dir",
            str(saved),
            "--quiet",
        ]
        done = subprocess.run([*command, *lookups], cwd=HOUSE, capture_output=True, text=True, check=True)
        return " ".join(done.stderr.split())

    assert (
        "warning: 2 of the model's 3 inputs are in no row, and were taken as missing: duration, tag."
        in dfei()
    )
    assert dfei("--lookup", f"{users}=user_id", "--lookup", f"{items}=item") == ""


def test_files_are_read_in_every_form_in_which_training_reads_them(ours: Served, tmp_path: Path) -> None:
    """RecBole's, without a header, of several characters between values, in another encoding."""
    plain, scored = tmp_path / "rows.csv", []
    plain.write_text("user_id,item,tag\n3,a,\n7,b,bb\n")
    write(tmp_path / "users.csv", USERS)
    inter, bare = tmp_path / "log.inter", tmp_path / "log.dat"
    inter.write_text("user_id\titem\ttag\n3\ta\t\n7\tb\tbb\n")
    bare.write_bytes("3::Café am Morgen::\n7::Brot mit Früchten::bb\n".encode("cp1252"))
    people = tmp_path / "users.dat"
    people.write_bytes("7,0.25,é\n3,0.5,ü\n".encode("cp1252"))
    names = ["user_id,item,tag", f"{people}=user_id,duration,city"]
    for source, lookup, given in (
        (plain, f"{tmp_path / 'users.csv'}=user_id", {}),
        (inter, f"{tmp_path / 'users.csv'}=user_id", {}),
        (bare, f"{people}=user_id", {"encoding": "cp1252", "columns": names}),
    ):
        scored.append(scores(ask(ours, source, lookup, **given)[1]))
    assert scored[0] == scored[1] == scored[2]
    assert (tmp_path / "out.csv").read_text().splitlines()[1].startswith("3,Café am Morgen,")
    for given, message in (
        (
            {"columns": names},
            r"log\.dat: is not UTF-8 text: .*; it looks like cp1252: declare `encoding: cp1252`",
        ),
        ({"encoding": "cp1252"}, r"none of its columns .*--columns A,B,C"),
        ({"encoding": "cp1252", "columns": ["user_id,item"]}, "line 1: 3 cells, expected 2 as in --columns"),
    ):
        with pytest.raises(InputError, match=message):
            ask(ours, bare, **given)
