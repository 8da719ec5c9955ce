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
    assert not any(w.startswith("label:") for w in written.proposal.draft.warnings)


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
        InputError, match="behavior_type holds 1, 2, 3, 4: --label behavior_type --positive =VALUE"
    ):
        proposed(tmp_path, log)


def test_a_column_has_one_role(tmp_path: Path) -> None:
    log = columns(visitor=np.arange(ROWS) % 40)
    with pytest.raises(
        InputError, match="--user visitor: is given as --domain already, and a column has one role"
    ):
        proposed(tmp_path, log, roles={"domain": "visitor", "user": "visitor"})


def test_what_a_user_is_like_is_no_user(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    log = columns(
        visitor_country_id=rng.integers(0, 230, ROWS),
        user_feature_0=rng.choice(["a1", "b2", "c3"], ROWS),
        prop_id=rng.integers(0, 90, ROWS),
        srch_length_of_stay=rng.integers(1, 9, ROWS),
    )
    written = proposed(tmp_path, log)
    assert (written.declaration.user, written.declaration.item) == (None, "prop_id")
    assert {"visitor_country_id", "user_feature_0", "srch_length_of_stay"} <= set(
        written.declaration.features
    )
    assert any(w.startswith("no user: ") for w in written.proposal.draft.warnings)
    with pytest.raises(InputError, match=r"Name it with --user COLUMN; --yes goes on without one"):
        write(ProposalRequest([tmp_path / "log.csv"], output=tmp_path / "b.yaml"))


def test_an_identifier_of_nothing_known_is_a_doubted_item_not_a_domain(tmp_path: Path) -> None:
    written = proposed(tmp_path, columns(answer_id=np.arange(ROWS) % 120, request_id=np.arange(ROWS) // 3))
    assert (written.declaration.item, written.declaration.domain) == ("answer_id", "channel")
    assert any(w.startswith("item: answer_id is not certain") for w in written.proposal.draft.warnings)


def test_the_time_of_a_click_tells_whether_there_was_one(tmp_path: Path) -> None:
    log = columns()
    clicked = log.pop("clicked")
    log["click_time"] = np.where(np.asarray(clicked) == 1, np.asarray(log["ts"]) + 7, 0)
    with pytest.raises(
        InputError, match=r"click_time holds times, and 0 in .* --label click_time --positive 1"
    ):
        proposed(tmp_path, log)
    declared = proposed(tmp_path, log, roles={"label": "click_time"}, positive="1").declaration
    # A mean of moments says nothing.
    assert list(declared.behaviours) == ["click_time_positive"]


def test_codes_of_what_users_did_count_alone_or_from_one_on(tmp_path: Path) -> None:
    log = columns(type=np.arange(ROWS) % 3 * 2 + 2)
    del log["clicked"]
    alone = proposed(tmp_path, log, roles={"label": "type"}, positive="=4").declaration
    assert alone.positive is not None
    assert alone.positive.one_of == ["4"]
    written = write(
        ProposalRequest(
            [tmp_path / "log.csv"],
            output=tmp_path / "b.yaml",
            roles={"label": "type"},
            positive="4",
            yes=True,
        )
    )
    assert "label: of type 4 and more count as 1; --positive =4 has it count alone" in (
        written.proposal.draft.warnings
    )
    with pytest.raises(InputError, match=r"--positive =5: type has no value 5; it has 2, 4, 6"):
        proposed(tmp_path, log, roles={"label": "type"}, positive="=5", force=True)


def test_a_page_with_a_list_of_what_was_clicked_needs_rows_of_its_own(tmp_path: Path) -> None:
    shown = [[n % 9, n % 7 + 10, n % 5 + 20] for n in range(ROWS)]
    log = pl.DataFrame(columns(user_id=np.arange(ROWS) % 40)).with_columns(
        ids_inview=pl.Series(shown), ids_clicked=pl.Series([row[:1] for row in shown])
    )
    log.drop("clicked").write_parquet(tmp_path / "log.parquet")
    request = ProposalRequest([tmp_path / "log.parquet"], output=tmp_path / "a.yaml", yes=True)
    with pytest.raises(
        InputError, match=r"ids_clicked holds which of ids_inview were clicked: write a row for"
    ):
        write(request)


def test_a_fact_of_the_user_is_no_label(tmp_path: Path) -> None:
    users = np.arange(ROWS) % 40
    log = columns(user_id=users, is_member=users % 2)
    del log["clicked"]
    with pytest.raises(InputError, match=r"is_member: .* it is the same in all rows of one user_id"):
        proposed(tmp_path, log)


def test_flags_beside_reactions_are_doubted_and_time_spent_is_set_aside(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    flags = {name: rng.integers(0, 2, ROWS) for name in ("like", "follow", "search")}
    written = proposed(tmp_path, columns(**flags, activeTime=rng.integers(0, 90, ROWS)))
    assert "activeTime" in written.declaration.behaviours
    assert any(
        w.startswith("search: 0 and 1, as the reactions beside") for w in written.proposal.draft.warnings
    )


def test_numbers_of_other_countries_are_read_or_doubted(tmp_path: Path) -> None:
    count = np.arange(ROWS)
    log = columns(
        french=[f"1\u202f{n % 900 + 100},5" for n in count],
        indian=[f"₹1,{n % 90 + 10},{n % 900 + 100}" for n in count],
        grouped=[f"{n % 90 + 1}_000" for n in count],
        swiss=[f"CHF 1'{n % 900 + 100}.50" for n in count],
        mixed=[f"${n}.50" if n % 2 else f"{n},50 €" for n in count],
        price=[f"<{n}" if n % 9 == 0 else f"{n}" for n in count],
        order_no=count % 700 + 1_700_000_000,
    )
    written = proposed(tmp_path, log)
    assert written.declaration.features["french"].written == "comma"
    said = {w.split(":")[0] for w in written.proposal.draft.warnings if "is a word of its own" in w}
    assert said == {"indian", "grouped", "mixed", "price"}
    assert written.declaration.features["swiss"].written == "point"
    # A number that names an order is no number of reactions.
    assert "order_no" not in written.declaration.behaviours


def test_minus_one_is_a_value_where_none_is_written_otherwise(tmp_path: Path) -> None:
    """As where a competitor's price is worse, equal or better, or there is none."""
    rate = ["NULL" if n % 5 == 0 else str(n % 3 - 1) for n in range(ROWS)]
    declared = proposed(tmp_path, columns(comp_rate=rate, nobody=np.arange(ROWS) % 9 - 1)).declaration
    assert declared.features["comp_rate"].type == "string"
    assert declared.features["nobody"].type == "int"


def test_of_two_times_that_count_the_one_named_so_is_told(tmp_path: Path) -> None:
    seconds = np.sort(np.random.default_rng(0).integers(0, 900_000, ROWS))
    log = columns() | {"time_since_last_click": seconds[::-1], "timestamp": seconds}
    del log["ts"]
    with pytest.raises(InputError, match=r"cannot be guessed: timestamp holds \d+ to \d+, which counts"):
        proposed(tmp_path, log)


def test_dicts_of_python_are_told_from_json(tmp_path: Path) -> None:
    (tmp_path / "log.json").write_text("{'user': 'a', 'ts': 1}\n")
    with pytest.raises(InputError, match=r"these are Python's dicts: write each with json.dumps"):
        write(ProposalRequest([tmp_path / "log.json"], output=tmp_path / "a.yaml", yes=True))


def test_the_time_of_a_search_in_a_table_is_named(tmp_path: Path) -> None:
    log = columns(search_key=np.arange(ROWS) // 2)
    moments = pl.from_epoch(pl.Series(log.pop("ts"))).dt.strftime("%Y-%m-%d %H:%M:%S.0")
    table = pl.DataFrame({"search_key": np.arange(ROWS // 2), "SearchDate": moments[: ROWS // 2]})
    table.write_csv(tmp_path / "searches.csv")
    with pytest.raises(
        InputError, match=r"SearchDate holds times, and is a column of a lookup table: write it"
    ):
        proposed(tmp_path, log, lookups=[f"{tmp_path / 'searches.csv'}=search_key"])


def test_names_with_their_tables_in_front(tmp_path: Path) -> None:
    count = np.arange(ROWS)
    log = columns(**{"events.item_id": count % 90})
    table = {
        "items.id": np.arange(90),
        "items.created_at": 1_600_000_000 + np.arange(90) * 7919,
        "items.price": np.arange(90) * 1.5,
    }
    pl.DataFrame(table).write_csv(tmp_path / "items.csv")
    key = f"{tmp_path / 'items.csv'}=events.item_id:items.id"
    features = proposed(tmp_path, log, lookups=[key]).declaration.features
    assert features["items.created_at"].type == features["items.price"].type == "float"


def test_what_goes_with_the_time_is_no_domain_and_no_feature(tmp_path: Path) -> None:
    day = np.arange(ROWS) * 10 // ROWS
    log = columns(dt=day + 1, release=[f"v{n // 3}" for n in day], place=np.arange(ROWS) % 3)
    del log["channel"]
    written = proposed(tmp_path, log)
    assert written.declaration.domain == "place"
    assert {"dt", "release"}.isdisjoint(written.declaration.features)
    said = [
        w for w in written.proposal.draft.warnings if "has a time of its own, so tomorrow's is not known" in w
    ]
    assert said[0].startswith("dt, release: left out")


def test_ratings_of_a_user_or_an_item_are_no_label(tmp_path: Path) -> None:
    users, items = np.arange(ROWS) % 40, np.arange(ROWS) % 70
    log = columns(user_id=users, item_id=items, user_star_level=3000 + users % 9, shop_score=items % 5)
    log["is_trade"] = log.pop("clicked")
    written = proposed(tmp_path, log)
    assert written.declaration.label == "is_trade"
    assert {"user_star_level", "shop_score"} <= set(written.declaration.features)
    log["rating"] = np.random.default_rng(0).integers(1, 6, ROWS)
    del log["is_trade"]
    assert proposed(tmp_path, log, force=True).declaration.label == "rating"


def test_a_click_on_something_else_is_a_doubted_label(tmp_path: Path) -> None:
    log = columns(timespent=np.arange(ROWS) % 90, bookmark=np.arange(ROWS) % 13 // 12)
    log["click_on_author"] = log.pop("clicked")
    written = proposed(tmp_path, log)
    assert {"timespent", "bookmark"} <= set(written.declaration.behaviours) | {written.declaration.label}
    assert any(w.startswith("label: ") and "is not certain" in w for w in written.proposal.draft.warnings)
    log["clicked"] = 1 - np.asarray(log["click_on_author"])
    assert proposed(tmp_path, log, force=True).declaration.label == "clicked"


def test_spaces_cut_a_table_where_nothing_else_does(tmp_path: Path) -> None:
    lists = [";".join(str(100 + (n + k) % 7) for k in range(2)) for n in range(ROWS)]
    log = csv_log(tmp_path, columns(item_property_list=lists), "log.txt", separator=" ")
    written = write(ProposalRequest([log], output=tmp_path / "a.yaml", yes=True))
    assert written.declaration.impressions.separator == " "
    assert written.declaration.features["item_property_list"].separator == ";"


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("1 0:7:1 1:305:1 2:600:0.5", "pairs of index and value"),
        ("-1 7:1 305:1 600:0.5", "pairs of index and value"),
        ("1317513291 id-560620 0 |user 2 9 11 |id-552077 |id-555224", "groups behind |"),
        ("1241160900 109513 0 |user 2:0.000012 1:1.0 |109498 2:0.3 1:1.0", "groups behind |"),
    ],
)
def test_rows_of_sparse_features_are_no_table(tmp_path: Path, line: str, told: str) -> None:
    (tmp_path / "log.txt").write_text(f"{line}\n" * 50)
    with pytest.raises(
        InputError, match=r"log.txt:1: a row is .*: write a table, with a column for"
    ) as error:
        write(ProposalRequest([tmp_path / "log.txt"], output=tmp_path / "a.yaml", yes=True))
    assert told in str(error.value)


def test_numbers_of_clicks_are_said_to_be_a_label(tmp_path: Path) -> None:
    log = columns()
    log["click"] = np.asarray(log.pop("clicked")) * (1 + np.arange(ROWS) % 3)
    with pytest.raises(
        InputError, match=r"click holds 0 to 3, and 0 in \d+.\d% .* --label click --positive 1"
    ):
        proposed(tmp_path, log)
    declared = proposed(tmp_path, log, roles={"label": "click"}, positive="1").declaration
    assert declared.positive is not None
    assert declared.positive.at_least == 1


def test_a_day_an_hour_and_a_minute_are_no_count_of_seconds(tmp_path: Path) -> None:
    moments = pl.from_epoch(pl.Series(columns()["ts"]))
    log = columns(user_id=np.arange(ROWS) % 90, clickTime=moments.dt.strftime("%d%H%M").cast(pl.Int64))
    del log["ts"]
    with pytest.raises(
        InputError, match=r"clickTime holds \d+ to \d+, digits of a day.*write it with the year"
    ):
        proposed(tmp_path, log)
    written = proposed(tmp_path, log, no_time=True)
    assert "clickTime" not in {*written.declaration.features, *written.declaration.behaviours}
