"""Forms of well-known public logs: what is guessed is right, or doubted aloud, and what is refused says the remedy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from components.errors import InputError
from pipeline.datasets.proposal import tables
from pipeline.datasets.proposal.propose import ProposalRequest
from tests.pipeline.datasets.proposed import Written, columns, csv_log, write

ROWS = 3000


def proposed(folder: Path, log: dict[str, object], **given: object) -> Written:
    path = csv_log(folder, log)
    return write(ProposalRequest([path], output=folder / "a.yaml", yes=True, **given))  # type: ignore[arg-type]


def test_a_time_that_counts_from_its_own_beginning(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    log = columns() | {"ts": np.sort(rng.integers(0, 2_671_200, ROWS))}
    for given in ({}, {"roles": {"timestamp": "ts"}}):
        with pytest.raises(
            InputError,
            match=r"\d+ to \d+, which counts from a moment of its own: add that moment, as seconds",
        ):
            proposed(tmp_path, log, **given)
    written = proposed(tmp_path, log | {"uid": rng.integers(0, 200, ROWS)}, no_time=True)
    assert "ts" not in written.declaration.features
    assert any(
        "ts: left out: named like a time, and counts like one" in w for w in written.proposal.draft.warnings
    )


def test_the_time_of_a_lookup(tmp_path: Path) -> None:
    log = csv_log(tmp_path, {"display": np.arange(ROWS) // 5, "clicked": np.arange(ROWS) % 5 // 4})
    table = csv_log(
        tmp_path, {"display": np.arange(ROWS // 5), "ts": np.arange(ROWS // 5) + 1_700_000_000}, "shown.csv"
    )
    with pytest.raises(InputError, match="--timestamp ts: is a column of a lookup table, and must be one of"):
        write(ProposalRequest([log], [f"{table}=display"], tmp_path / "a.yaml", roles={"timestamp": "ts"}))


def test_a_lookup_without_a_header_says_how_it_is_given_one(tmp_path: Path) -> None:
    log = csv_log(tmp_path, columns(item_id=np.arange(ROWS) % 50))
    table = tmp_path / "items.dat"
    table.write_text("".join(f"{n}::{100 + n % 7}::{1900 + n}\n" for n in range(50)))
    with pytest.raises(InputError, match=r"--columns .*items\.dat=a,b,c or"):
        write(ProposalRequest([log], [f"{table}=item_id"], tmp_path / "a.yaml"))


def test_the_separator_of_a_text_whose_every_title_has_a_comma(tmp_path: Path) -> None:
    log = csv_log(tmp_path, columns(item_id=np.arange(ROWS) % 50))
    table = tmp_path / "items.dat"
    table.write_text(
        "item_id::title::year\n" + "".join(f"{n}::Film, The {n}::19{n + 10}\n" for n in range(50))
    )
    written = write(ProposalRequest([log], [f"{table}=item_id"], tmp_path / "a.yaml", yes=True))
    assert written.declaration.lookups[0].separator == "::"
    assert "year" in written.declaration.features


@pytest.mark.parametrize("name", ["video_duration", "review_time"])
def test_lengths_and_times_are_no_domains(tmp_path: Path, name: str) -> None:
    log = columns() | {name: np.arange(ROWS) % 60}
    del log["channel"]
    with pytest.raises(InputError, match=r"the domain cannot be guessed.*joined with --lookup FILE=KEY"):
        proposed(tmp_path, log)


def test_what_cannot_be_used_is_said(tmp_path: Path) -> None:
    log = pl.DataFrame(columns(user_id=np.arange(ROWS) % 40)).with_columns(
        place=pl.struct(pl.lit(1).alias("x")), vector=pl.lit([0.5, 1.5])
    )
    log.write_parquet(tmp_path / "log.parquet")
    said = write(ProposalRequest([tmp_path / "log.parquet"], output=tmp_path / "a.yaml", yes=True))
    assert {"place", "vector"} <= {w.split(":")[0] for w in said.proposal.draft.warnings if "set aside" in w}


def test_of_very_many_columns_those_of_roles_and_the_first_are_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "MOST_COLUMNS", 8)
    rng = np.random.default_rng(2)
    many = {f"f{n}": rng.integers(0, 5, ROWS) for n in range(30)}
    written = proposed(tmp_path, many | columns(item_id=rng.integers(0, 90, ROWS)), keep=["f25"])
    assert {"f0", "f25", "item_id", "channel"} <= set(written.declaration.features)
    assert "f20" not in written.declaration.features
    assert any("the log has 35 columns: 8 were looked at" in w for w in written.proposal.draft.warnings)
