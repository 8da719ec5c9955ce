"""Labels made of ratings and texts, and logs too short for calendar days, through the whole ingestion."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from components.errors import InputError
from components.example_gen.encode import example_frame
from tests.components.example_gen.small import (
    DAY_MS,
    DECLARATION,
    FIRST_DAY_MS,
    LOG_HEADER,
    declare,
    log_text,
    read_examples,
    run_ingest,
    write_data,
)


def rated_log() -> str:
    header, *lines = log_text().strip().split("\n")
    rated = []
    for number, line in enumerate(lines):
        values = line.split(",")
        values[4] = str(number % 5 + 1)
        rated.append(",".join(values))
    return "\n".join([header, *rated]) + "\n"


def test_ratings_become_a_label_of_0_and_1_and_stay_a_behaviour(tmp_path: Path) -> None:
    declaration = declare(
        tmp_path,
        ["positive.at_least=4", "behaviours.liked={column: click, positive: {at_least: 5}}"],
    )
    data = write_data(tmp_path, {"log.csv": rated_log()})
    run_ingest(declaration, data, tmp_path / "out")
    examples = read_examples(tmp_path / "out", "train")
    ratings = [row["behaviour.click"][0] for row in examples]
    assert set(ratings) == {1.0, 2.0, 3.0, 4.0, 5.0}
    assert [row["click"][0] for row in examples] == [int(rating >= 4) for rating in ratings]
    assert [row["behaviour.liked"][0] for row in examples] == [float(rating >= 5) for rating in ratings]


def test_a_ratio_that_no_float_of_32_bits_holds_is_missing(tmp_path: Path) -> None:
    declaration = declare(tmp_path, ["behaviours.share={numerator: played, denominator: length}"])
    rows = pl.DataFrame(
        {"played": [1.0, 1.0, -1.0, 0.0], "length": [4.0, 1e-39, 1e-39, 0.0], "click": [1, 0, 1, 0]}
    )
    others = {
        name: pl.Series([None] * 4) for name in declaration.example_columns() if name not in rows.columns
    }
    frame = example_frame(rows.with_columns(**others), declaration)
    assert frame["behaviour.share"].to_list() == [0.25, None, None, None]
    assert frame["behaviour.watched"].to_list() == [0.25, 2.0, 0.0, None]


def test_a_text_label(tmp_path: Path) -> None:
    text = log_text().replace(",0,", ",view,").replace(",1,", ",buy,")
    lines = [line.split(",") for line in log_text().strip().split("\n")]
    events = [",".join([*v[:4], "buy" if v[4] == "1" else "view", *v[5:]]) for v in lines[1:]]
    text = "\n".join([LOG_HEADER, *events]) + "\n"
    declaration = declare(
        tmp_path,
        ["positive={one_of: [buy]}", "behaviours.click={column: click, positive: {one_of: [buy]}}"],
    )
    run_ingest(declaration, write_data(tmp_path, {"log.csv": text}), tmp_path / "out")
    labels = [row["click"][0] for row in read_examples(tmp_path / "out", "train")]
    assert labels == [int(v[4]) for v in lines[1:37]]


def test_a_rule_that_nothing_meets_is_refused(tmp_path: Path) -> None:
    declaration = declare(tmp_path, ["positive.at_least=6"])
    data = write_data(tmp_path, {"log.csv": rated_log()})
    with pytest.raises(
        InputError, match=r"the label click is 0 in all 48 rows.* or other values as `positive`"
    ):
        run_ingest(declaration, data, tmp_path / "out")


def hours_log() -> str:
    """Six hours of one day."""
    lines = [LOG_HEADER]
    for row in range(72):
        at = FIRST_DAY_MS + 9 * 3_600_000 + row * 300_000
        lines.append(f"{at},{row % 2},{row % 4},{'abc'[row % 3]},{row % 5 % 2},{row},{row % 3},x;y,n{row}")
    return "\n".join(lines) + "\n"


def test_a_log_of_hours_is_split_by_hours(tmp_path: Path) -> None:
    declaration = declare(tmp_path, ["split.day_hours=1", "split.eval_days=2"])
    data = write_data(tmp_path, {"log.csv": hours_log()})
    report = run_ingest(declaration, data, tmp_path / "out")
    assert (report["train"], report["eval"]) == (48, 24)
    assert report["first_day"] == report["last_day"] == "2022-04-25"
    midnight = FIRST_DAY_MS + 8 * 3_600_000
    assert min(row["local_time_ms"][0] for row in read_examples(tmp_path / "out", "eval")) == (
        midnight // DAY_MS * DAY_MS + 13 * 3_600_000
    )


def test_a_log_of_hours_and_calendar_days_says_what_to_do(tmp_path: Path) -> None:
    data = write_data(tmp_path, {"log.csv": hours_log()})
    with pytest.raises(InputError, match=r"rows of 1 days .*make split.day_hours smaller"):
        run_ingest(declare(tmp_path), data, tmp_path / "out")
    with pytest.raises(InputError, match=r"rows of 4 stretches of 2.5 hours .*2022-04-25 07:00"):
        run_ingest(declare(tmp_path, ["split.day_hours=2.5", "split.eval_days=3"]), data, tmp_path / "out")


def test_a_day_without_rows_inside_the_log_is_told(tmp_path: Path) -> None:
    lines = log_text(days=6).splitlines(keepends=True)
    text = "".join([*lines[:13], *lines[25:37], *lines[61:]])
    report = run_ingest(declare(tmp_path), write_data(tmp_path, {"log.csv": text}), tmp_path / "out")
    assert report["gaps"] == [["2022-04-26", "2022-04-26"], ["2022-04-28", "2022-04-29"]]


def test_days_whose_clicks_are_lost_are_told(tmp_path: Path) -> None:
    def text(silent_rows: int) -> str:
        """40 % of 48 rows a day are clicked; on the second day, of so many rows, none is."""
        header, *lines = log_text(days=4, rows=48).splitlines()
        lost = [",".join([*row[:4], "0", *row[5:]]) for row in (line.split(",") for line in lines[48:96])]
        return "\n".join([header, *lines[:48], *lost[:silent_rows], *lines[96:]]) + "\n"

    declaration = declare(tmp_path)
    report = run_ingest(declaration, write_data(tmp_path, {"log.csv": text(48)}), tmp_path / "out")
    assert report["silent_days"] == ["2022-04-26"]
    # Five rows of none are ordinary.
    report = run_ingest(declaration, write_data(tmp_path, {"log.csv": text(5)}), tmp_path / "again")
    assert report["silent_days"] == []


def test_clicks_and_domains_that_are_spelled_otherwise_are_told(tmp_path: Path) -> None:
    header, *lines = log_text(days=4).splitlines()
    rows = [line.split(",") for line in lines]
    for number, row in enumerate(rows):
        row[1] = "home" if row[1] == "0" else "feed " if number % 12 == 1 else "Feed"
        row[4] = "nein" if row[4] == "0" else "ja" if number % 8 else "J a"
    text = "\n".join([header, *(",".join(row) for row in rows)]) + "\n"
    scenes = DECLARATION.replace("scene: {type: int", "scene: {type: string")
    rule = "positive: {one_of: [ja]}"
    chosen = [f"behaviours.click={{column: click, {rule}}}", rule.replace(": ", "=", 1)]
    declaration = declare(tmp_path, chosen, scenes)
    report = run_ingest(declaration, write_data(tmp_path, {"log.csv": text}), tmp_path / "out")
    spelled = sum(row[4] == "J a" for row in rows)
    assert report["spelled"] == {"J a": spelled}
    places = {name: sum(row[1] == name for row in rows) for name in ("Feed", "feed ")}
    assert report["doubts"] == [
        f"click is 'J a' in {spelled} rows, as 'ja' but for case or spaces, and counts as 0: add it to "
        "positive.one_of if it is a click, ['ja', 'J a'], or mend these files",
        f"scene is 'Feed' in {places['Feed']} rows and 'feed ' in {places['feed ']} rows, alike but for case or "
        "spaces: each is trained and served as a domain of its own; if they are one, mend the files",
    ]


def test_an_hour_without_rows_is_no_day_without(tmp_path: Path) -> None:
    declaration = declare(tmp_path, ["split.day_hours=1", "split.eval_days=2"])
    lines = hours_log().splitlines(keepends=True)
    report = run_ingest(
        declaration, write_data(tmp_path, {"log.csv": "".join([*lines[:13], *lines[25:]])}), tmp_path / "out"
    )
    assert report["gaps"] == []
