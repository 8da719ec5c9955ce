"""What a proposal says is true of the log that it was made for, and of no other."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from google.protobuf import text_format
from rich.console import Console
from tensorflow_metadata.proto.v0 import schema_pb2

from components.dataset.schema import missing_schema
from pipeline.datasets.proposal.ask import asker
from pipeline.datasets.proposal.guess import Guess
from pipeline.datasets.proposal.named_files import named_after
from pipeline.datasets.proposal.propose import ProposalRequest
from tests.pipeline.datasets.proposed import Written, columns, csv_log, write

ROWS = 3000


def stays(folder: Path, **more: object) -> ProposalRequest:
    """A travel log: the item is named like what comes after an impression, and is the key of a table."""
    rng = np.random.default_rng(3)
    stay = rng.integers(0, 120, ROWS)
    log = columns(
        ROWS,
        clicked=(rng.random(ROWS) < np.where(stay < 30, 0.7, 0.1)).astype(int),
        traveller=rng.integers(0, 300, ROWS),
        stay=stay,
        view=[f"v{n}" for n in range(ROWS)],
        slot=rng.integers(1, 9, ROWS),
        weather=pl.Series(rng.random(ROWS)).set(pl.Series(rng.random(ROWS) < 0.03), None),
        **more,
    )
    path = csv_log(folder, log)
    csv_log(folder, {"stay": np.arange(120), "stars": np.arange(120) % 5}, "stays.csv")
    return ProposalRequest([path], [f"{folder}/stays.csv=stay"], folder / "travel.yaml", yes=True)


@pytest.fixture(scope="module")
def travel(tmp_path_factory: pytest.TempPathFactory) -> Written:
    return write(stays(tmp_path_factory.mktemp("travel")))


def test_the_key_of_a_table_is_known_before_the_exposure_and_may_be_the_item(travel: Written) -> None:
    assert (travel.declaration.user, travel.declaration.item) == ("traveller", "stay")
    assert "stay" in travel.declaration.features
    # The table might be of anything: it is said to be a guess.
    assert "# NOT CERTAIN: 120 values in the log, 25.0 rows each; a table is joined by it" in travel.text


def test_the_key_of_a_table_with_a_name_of_another_language_is_a_doubted_item(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    log = columns(ROWS, nutzer_nr=rng.integers(0, 900, ROWS), anzeige_nr=rng.integers(0, 300, ROWS))
    log = {name: values for name, values in log.items() if name not in ("user_id", "item_id")}
    path = csv_log(tmp_path, log)
    csv_log(tmp_path, {"nutzer_nr": np.arange(900), "alter": np.arange(900) % 60}, "nutzer.csv")
    csv_log(tmp_path, {"anzeige_nr": np.arange(300), "preis": np.arange(300) % 7 + 0.5}, "anzeigen.csv")
    tables = [f"{tmp_path}/nutzer.csv=nutzer_nr", f"{tmp_path}/anzeigen.csv=anzeige_nr"]
    found = write(ProposalRequest([path], tables, tmp_path / "anzeigen.yaml", yes=True))
    assert (found.declaration.user, found.declaration.item) == ("nutzer_nr", "anzeige_nr")
    assert any(w.startswith("item: anzeige_nr is not certain") for w in found.proposal.draft.warnings)


def test_a_place_among_what_is_shown_is_no_part_of_requests(travel: Written) -> None:
    assert travel.declaration.at_serving() == {"slot": 5}
    assert "slot" not in travel.declaration.serving_columns()
    assert any(w.startswith("slot: a place among what is shown") for w in travel.proposal.draft.warnings)
    assert "scene" not in travel.declaration.at_serving()


def test_keys_in_comments_are_columns_of_this_log(travel: Written) -> None:
    known = {*travel.declaration.raw_columns(), "user", "item", "domain", "author"}
    named = re.findall(r"\[([a-z_]+(?:, [a-z_]+)*)\]", travel.text)
    assert named
    for listed in named:
        assert {name.strip() for name in listed.split(",")} <= known, listed


def test_numbers_are_exact_and_say_whether_they_are_of_a_sample(tmp_path: Path, travel: Written) -> None:
    assert "# view: a value of its own in every row: nothing to learn" in travel.text
    assert "in the sample" not in travel.text
    text = travel.proposal.schema.read_text()
    assert f"Proposed from all {ROWS:,} rows" in text
    request = stays(tmp_path)
    written = write(ProposalRequest(**{**vars(request), "sample": 1000}))
    # A small file is read whole, whatever the sample.
    assert "in the sample" not in written.text


def test_instants_are_said_to_be_utc_and_written_times_stand_as_they_are(tmp_path: Path) -> None:
    written = write(ProposalRequest([csv_log(tmp_path, columns())], output=tmp_path / "a.yaml", yes=True))
    flat = " ".join(written.text.replace("#", " ").split())
    assert re.search(r"since 1970, in the order of the file: [\d: -]+ to [\d: -]+ UTC\.", flat)
    assert any("time_zone UTC: nothing in the files tells" in w for w in written.proposal.draft.warnings)
    wall = columns()
    wall["ts"] = [f"2024-05-{1 + n // 400:02d} 12:00:00" for n in range(ROWS)]
    written = write(ProposalRequest([csv_log(tmp_path, wall)], output=tmp_path / "b.yaml", yes=True))
    assert "2024-05-01 12:00:00 to 2024-05-08 12:00:00." in " ".join(written.text.replace("#", " ").split())


def test_a_zone_that_looks_like_its_contrary_is_explained(tmp_path: Path) -> None:
    log = columns()
    log["ts"] = [f"2024-05-{1 + n // 400:02d}T12:00:00+01:00" for n in range(ROWS)]
    written = write(ProposalRequest([csv_log(tmp_path, log)], output=tmp_path / "a.yaml", yes=True))
    assert written.declaration.time_zone == "Etc/GMT-1"
    flat = " ".join(written.text.replace("#", " ").split())
    assert "+01:00, which IANA calls Etc/GMT-1 (its signs are the other way round)" in flat


@pytest.mark.parametrize(
    ("file", "name"),
    [("shop/log-2026-03-01.csv", "log"), ("shop/part-0.parquet", "shop"), ("shop/dt=2026-03-01", "shop")],
)
def test_a_data_set_is_named_by_what_stays_the_same(file: str, name: str) -> None:
    assert named_after(Path("/data") / file) == name


@pytest.mark.parametrize(
    ("now", "later", "fits"), [(0.03, 0.09, True), (0.03, 0.45, False), (0.2, 0.45, False)]
)
def test_the_schema_bounds_what_it_says_it_bounds(
    now: float, later: float, fits: bool, tmp_path: Path
) -> None:
    rng = np.random.default_rng(1)
    sparse = pl.Series(rng.random(ROWS)).set(pl.Series(np.arange(ROWS) < now * ROWS), None)
    request = ProposalRequest(
        [csv_log(tmp_path, columns(sparse=sparse))], output=tmp_path / "a.yaml", yes=True
    )
    schema = text_format.Parse(write(request).proposal.schema.read_text(), schema_pb2.Schema())
    [feature] = [feature for feature in schema.feature if feature.name == "sparse"]
    assert (1 - later >= feature.presence.min_fraction) == fits
    assert feature.presence.min_fraction == pytest.approx(1 - max(0.1, 2 * now))


def test_a_declaration_that_lost_its_schema_is_not_passed_in_silence(travel: Written) -> None:
    assert missing_schema(travel.declaration) is None
    travel.proposal.schema.rename(travel.proposal.schema.with_suffix(".kept"))
    try:
        said = missing_schema(travel.declaration)
        assert said is not None
        assert said.startswith("travel.pbtxt is not there beside travel.yaml")
    finally:
        travel.proposal.schema.with_suffix(".kept").rename(travel.proposal.schema)


def test_a_terminal_is_asked_for_each_role_and_enter_takes_the_guess(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    console = Console(file=(tmp_path / "screen.txt").open("w"))
    take = asker(console)

    def ask(guess: Guess, names: list[str]) -> str | None:
        asked.append(guess.role)
        monkeypatch.setattr("builtins.input", lambda *_: "")
        monkeypatch.setattr(console, "input", lambda *_, **__: "")
        return take(guess, names)

    request = stays(tmp_path)
    written = write(ProposalRequest(**{**vars(request), "yes": False}), ask)
    assert asked == ["timestamp", "label", "user", "item", "domain"]
    assert (written.declaration.label, written.declaration.item) == ("clicked", "stay")


def listening(folder: Path, **roles: str | None) -> ProposalRequest:
    """A log whose names are in no dictionary of ours, beside tables of listeners and of episodes."""
    rng = np.random.default_rng(3)
    hoerer, folge = rng.integers(0, 700, ROWS), rng.integers(0, 90, ROWS)
    log = columns(
        ROWS,
        clicked=(rng.random(ROWS) < np.where(folge < 30, 0.4, 0.1)).astype(int),
        channel=rng.random(ROWS),
        kachel=rng.choice(["Start", "Suche", "Uhr"], ROWS),
        hoerer=hoerer,
        folge=folge,
    )
    path = csv_log(folder, log)
    csv_log(folder, {"hoerer": np.arange(700), "alter": np.arange(700) % 6}, "hoerer.csv")
    csv_log(folder, {"folge": np.arange(90), "genre": np.arange(90) % 8}, "folgen.csv")
    tables = [f"{folder}/hoerer.csv=hoerer", f"{folder}/folgen.csv=folge"]
    return ProposalRequest([path], tables, folder / "funk.yaml", roles=dict(roles), yes=True)


def test_what_tables_are_joined_by_is_the_user_and_the_item(tmp_path: Path) -> None:
    written = write(listening(tmp_path))
    declared = written.declaration
    assert (declared.user, declared.item) == ("hoerer", "folge")
    warned = " ".join(written.proposal.draft.warnings)
    assert "user: hoerer is not certain" in warned


def test_a_place_is_looked_for_in_the_log_before_its_tables(tmp_path: Path) -> None:
    """A table's column says what an item is like (its genre), seldom where it was shown."""
    assert write(listening(tmp_path)).declaration.domain == "kachel"


