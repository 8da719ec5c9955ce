"""Every mistake in the input ends with one message that says where it is, and nothing written."""

from __future__ import annotations

import os
import zlib
from pathlib import Path

import apache_beam as beam
import pytest

from components import committed
from components.beam_jobs import beam_runner
from components.errors import InputError
from pipeline.beam_runner import beam_args
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

GOOD = log_text()


def refuse(
    folder: Path, logs: dict[str, str | bytes], overrides: list[str] | None = None, **files: str
) -> str:
    declaration = declare(folder, overrides or [])
    data = write_data(folder, logs, **files)
    with pytest.raises(InputError) as caught:
        run_ingest(declaration, data, folder / "out")
    assert not list((folder / "out").glob("Split-*/*"))
    return str(caught.value)


def edited(line: int, old: str, new: str) -> str:
    lines = GOOD.split("\n")
    assert old in lines[line - 1]
    lines[line - 1] = lines[line - 1].replace(old, new, 1)
    return "\n".join(lines)


def test_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere: no such folder"):
        run_ingest(declare(tmp_path), tmp_path / "nowhere", tmp_path / "out")


def test_folder_that_is_a_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"small.yaml: is a file"):
        run_ingest(declare(tmp_path), tmp_path / "small.yaml", tmp_path / "out")


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_unreadable_folder(tmp_path: Path) -> None:
    declaration, data = declare(tmp_path), write_data(tmp_path, {"log.csv": GOOD})
    data.chmod(0)
    try:
        with pytest.raises(InputError, match="cannot be read: Permission denied"):
            run_ingest(declaration, data, tmp_path / "out")
    finally:
        data.chmod(0o755)


def test_no_file_matches(tmp_path: Path) -> None:
    message = refuse(tmp_path, {"lag.csv": GOOD})
    assert "no file matches log*.csv" in message
    assert "lag.csv" in message


def test_missing_lookup_file(tmp_path: Path) -> None:
    declaration = declare(tmp_path)
    data = write_data(tmp_path, {"log.csv": GOOD})
    (data / "users.csv").unlink()
    with pytest.raises(InputError, match=r"no file matches users\.csv"):
        run_ingest(declaration, data, tmp_path / "out")


def test_empty_file(tmp_path: Path) -> None:
    assert "log.csv:1: the file is empty" in refuse(tmp_path, {"log.csv": ""})


def test_empty_log(tmp_path: Path) -> None:
    assert "log.csv: no impressions" in refuse(tmp_path, {"log.csv": LOG_HEADER + "\n"})


@pytest.mark.parametrize("whole", [0, len(GOOD)], ids=["at the header", "after the rows"])
def test_damaged_gzip(tmp_path: Path, whole: int) -> None:
    packer = zlib.compressobj(wbits=31)
    content = packer.compress(GOOD[:whole].encode()) + packer.flush(zlib.Z_FULL_FLUSH)
    message = refuse(tmp_path, {"log.csv.gz": content + b"\xff" * 64}, ['impressions.files=["log*.csv.gz"]'])
    assert "log.csv.gz: cannot be read" in message
    assert "Error -3 while decompressing data" in message


def test_missing_column_with_a_close_name(tmp_path: Path) -> None:
    message = refuse(tmp_path, {"log.csv": GOOD.replace("click", "clicks", 1)})
    assert "log.csv: has no column click (the label). Did you mean clicks?" in message


def test_missing_feature_column(tmp_path: Path) -> None:
    message = refuse(tmp_path, {"log.csv": GOOD.replace("length", "lenght", 1)})
    assert "the column length is declared, but is in none of the files" in message
    assert "Did you mean lenght?" in message


def test_what_nothing_reads_is_said_where_no_name_is_close(tmp_path: Path) -> None:
    renamed = GOOD.replace("length", "extent", 1)
    message = refuse(tmp_path, {"log.csv": renamed})
    assert "the column length is declared" in message and "Did you mean" not in message
    assert "Nothing reads: extent" in message


def test_column_missing_in_the_second_file(tmp_path: Path) -> None:
    message = refuse(tmp_path, {"log1.csv": GOOD, "log2.csv": GOOD.replace("scene", "scenes", 1)})
    assert "log2.csv: has no column scene" in message


def test_text_in_a_number_column(tmp_path: Path) -> None:
    message = refuse(tmp_path, {"log.csv": edited(7, ",5,2,", ",five,2,")})
    assert "1 of 48 rows cannot be used" in message
    assert "log.csv:7: column played: expected a number, found 'five'" in message
    assert "max_rejected_share" in message


