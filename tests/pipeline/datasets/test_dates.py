"""Columns of dates: what a user, an item or a table is dated by is a number, never a word for each day."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from components.errors import InputError
from pipeline.datasets.proposal.propose import ProposalRequest
from tests.components.example_gen.small import run_ingest
from tests.pipeline.datasets.proposed import Written, columns, csv_log, write

USERS = 200
ONE_DAY = datetime.timedelta(days=1)


def log_with(folder: Path, of_user: dict[str, list[Any]], of_row: dict[str, list[Any]] | None = None) -> Path:
    rng = np.random.default_rng(3)
    log = columns()
    rows = len(np.asarray(log["clicked"]))
    whose = rng.integers(0, USERS, rows)
    log["user_id"] = [f"u{user}" for user in whose]
    for name, values in of_user.items():
        log[name] = [values[user] for user in whose]
    return csv_log(folder, log | (of_row or {}))


def proposed(folder: Path, log: Path, **given: Any) -> Written:
    return write(ProposalRequest([log], output=folder / "a.yaml", yes=True, **given))


def days(first: str, span: int) -> list[datetime.date]:
    rng = np.random.default_rng(5)
    return [datetime.date.fromisoformat(first) + ONE_DAY * int(k) for k in rng.integers(0, span, USERS)]


@pytest.mark.parametrize(
    ("name", "first", "span", "form", "written"),
    [
        ("signup_date", "2015-01-01", 2500, "%Y-%m-%d", "iso"),
        ("geburtsdatum", "1931-01-01", 25000, "%d.%m.%Y", "dmy"),
        ("published", "2015-01-01", 2500, "%m/%d/%Y %I:%M %p", "mdy"),
        ("registered", "2015-01-01", 2500, "%Y%m%d", "iso"),
        ("release_date", "2015-01-01", 2500, "%d %b %Y", "iso"),
    ],
)
def test_a_date_of_a_user_is_a_number_and_said(
    tmp_path: Path, name: str, first: str, span: int, form: str, written: str
) -> None:
    texts = [f"{day:{form}}" for day in days(first, span)]
    texts[::20] = ["NaT"] * len(texts[::20])
    found = proposed(tmp_path, log_with(tmp_path, {name: texts}))
    feature = found.declaration.features[name]
    assert (feature.type, feature.written, feature.treatment) == ("float", written, "normalise")
    assert any(text.startswith(f"{name}: dates of {first[:3]}") for text in found.proposal.draft.warnings)
    assert run_ingest(found.declaration, tmp_path, tmp_path / "out")["rejected"] == 0
    assert found.proposal.draft.columns[name].values.column.null_count() > 0


def test_seconds_that_date_a_user_are_a_number(tmp_path: Path) -> None:
    since = [int((day - datetime.date(1970, 1, 1)).total_seconds()) for day in days("2015-01-01", 2500)]
    found = proposed(tmp_path, log_with(tmp_path, {"joined_at": since, "account": [s + 7 for s in since]}))
    assert found.declaration.features["joined_at"].type == "float"
    assert found.declaration.features["account"].treatment == "vocabulary"


def test_a_date_that_comes_later_is_set_aside_aloud_and_can_be_kept(tmp_path: Path) -> None:
    rows = len(np.asarray(columns()["clicked"]))
    rng = np.random.default_rng(7)
    more = {"delivered_on": [f"20{k:02d}-05-06" for k in rng.integers(10, 40, rows)]}
    last = {"last_seen": [f"{day}" for day in days("2030-01-01", 30)]}
    log = log_with(tmp_path, last, more)
    found = proposed(tmp_path, log)
    assert {"delivered_on", "last_seen"}.isdisjoint(found.declaration.features)
    said = "\n".join(found.proposal.draft.warnings)
    assert "delivered_on: left out: a date that is neither the impression's nor" in said
    assert "last_seen: left out: a date that lies after the impression in 100% of the rows" in said
    assert "--keep last_seen makes a feature of it" in said
    kept = proposed(tmp_path, log, keep=["last_seen"], force=True)
    assert kept.declaration.features["last_seen"].written == "iso"


def test_dates_of_a_table_and_of_parquet(tmp_path: Path) -> None:
    log = log_with(tmp_path, {})
    table = {"user_id": [f"u{user}" for user in range(USERS)], "born": days("1940-01-01", 20000)}
    pl.DataFrame(table).write_parquet(tmp_path / "users.parquet")
    found = proposed(tmp_path, log, lookups=[f"{tmp_path / 'users.parquet'}=user_id"])
    assert found.declaration.features["born"].written == "iso"
    report = run_ingest(found.declaration, tmp_path, tmp_path / "out")
    assert report["rejected"] == 0


def test_years_of_a_user_or_an_item_are_no_part_of_the_time(tmp_path: Path) -> None:
    years = [day.year for day in days("1940-01-01", 20000)]
    assert "birth_year" in proposed(tmp_path, log_with(tmp_path, {"birth_year": years})).declaration.features


def test_what_is_no_date_where_dates_are_declared_is_refused_with_its_line(tmp_path: Path) -> None:
    texts = [f"{day}" for day in days("2015-01-01", 2500)]
    found = proposed(tmp_path, log_with(tmp_path, {"signup_date": texts}))
    log_with(tmp_path, {"signup_date": ["31.02.2024", *texts[1:]]})
    with pytest.raises(InputError, match=r"column signup_date: expected a date \(iso\) from 1800 to 2199"):
        run_ingest(found.declaration, tmp_path, tmp_path / "again")
