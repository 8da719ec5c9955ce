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


@pytest.mark.parametrize(
    ("column", "told"),
    [
        (
            [f'[{{"aid": {n}, "type": "clicks"}}]' for n in range(ROWS)],
            "lists of objects, as a session's events",
        ),
        ([f'{{"color": "c{n % 7}"}}' for n in range(ROWS)], "objects: write what they hold as columns"),
        ([f"N{n}-0 N{n + 1}-1" for n in range(ROWS)], "what was shown, with -1 behind what was clicked"),
        (
            [f"205\x02{n}\x031.0\x01301\x02{n % 9}\x031.0" for n in range(ROWS)],
            "control characters between them",
        ),
    ],
)
def test_what_is_packed_into_one_column_is_said_with_the_remedy(
    tmp_path: Path, column: list[str], told: str
) -> None:
    log = columns(item_id=np.arange(ROWS) % 50, packed=column)
    said = proposed(tmp_path, log).proposal.draft.warnings
    assert any(w.startswith("packed: set aside: it holds ") and told in w for w in said)
    del log["clicked"]
    with pytest.raises(InputError, match="the label cannot be guessed") as error:
        proposed(tmp_path, log, force=True)
    assert "\npacked: it holds " in str(error.value)
    assert told in str(error.value)


def test_events_of_json_are_said_to_need_rows_of_their_own(tmp_path: Path) -> None:
    path = tmp_path / "sessions.jsonl"
    path.write_text("".join(f'{{"session": {n}, "events": [{{"aid": {n}, "ts": 1}}]}}\n' for n in range(99)))
    with pytest.raises(InputError, match=r"events: it holds lists of objects, .*: write a row for each"):
        write(ProposalRequest([path], output=tmp_path / "a.yaml", yes=True))


def test_times_that_cannot_be_the_timestamp_are_named(tmp_path: Path) -> None:
    log = columns()
    del log["ts"]
    log["date_"] = np.arange(ROWS) * 14 // ROWS + 1
    with pytest.raises(InputError, match="date_ holds 1 to 14: if these are days, write them as dates"):
        proposed(tmp_path, log)
    del log["date_"]
    log["display"] = np.arange(ROWS) // 5
    table = csv_log(
        tmp_path, {"display": np.arange(ROWS // 5), "ts": np.arange(ROWS // 5) + 1_700_000_000}, "shown.csv"
    )
    with pytest.raises(InputError, match="ts holds times, and is a column of a lookup table: write it into"):
        proposed(tmp_path, log, lookups=[f"{table}=display"])


def test_a_split_at_random_goes_by_a_column_that_every_row_has(tmp_path: Path) -> None:
    log = columns(C1=[f"a{n % 400}" if n % 9 else None for n in range(ROWS)])
    del log["ts"]
    log["C2"] = [f"b{n % 300}" for n in range(ROWS)]
    written = proposed(tmp_path, log, no_time=True)
    assert written.declaration.timestamp.column == "C2"
    del log["C2"], log["channel"]
    log["channel"] = np.arange(ROWS) % 4
    with pytest.raises(InputError, match=r"--no-time .*a value in every row"):
        proposed(tmp_path, log, no_time=True, force=True)


def test_words_run_together_and_answers_in_other_languages_are_understood(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    visitor = rng.integers(0, 300, ROWS)
    clicked = rng.random(ROWS) < 0.3
    log = columns(
        visitorid=visitor, itemid=rng.integers(0, 80, ROWS), Geklickt=np.where(clicked, "Ja", "Nein")
    )
    del log["clicked"]
    written = proposed(tmp_path, log)
    assert (written.declaration.user, written.declaration.item) == ("visitorid", "itemid")
    assert written.declaration.label == "Geklickt"
    assert any("label: Geklickt is not certain" in w for w in written.proposal.draft.warnings)


def test_the_votes_for_a_review_came_after_it(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    log = columns(
        reviewerID=rng.integers(0, 300, ROWS), overall=rng.integers(1, 6, ROWS), useful=rng.poisson(1, ROWS)
    )
    log["verified"] = log.pop("clicked")
    log["reviewTime"] = [f"Sep {1 + n * 28 // ROWS}, 2017 2:{n % 60:02d} PM" for n in range(ROWS)]
    del log["ts"]
    written = proposed(tmp_path, log)
    assert (written.declaration.label, written.declaration.timestamp.column) == ("overall", "reviewTime")
    assert "useful" in written.declaration.behaviours


@pytest.mark.parametrize(
    ("values", "positive"),
    [
        (("clicked", "not clicked"), {"one_of": ["clicked"]}),
        (("click", "no_click"), {"one_of": ["click"]}),
        (("2", "1"), {"at_least": 2}),
        (("1", "-1"), {"at_least": 1}),
    ],
)
def test_two_values_of_a_click_are_told_apart(
    tmp_path: Path, values: tuple[str, str], positive: dict[str, object]
) -> None:
    rng = np.random.default_rng(6)
    log = columns(clicked=np.where(rng.random(ROWS) < 0.2, *values))
    written = proposed(tmp_path, log)
    rule = written.declaration.positive
    assert written.declaration.label == "clicked"
    assert rule is not None
    assert rule.model_dump(exclude_none=True) == positive
    if "at_least" in positive:
        assert any("label: clicked is not certain" in w for w in written.proposal.draft.warnings)


@pytest.mark.parametrize("form", ["%G-W%V-%u", "%y%m%d%H%M%S"])
def test_a_time_in_no_form_that_is_read_is_named(tmp_path: Path, form: str) -> None:
    log = columns()
    log["ts"] = pl.from_epoch(pl.Series(log["ts"])).dt.strftime(form)
    with pytest.raises(
        InputError, match=r"ts holds .*, which is no time in any form that is read: write it as"
    ):
        proposed(tmp_path, log)


def test_numbers_in_a_writing_that_is_not_read_and_times_of_day_are_said(tmp_path: Path) -> None:
    rng = np.random.default_rng(7)
    log = columns(
        views=[f"{n / 10:.1f}K" for n in rng.integers(10, 999, ROWS)],
        length=[f"{n // 60:02d}:{n % 60:02d}" for n in rng.integers(10, 999, ROWS)],
        article=[f"A-{n}" for n in rng.integers(0, 200, ROWS)],
        branch=[f"{n:04d}" for n in rng.integers(0, 200, ROWS)],
    )
    moments = pl.from_epoch(pl.Series(log.pop("ts")))
    log |= {"date": moments.dt.strftime("%Y-%m-%d"), "clock": moments.dt.strftime("%H:%M:%S")}
    warnings = proposed(tmp_path, log).proposal.draft.warnings
    said = {w.split(":")[0] for w in warnings if "is a word of its own; if these are numbers" in w}
    assert {"views", "length"} <= said
    assert not {"article", "branch"} & said
    assert any(w.startswith("timestamp date: whole days only; clock holds times of day") for w in warnings)


def test_what_users_did_is_named_where_nothing_tells_which_counts(tmp_path: Path) -> None:
    log = columns(behavior_type=np.arange(ROWS) % 4 + 1)
    del log["clicked"]
    with pytest.raises(
        InputError, match="behavior_type holds 1, 2, 3, 4: --label behavior_type --positive VALUE"
    ):
        proposed(tmp_path, log)


def test_a_column_has_one_role(tmp_path: Path) -> None:
    log = columns(visitor=np.arange(ROWS) % 40)
    with pytest.raises(
        InputError, match="--user visitor: is given as --domain already, and a column has one role"
    ):
        proposed(tmp_path, log, roles={"domain": "visitor", "user": "visitor"})