@pytest.mark.parametrize("label", ["2", "yes", "-1", "0.5"])
def test_label_that_is_not_0_or_1(tmp_path: Path, label: str) -> None:
    message = refuse(tmp_path, {"log.csv": edited(3, ",b,1,", f",b,{label},")})
    assert "log.csv:3:" in message
    assert "click: expected 0 or 1, found" in message
    assert label in message


def test_empty_label(tmp_path: Path) -> None:
    assert "log.csv:3: label click: is missing" in refuse(tmp_path, {"log.csv": edited(3, ",b,1,", ",b,,")})


def test_timestamps_that_do_not_parse(tmp_path: Path) -> None:
    message = refuse(tmp_path, {"log.csv": edited(2, "1650816000000", "today")})
    assert "log.csv:2: column at: expected a time (ms) from 1971 to 2199, found 'today'" in message


def test_timestamps_in_another_unit(tmp_path: Path) -> None:
    message = refuse(tmp_path, {"log.csv": GOOD.replace("000000,", "000,").replace("0000,", "0,")})
    assert "expected a time (ms) from 1971 to 2199" in message


def test_wrong_number_of_values(tmp_path: Path) -> None:
    assert "log.csv:4: expected 9 values, found 10" in refuse(
        tmp_path, {"log.csv": edited(4, ",x;y,", ",x,y,")}
    )


def test_line_number_counts_empty_lines_and_earlier_pieces(tmp_path: Path) -> None:
    declaration = declare(tmp_path)
    flawed = edited(30, ",x;y,", ",x,y,").replace("\n", "\n\n", 5)
    data = write_data(tmp_path, {"log.csv": flawed})
    with pytest.raises(InputError, match=r"log.csv:35: expected 9 values"):
        run_ingest(declaration, data, tmp_path / "out", piece_bytes=150, block_bytes=70)


def test_domain_with_one_value(tmp_path: Path) -> None:
    lines = GOOD.split("\n")
    same = [",".join([*line.split(",")[:1], "7", *line.split(",")[2:]]) for line in lines[1:] if line]
    message = refuse(tmp_path, {"log.csv": "\n".join([lines[0], *same])})
    assert "the domain column scene has only the value '7'" in message


def test_label_with_one_value(tmp_path: Path) -> None:
    lines = GOOD.split("\n")
    same = [",".join([*line.split(",")[:4], "0", *line.split(",")[5:]]) for line in lines[1:] if line]
    assert "the label click is 0 in all 48 rows" in refuse(
        tmp_path, {"log.csv": "\n".join([lines[0], *same])}
    )


@pytest.mark.parametrize(("days", "eval_days"), [(1, 1), (2, 1), (3, 2), (3, 3)])
def test_too_few_days(tmp_path: Path, days: int, eval_days: int) -> None:
    message = refuse(tmp_path, {"log.csv": log_text(days)}, [f"split.eval_days={eval_days}"])
    assert f"rows of {days} days (2022-04-25" in message
    assert f"but {eval_days + 2} are needed" in message


def days_of(*counts: int, first: int = 0, apart: int = 1) -> str:
    lines = [
        f"{FIRST_DAY_MS + (first + number * apart) * DAY_MS + row},{row % 2},1,a,{row // 2 % 2},3,6,x;y,n"
        for number, count in enumerate(counts)
        for row in range(count)
    ]
    return "\n".join([LOG_HEADER, *lines]) + "\n"


def test_stray_dates_do_not_evaluate(tmp_path: Path) -> None:
    stray = days_of(1, 1, first=400, apart=500).split("\n", 1)[1]
    message = refuse(tmp_path, {"log.csv": days_of(300, 300, 300, 300) + stray})
    assert "to evaluate on have next to no rows: 2024-10-11 (1 rows)" in message
    assert "have 300 or more" in message
    assert "--set split.before='2022-04-29'" in message


def test_what_is_said_about_stray_dates_helps(tmp_path: Path) -> None:
    log = days_of(300, 300, 300, 300) + days_of(1, 1, first=400).split("\n", 1)[1]
    declaration = declare(tmp_path, ["split.before='2022-04-29'"])
    report = run_ingest(declaration, write_data(tmp_path, {"log.csv": log}), tmp_path / "out")
    assert (report["train"], report["eval"], report["later"]) == (900, 300, 2)


def test_a_day_that_has_just_begun_does_not_evaluate(tmp_path: Path) -> None:
    assert "2022-04-29 (2 rows)" in refuse(tmp_path, {"log.csv": days_of(300, 300, 300, 300, 2)})


