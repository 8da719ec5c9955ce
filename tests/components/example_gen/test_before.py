"""A log that is read as if it ended earlier: the same as one whose later lines were never written."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.errors import InputError
from tests.components.example_gen.small import (
    DAY_MS,
    FIRST_DAY_MS,
    declare,
    log_text,
    read_examples,
    run_ingest,
    write_data,
)

BEFORE = "split.before=2022-04-28"


def cut(text: str, end_ms: int) -> str:
    """The lines before a moment."""
    header, *lines = text.splitlines()
    return "\n".join([header, *(line for line in lines if int(line.split(",")[0]) < end_ms)]) + "\n"


def ingested(
    folder: Path, text: str, overrides: list[str]
) -> tuple[dict[str, object], dict[str, list[object]]]:
    folder.mkdir()
    report = run_ingest(declare(folder, overrides), write_data(folder, {"log.csv": text}), folder / "out")
    return report, {split: read_examples(folder / "out", split) for split in ("train", "eval")}


def test_a_date_is_its_midnight_in_the_declared_zone(tmp_path: Path) -> None:
    report, rows = ingested(tmp_path / "before", log_text(), [BEFORE])
    shorter, same = ingested(tmp_path / "cut", cut(log_text(), FIRST_DAY_MS + 3 * DAY_MS), [])
    assert rows == same
    assert (report["later"], shorter["later"]) == (12, 0)
    assert {**report, "later": 0} == shorter
    assert report["last_day"] == "2022-04-27"


@settings(max_examples=20)
@given(minute=st.integers(2 * 1440 + 1, 4 * 1440))
def test_any_moment(tmp_path_factory: pytest.TempPathFactory, minute: int) -> None:
    folder = tmp_path_factory.mktemp("moment")
    moment = pl.from_epoch(pl.Series([FIRST_DAY_MS + 8 * 3_600_000 + minute * 60_000]), "ms")[0]
    report, rows = ingested(folder / "before", log_text(), [f"split.before={moment:%Y-%m-%dT%H:%M}"])
    _, same = ingested(folder / "cut", cut(log_text(), FIRST_DAY_MS + minute * 60_000), [])
    assert rows == same
    assert report["later"] == log_text().count("\n") - cut(log_text(), FIRST_DAY_MS + minute * 60_000).count(
        "\n"
    )


def test_a_domain_may_begin_later(tmp_path: Path) -> None:
    moment = FIRST_DAY_MS + 2 * DAY_MS + 5 * 60_000
    report, rows = ingested(
        tmp_path / "since", log_text(), ["split.domains_since={1: 2022-04-27T00:05, 0: 2022-04-25}"]
    )
    header, *lines = log_text().splitlines()
    kept = [line for line in lines if line.split(",")[1] != "1" or int(line.split(",")[0]) >= moment]
    shorter, same = ingested(tmp_path / "cut", "\n".join([header, *kept]) + "\n", [])
    assert rows == same
    assert report["later"] == len(lines) - len(kept) > 10
    assert {**report, "later": 0} == shorter


def test_a_domain_that_begins_and_has_no_rows_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"split\.domains_since: .*log\.csv: no row of domain '7' from 2022-04-25"
    ):
        ingested(tmp_path / "since", log_text(), ["split.domains_since={7: 2022-04-25}"])


def test_flaws_and_duplicates_of_later_days_do_not_count(tmp_path: Path) -> None:
    lines = log_text().splitlines()
    broken = lines[-1].split(",")
    broken[4] = "perhaps"
    text = "\n".join([*lines, lines[-2], ",".join(broken)]) + "\n"
    with pytest.raises(InputError, match="cannot be used"):
        ingested(tmp_path / "all", text, [])
    report, _ = ingested(tmp_path / "before", text, [BEFORE])
    assert (report["later"], report["rejected"], report["duplicates"]) == (14, 0, 0)


def test_a_line_without_a_readable_time_is_still_a_flaw(tmp_path: Path) -> None:
    text = log_text() + "yesterday,0,1,a,0,1,1,x,n\n"
    with pytest.raises(InputError, match=r"log.csv:50: column at: expected a time"):
        ingested(tmp_path / "x", text, [BEFORE])


def test_too_early_says_which_setting(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none of the 48 rows is before split.before = 2022-04-25 00:00:00"):
        ingested(tmp_path / "none", log_text(), ["split.before=2022-04-25"])
    with pytest.raises(
        InputError, match=r"rows of 2 days .* before split.before = 2022-04-27 00:00:00, but 3 are"
    ):
        ingested(tmp_path / "few", log_text(), ["split.before=2022-04-27"])


def test_parquet_and_iso_times_are_cut_alike(tmp_path: Path) -> None:
    lines = [line.split(",") for line in log_text().splitlines()]
    moments = [pl.from_epoch(pl.Series([int(v[0])]), "ms").dt.offset_by("8h")[0] for v in lines[1:]]
    iso = [",".join(lines[0]), *(",".join([str(m), *v[1:]]) for m, v in zip(moments, lines[1:], strict=True))]
    unit = "timestamp={column: at, unit: iso}"
    _, of_text = ingested(tmp_path / "iso", "\n".join(iso) + "\n", [BEFORE, unit])
    _, same = ingested(tmp_path / "ms", log_text(), [BEFORE])
    assert of_text == same
    folder = tmp_path / "parquet"
    folder.mkdir()
    data = write_data(folder, {})
    columns = dict(zip(lines[0], zip(*lines[1:], strict=True), strict=True))
    pl.DataFrame({**columns, "at": moments}).write_parquet(data / "log.parquet")
    declaration = declare(folder, [BEFORE, unit, "impressions={files: [log.parquet]}"])
    report = run_ingest(declaration, data, folder / "out")
    assert (report["later"], report["train"], report["eval"]) == (12, 24, 12)
    assert read_examples(folder / "out", "train") == same["train"]


def test_a_number_is_no_date(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"20220428 is a number: write a date as 2026-03-01"):
        declare(tmp_path, ["split.before=20220428"])


def test_an_offset_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"split.before.*leave the offset out"):
        declare(tmp_path, ["split.before=2022-04-28T00:00:00Z"])


def test_a_log_that_begins_later_is_one_whose_earlier_lines_were_never_written(tmp_path: Path) -> None:
    begins = FIRST_DAY_MS + DAY_MS
    header, *lines = log_text(days=5).splitlines()
    text = "\n".join([header, *(line for line in lines if int(line.split(",")[0]) >= begins)]) + "\n"
    report, rows = ingested(
        tmp_path / "since", log_text(days=5), ["split.since=2022-04-26", BEFORE[:-2] + "29"]
    )
    _, same = ingested(tmp_path / "cut", cut(text, FIRST_DAY_MS + 4 * DAY_MS), [])
    assert rows == same
    assert (report["later"], report["first_day"], report["last_day"]) == (24, "2022-04-26", "2022-04-28")


def test_no_row_from_one_moment_to_the_same_or_an_earlier_one(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"since 2022-04-28 00:00:00 is not before 2022-04-28 00:00:00"):
        declare(tmp_path, [BEFORE, "split.since=2022-04-28"])
    with pytest.raises(
        InputError, match=r"none of the 48 rows is from split.since = 2030-01-01 00:00:00: widen"
    ):
        ingested(tmp_path / "none", log_text(), ["split.since=2030-01-01"])