def test_a_terminal_is_asked_for_a_role_that_nothing_is_likely_to_have(tmp_path: Path) -> None:
    asked: list[str] = []

    def enter(guess: Guess, names: list[str]) -> str | None:
        asked.append(guess.role)
        return guess.column

    path = csv_log(tmp_path, columns())
    written = write(ProposalRequest([path], output=tmp_path / "a.yaml"), enter)
    assert asked == ["timestamp", "label", "user", "item", "domain"]
    assert "given" not in written.text


def test_the_data_set_is_named_as_its_file_is(tmp_path: Path) -> None:
    assert write(listening(tmp_path)).declaration.name == "funk"


def test_what_is_averaged_is_told_from_what_is_set_aside(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    clicked = (rng.random(ROWS) < 0.3).astype(int)
    log = columns(ROWS, clicked=clicked, dwell_time=clicked * rng.random(ROWS), purchase_note=["x"] * ROWS)
    written = write(ProposalRequest([csv_log(tmp_path, log)], output=tmp_path / "a.yaml", yes=True))
    for line in written.proposal.draft.places():
        names = line.partition(": ")[2].split(", ")
        averaged = {behaviour.column for behaviour in written.declaration.behaviours.values()}
        assert ("averaged" in line) == bool(averaged.intersection(names)), line


def test_times_before_and_after_a_clock_was_changed_tell_the_place(tmp_path: Path) -> None:
    log = columns()
    days = [n // 400 for n in range(ROWS)]
    log["ts"] = [f"2026-03-{26 + d:02d}T12:{n % 60:02d}:00+0{1 + (d > 2)}:00" for n, d in enumerate(days)]
    log = {name: list(values)[:2400] for name, values in log.items()}  # type: ignore[call-overload]
    written = write(ProposalRequest([csv_log(tmp_path, log)], output=tmp_path / "a.yaml", yes=True))
    assert written.declaration.time_zone == "Europe/Paris"


def test_an_offset_alone_is_said_to_be_no_place(tmp_path: Path) -> None:
    log = columns()
    log["ts"] = [f"2024-05-{1 + n // 400:02d}T12:00:00+01:00" for n in range(ROWS)]
    written = write(ProposalRequest([csv_log(tmp_path, log)], output=tmp_path / "a.yaml", yes=True))
    warned = " ".join(written.proposal.draft.warnings)
    assert "time_zone Etc/GMT-1: the offset of most times is +01:00" in warned
    assert "--time-zone names it" in warned