def test_a_day_of_three_hundredths_evaluates(tmp_path: Path) -> None:
    data = write_data(tmp_path, {"log.csv": days_of(300, 300, 300, 300, 9)})
    assert run_ingest(declare(tmp_path), data, tmp_path / "out")["eval"] == 9


def test_an_outage_does_not_validate(tmp_path: Path) -> None:
    message = refuse(tmp_path, {"log.csv": days_of(300, 300, 300, 2, 300)})
    assert "to validate on have next to no rows: 2022-04-28 (2 rows)" in message
    assert "raise split.validation_days" in message


def test_duplicate_key_in_a_lookup(tmp_path: Path) -> None:
    message = refuse(tmp_path, {"log.csv": GOOD}, users="user,age\n1,3\n2,4\n1,5\n")
    assert "users.csv:2 and" in message
    assert "users.csv:4: the key user = 1 occurs 2 times" in message


def test_text_in_a_number_column_of_a_lookup(tmp_path: Path) -> None:
    message = refuse(tmp_path, {"log.csv": GOOD}, users="user,age\n1,3\n2,old\n")
    assert "users.csv:3: column age: expected int, found 'old'" in message


def test_lookup_without_its_key(tmp_path: Path) -> None:
    message = refuse(tmp_path, {"log.csv": GOOD}, users="users,age\n1,3\n")
    assert "users.csv: has no column user (the key of the lookup). Did you mean users? If" in message
    assert "`key: {user: THEIRS}`" in message


def test_a_column_in_two_lookups(tmp_path: Path) -> None:
    text = (
        DECLARATION.replace(", prefix: item_", "")
        .replace("item_colour", "colour")
        .replace("item_codes", "codes")
    )
    declaration = declare(tmp_path, text=text)
    data = write_data(tmp_path, {"log.csv": GOOD}, users="user,age,colour\n1,2,red\n")
    with pytest.raises(InputError, match=r"colour is in users\.csv and in items\.csv: give one .* `prefix`"):
        run_ingest(declaration, data, tmp_path / "out")


def test_rejects_below_the_share_are_reported_and_left_out(tmp_path: Path) -> None:
    declaration = declare(tmp_path, ["max_rejected_share=0.05"])
    data = write_data(tmp_path, {"log.csv": edited(7, ",5,2,", ",five,2,")})
    report = run_ingest(declaration, data, tmp_path / "out")
    assert report["rejected"] == 1
    assert report["rejected_share"] == pytest.approx(1 / 48)
    assert report["rejects"] == [
        {"file": str(data / "log.csv"), "line": 7, "reason": "column played: expected a number, found 'five'"}
    ]
    assert report["train"] + report["eval"] == 47


@pytest.mark.parametrize("place", ["Split-train/beam-temp-1/data_tfrecord-00000.gz", "tmp/hashes/000000"])
def test_full_disk(tmp_path: Path, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(committed, "_token", lambda: "1")
    declaration = declare(tmp_path)
    data = write_data(tmp_path, {"log.csv": GOOD})
    full = tmp_path / "out" / place
    full.parent.mkdir(parents=True)
    full.symlink_to("/dev/full")
    with pytest.raises(InputError, match="no space left on the device"):
        run_ingest(declaration, data, tmp_path / "out")


def in_memory() -> beam.Pipeline:
    return beam.Pipeline(argv=list(beam_args("direct", ["workers=1"])))


def test_a_workers_message_crosses_the_beam_runner(tmp_path: Path) -> None:
    declaration = declare(tmp_path)
    data = write_data(tmp_path, {"log.csv": log_text() + "x" * (14 << 20)})
    with pytest.raises(InputError) as caught:
        run_ingest(declaration, data, tmp_path / "out", runner=beam_runner(in_memory))
    assert str(caught.value) == f"{data / 'log.csv'}: no line break in 8 MB: is this a text?"


def test_beam_writes_what_the_loop_writes(tmp_path: Path) -> None:
    declaration = declare(tmp_path)
    data = write_data(tmp_path, {"log1.csv": GOOD, "log2.csv": log_text(days=5)})
    sizes = {"piece_bytes": 700, "partition_rows": 20}
    with_beam = run_ingest(declaration, data, tmp_path / "beam", runner=beam_runner(in_memory), **sizes)
    assert with_beam == run_ingest(declaration, data, tmp_path / "loop", **sizes)
    assert with_beam["duplicates"] == 48
    for split in ("train", "eval"):
        assert read_examples(tmp_path / "beam", split) == read_examples(tmp_path / "loop", split)
