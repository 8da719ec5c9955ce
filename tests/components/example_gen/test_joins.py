"""Lookup tables: the same one twice by other keys, and one that is joined by a column of another."""

from __future__ import annotations

import doctest
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from components.dataset import load_declaration
from components.errors import InputError
from components.example_gen import unmatched
from components.example_gen.ingest import SPLITS
from tests.components.example_gen.small import DAY_MS, FIRST_DAY_MS, read_examples, run_ingest

DECLARATION = """\
name: lookups
time_zone: Asia/Shanghai
impressions: {files: log.csv}
label: click
domain: scene
user: user
timestamp: {column: at, unit: ms}
columns: {scene: int}
split: {eval_days: 1, validation_days: 1}
"""
USERS = "id,age\n0,20\n1,30\n2,40\n"


def test_examples_of_what_is_said() -> None:
    assert doctest.testmod(unmatched).failed == 0


def joined(folder: Path, settings: str, **tables: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The examples and the report of a log of three users, three writers and two items."""
    lines = [
        f"{FIRST_DAY_MS + n // 4 * DAY_MS + n % 4 * 60_000},{n % 2},{n // 2 % 2},{n % 3},{(n + 1) % 3},{n % 2}"
        for n in range(16)
    ]
    (folder / "log.csv").write_text("\n".join(["at,scene,click,user,writer,item", *lines]) + "\n")
    for name, text in tables.items():
        (folder / f"{name}.csv").write_text(text)
    path = folder / "lookups.yaml"
    path.write_text(DECLARATION + settings)
    report = run_ingest(load_declaration(str(path)), folder, folder / "out")
    return [row for split in SPLITS for row in read_examples(folder / "out", split)], report


TWICE = """\
lookups:
  - {files: users.csv, key: {user: id}, prefix: viewer_}
  - {files: users.csv, key: {writer: id}, prefix: writer_}
features:
  user: {type: int, treatment: vocabulary}
"""


def test_a_table_joined_by_two_keys(tmp_path: Path) -> None:
    ages = (
        "  viewer_age: {type: int, treatment: normalise}\n  writer_age: {type: int, treatment: normalise}\n"
    )
    rows, report = joined(tmp_path, TWICE + ages, users=USERS[: USERS.index("2,40")])
    age = {0: [20], 1: [30]}
    assert [(row.get("viewer_age"), row.get("writer_age")) for row in rows] == [
        (age.get(n % 3), age.get((n + 1) % 3)) for n in range(16)
    ]
    assert report["unmatched"] == {"users.csv by user": 5, "users.csv by writer": 5}


def test_only_the_second_of_two_joins_is_used(tmp_path: Path) -> None:
    rows, _ = joined(tmp_path, TWICE + "  writer_age: {type: int, treatment: normalise}\n", users=USERS)
    assert [row["writer_age"] for row in rows] == [[20 + 10 * ((n + 1) % 3)] for n in range(16)]


def test_the_same_columns_from_both_joins_need_a_prefix(tmp_path: Path) -> None:
    text = TWICE.replace(", prefix: viewer_", "").replace(", prefix: writer_", "")
    with pytest.raises(
        InputError, match=r"age is in users\.csv by user and in users\.csv by writer: give one"
    ):
        joined(tmp_path, text + "  age: {type: int, treatment: normalise}\n", users=USERS)


CHAIN = """\
lookups:
  - {files: items.csv, key: item}
  - {files: makers.csv, key: maker}
features:
  user: {type: int, treatment: vocabulary}
  item: {type: int, treatment: vocabulary}
  fame: {type: int, treatment: normalise}
"""


@pytest.mark.parametrize("makers", [("anna", "ben"), ("10", "11")])
@pytest.mark.parametrize("declared", [False, True])
def test_a_table_joined_by_a_column_of_another(
    tmp_path: Path, makers: tuple[str, str], declared: bool
) -> None:
    """Its key needs no type, and where it is a feature it is the other table's column, no second one."""
    kind = "int" if makers[0].isdigit() else "string"
    feature = f"  maker: {{type: {kind}, treatment: vocabulary}}\n" if declared else ""
    items = f"item,maker\n0,{makers[0]}\n1,{makers[1]}\n"
    rows, report = joined(
        tmp_path, CHAIN + feature, items=items, makers=f"maker,fame\n{makers[0]},3\n{makers[1]},4\n"
    )
    assert [row["fame"] for row in rows] == [[3 + n % 2] for n in range(16)]
    expected = [int(name) if kind == "int" else name.encode() for name in makers]
    assert [row.get("maker") for row in rows] == [[expected[n % 2]] if declared else None for n in range(16)]
    assert report["unmatched"] == {"items.csv": 0, "makers.csv": 0}


def test_a_key_that_two_tables_have(tmp_path: Path) -> None:
    text = CHAIN.replace("key: item}\n", "key: item}\n  - {files: others.csv, key: item}\n")
    tables = {"items": "item,maker\n0,a\n", "others": "item,maker\n0,b\n", "makers": "maker,fame\na,3\n"}
    with pytest.raises(
        InputError, match=r"maker, the key of the lookup makers\.csv, is in items\.csv and in oth"
    ):
        joined(tmp_path, text, **tables)


def test_a_key_that_nothing_before_has(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"has no column maker \(the key of the lookup makers\.csv\)"):
        joined(tmp_path, CHAIN, items="item,colour\n0,red\n", makers="maker,fame\na,3\n")


def test_ids_that_parquet_has_as_floats_meet_those_of_another_table(tmp_path: Path) -> None:
    """As pandas writes a column of ids in which one is missing."""
    rows = range(16)
    pl.DataFrame(
        {
            "at": [FIRST_DAY_MS + n // 4 * DAY_MS + n % 4 * 60_000 for n in rows],
            "scene": [n % 2 for n in rows],
            "click": [n // 2 % 2 for n in rows],
            "user": [n % 3 for n in rows],
            "item": [float("nan") if n == 5 else n % 2 + 0.5 if n == 6 else float(n % 2) for n in rows],
        }
    ).write_parquet(tmp_path / "log.parquet")
    text = CHAIN.replace("  item: {type: int, treatment: vocabulary}\n", "")
    path = tmp_path / "lookups.yaml"
    path.write_text(DECLARATION.replace("log.csv", "log.parquet") + text)
    pl.DataFrame({"item": [0, 1], "maker": [7.0, 8.0]}).write_parquet(tmp_path / "items.parquet")
    (tmp_path / "makers.csv").write_text("maker,fame\n7,3\n8,4\n")
    path.write_text(path.read_text().replace("items.csv", "items.parquet"))
    report = run_ingest(load_declaration(str(path)), tmp_path, tmp_path / "out")
    assert report["unmatched"] == {"items.parquet": 2, "makers.csv": 2}
    found = [row.get("fame") for split in SPLITS for row in read_examples(tmp_path / "out", split)]
    assert found == [None if n in (5, 6) else [3 + n % 2] for n in rows]
