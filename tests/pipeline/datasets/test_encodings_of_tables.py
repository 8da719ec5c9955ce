"""A table beside the log may be in another encoding than it: what is given is of the texts that need it."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import polars as pl
import pytest

from components.dataset.files import find_files
from components.dataset.joins import read_lookup
from components.dataset.read_plan import plan_reading
from components.errors import InputError
from pipeline.datasets.proposal.tables import open_sources
from pipeline.datasets.proposal.text_format import TextFormat
from tests.components.example_gen.small import USERS, declare, log_text, write_data


def write(folder: Path) -> None:
    """A log of JSON, which is UTF-8, a table of CSV in cp1252, and one of Parquet."""
    rows = [{"user": f"u{n % 50}", "item": n % 7, "scene": ("Für dich", "Suche")[n % 2]} for n in range(400)]
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (folder / "log.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    users = "user;land\n" + "".join(f"u{n};{('Österreich', 'Bayern')[n % 2]}\n" for n in range(50))
    (folder / "users.csv").write_bytes(users.encode("cp1252"))
    pl.DataFrame({"item": range(7), "kind": ["Hörspiel"] * 7}).write_parquet(folder / "items.parquet")


TABLES = ("users.csv=user", "items.parquet=item")


def test_an_encoding_is_of_the_tables_that_need_it(tmp_path: Path) -> None:
    write(tmp_path)
    tables = [f"{tmp_path}/{table}" for table in TABLES]
    found = open_sources([tmp_path / "log.jsonl.gz"], tables, TextFormat(encoding="cp1252"))
    sections = [found.log.section, *(lookup.table.section for lookup in found.lookups)]
    assert [section.encoding for section in sections] == ["utf-8", "cp1252", "utf-8"]
    assert set(found.rows["scene"]) == {"Für dich", "Suche"}
    assert set(found.rows["land"]) == {"Österreich", "Bayern"}
    assert found.rows["kind"].null_count() == 0


def test_a_table_of_another_encoding_is_refused_with_what_it_looks_like(tmp_path: Path) -> None:
    """Its rows would be missing, and the impressions of their users would say so alone."""
    write(tmp_path)
    with pytest.raises(InputError, match=r"users.csv:2: is not UTF-8 text; 25 of 50 .*--encoding"):
        open_sources([tmp_path / "log.jsonl.gz"], [f"{tmp_path}/{table}" for table in TABLES], TextFormat())


def test_a_declared_encoding_is_of_csv_alone(tmp_path: Path) -> None:
    write(tmp_path)
    section = declare(tmp_path).impressions.model_copy(
        update={"files": ["*.jsonl.gz", "users.csv", "items.parquet"], "encoding": "cp1252"}
    )
    found = {file.name: file.encoding for file in find_files(str(tmp_path), section)}
    assert found == {"log.jsonl.gz": "utf-8", "users.csv": "cp1252", "items.parquet": "utf-8"}


def test_a_run_says_how_a_table_is_to_be_read(tmp_path: Path) -> None:
    data = write_data(tmp_path, {"log.csv": log_text()}, users=USERS)
    (data / "items.csv").write_bytes("id,colour,codes\na,hellgrün,1\nb,weiß,2\n".encode("cp1252"))
    declaration = declare(tmp_path)
    items = plan_reading(declaration, str(data)).lookups[1]
    with pytest.raises(InputError, match=r"items.csv:2: is not UTF-8 text(.|\n)*declare `encoding: "):
        read_lookup(items, declaration)
