"""What is proposed for odd logs, and which are refused."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from components.errors import InputError
from pipeline.datasets import sampling
from pipeline.datasets.checking.check import check
from pipeline.datasets.proposal.propose import ProposalRequest, propose
from tests.components.example_gen.small import run_ingest
from tests.pipeline.datasets.proposed import columns, csv_log, write


def test_semicolons_and_a_byte_order_mark(tmp_path: Path) -> None:
    log = csv_log(tmp_path, columns(), separator=";", bom=True)
    written = write(ProposalRequest([log], output=tmp_path / "a.yaml"))
    assert written.declaration.impressions.separator == ";"
    assert written.declaration.timestamp.column == "ts"
    assert run_ingest(written.declaration, tmp_path, tmp_path / "out")["rejected"] == 0


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".dat", ".inter", ".csv.gz", ".tsv.gz", ".txt.gz"])
def test_a_separator_is_found_whatever_the_suffix(tmp_path: Path, suffix: str) -> None:
    log = csv_log(tmp_path, columns(), separator=";", name=f"log{suffix}")
    if suffix.endswith(".gz"):
        log.write_bytes(gzip.compress(log.read_bytes()))
    written = write(ProposalRequest([log], output=tmp_path / "a.yaml"))
    assert written.declaration.impressions.separator == ";"
    assert written.declaration.timestamp.column == "ts"


def test_half_a_packed_file_is_said_to_be_one(tmp_path: Path) -> None:
    log = tmp_path / "log.csv.gz"
    log.write_bytes(gzip.compress(csv_log(tmp_path, columns(), separator=";").read_bytes())[:50])
    with pytest.raises(InputError, match=r"log\.csv\.gz"):
        write(ProposalRequest([log], output=tmp_path / "a.yaml"))


def test_a_tab_is_given_as_shells_write_it(tmp_path: Path) -> None:
    log = csv_log(tmp_path, columns(), separator="\t")
    written = write(ProposalRequest([log], output=tmp_path / "a.yaml", separator=r"\t"))
    assert written.declaration.impressions.separator == "\t"


def test_a_doubtful_label_is_taken_where_there_is_no_other_and_nobody_to_ask(tmp_path: Path) -> None:
    log = columns()
    log["geraakt"] = log.pop("clicked")
    written = write(ProposalRequest([csv_log(tmp_path, log)], output=tmp_path / "a.yaml"))
    assert written.declaration.label == "geraakt"
    assert any(text.startswith("label: geraakt is not certain") for text in written.proposal.draft.warnings)
    log["gekocht"] = 1 - np.asarray(log["geraakt"])
    with pytest.raises(InputError, match="the label is not certain; it may be"):
        write(ProposalRequest([csv_log(tmp_path, log)], output=tmp_path / "b.yaml"))


def test_of_two_columns_without_a_name_that_tells_the_label_is_the_one_that_another_follows(
    tmp_path: Path,
) -> None:
    log = columns()
    label = np.asarray(log.pop("clicked"))
    # A test of two pages, for nothing, stands before it.
    log = {"gruppe": np.arange(len(label)) % 2, **log, "gesehen": label}
    log["verweildauer"] = [float(at % 7) if one else None for at, one in enumerate(label)]
    written = write(ProposalRequest([csv_log(tmp_path, log)], output=tmp_path / "a.yaml", yes=True))
    assert written.declaration.label == "gesehen"
    doubt = next(text for text in written.proposal.draft.warnings if text.startswith("label: gesehen"))
    assert "is not certain" in doubt and "verweildauer is filled in no other rows" in doubt
    assert "verweildauer" in written.declaration.post_exposure


@pytest.mark.parametrize(
    ("name", "answers"),
    [
        ("cliqué", ("oui", "non")),
        ("geklickt", ("ja", "nein")),
        ("ist_geklickt", ("J", "N")),
        ("clicou", ("S", "N")),
        ("foi_clicado", ("Sim", "Não")),
        ("kliknięcie", ("tak", "nie")),
        ("клик", ("да", "нет")),
        ("点击", ("是", "否")),
    ],
)
def test_a_click_is_known_in_other_languages(tmp_path: Path, name: str, answers: tuple[str, str]) -> None:
    log = columns()
    log[name] = np.where(log.pop("clicked"), *answers)
    written = write(ProposalRequest([csv_log(tmp_path, log)], output=tmp_path / "a.yaml"))
    assert written.declaration.label == name
    assert not any(text.startswith("label:") for text in written.proposal.draft.warnings)


def test_all_that_is_in_doubt_is_asked_at_once(tmp_path: Path) -> None:
    log = columns()
    label = np.asarray(log.pop("clicked"))
    log |= {
        "geraakt": label,
        "gekocht": 1 - label,
        "vorm": log.pop("channel"),
        "soort": np.arange(len(label)) % 4,
    }
    with pytest.raises(InputError) as caught:
        write(ProposalRequest([csv_log(tmp_path, log)], output=tmp_path / "a.yaml"))
    message = str(caught.value)
    assert "the label is not certain" in message and "--label COLUMN" in message
    assert message.count("the domain ") == 1 and "--domain COLUMN" in message
    named = {"label": "geraakt", "domain": "vorm"}
    written = write(ProposalRequest([csv_log(tmp_path, log)], output=tmp_path / "a.yaml", roles=named))
    assert (written.declaration.label, written.declaration.domain) == ("geraakt", "vorm")


def test_columns_that_requests_would_call_alike_are_left_out_but_one(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    log = csv_log(
        tmp_path,
        columns(
            **{
                "user id": rng.integers(0, 9, 3000),
                "user_id": rng.integers(0, 90, 3000),
                "Prix (€)": rng.random(3000),
                "Prix ($)": rng.random(3000),
            }
        ),
    )
    written = write(ProposalRequest([log], output=tmp_path / "a.yaml", roles={"user": "user_id"}))
    assert {"user_id", "Prix (€)"} <= set(written.declaration.features)
    assert {"user id", "Prix ($)"}.isdisjoint(written.declaration.features)
    assert (
        "Prix ($): left out: requests would call it Prix, as they call 'Prix (€)': rename one to use both"
        in written.proposal.draft.warnings
    )


def test_a_reaction_of_a_reserved_name_is_left_out(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    log = csv_log(tmp_path, columns(**{"behaviour.like": rng.integers(0, 2, 3000)}))
    written = write(ProposalRequest([log], output=tmp_path / "a.yaml", roles={"label": "clicked"}))
    assert "behaviour.like" not in written.declaration.columns
    assert "# behaviour.like: the name is reserved: rename the column to use it" in written.text


def test_a_label_of_a_reserved_name_is_refused(tmp_path: Path) -> None:
    log = csv_log(tmp_path, columns(**{"behaviour.like": np.arange(3000) % 2}))
    with pytest.raises(InputError, match=r"behaviour.like is reserved \(.*\): rename the column"):
        propose(ProposalRequest([log], output=tmp_path / "a.yaml", roles={"label": "behaviour.like"}), None)


@pytest.mark.parametrize("stray", [-1, 0, 1_714_996_800_000])
def test_a_stray_time_is_an_unusable_row(tmp_path: Path, stray: int) -> None:
    given = columns()
    times = np.array(given["ts"])
    times[17] = stray
    written = write(ProposalRequest([csv_log(tmp_path, {**given, "ts": times})], output=tmp_path / "a.yaml"))
    assert written.declaration.timestamp.model_dump() == {"column": "ts", "unit": "s"}
    assert any("ts: 1 rows cannot be used" in warning for warning in written.proposal.draft.warnings)
    assert run_ingest(written.declaration, tmp_path, tmp_path / "out")["rejected"] == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "# exported 2024\nts,clicked\n" + "1714996800,1\n" * 40,
            ":2: expected 1 values, found 2; 41 of 41 lines are no rows. Is the first line the header (columns: ",
        ),
        (
            '"ts","title"\n' + '"1714996800","a \\"b\\" c"\n' * 40,
            ":2: cannot be parsed: ',' expected after '\"'; 40 of 40 lines are no rows. A value has no",
        ),
        (
            "ts,title\n1714996800,a\n" + '1714996800,"a\nb"\n' * 40,
            ":3: a quote is not closed on its line (a line break inside a value? write the table as Parquet); 80 of 81",
        ),
        ("ts,clicked\n", ": no impressions: there is nothing below the header"),
    ],
)
def test_files_most_of_whose_lines_are_no_rows(tmp_path: Path, text: str, message: str) -> None:
    log = tmp_path / "log.csv"
    log.write_text(text)
    with pytest.raises(InputError, match=re.escape(f"log.csv{message}")):
        propose(ProposalRequest([log], output=tmp_path / "a.yaml"), None)


def test_numbers_with_commas_are_read_and_said(tmp_path: Path) -> None:
    given = columns()
    given["price"] = [f"{n % 40},{n % 100:02d}" for n in range(3000)]
    log = csv_log(tmp_path, given, separator=";")
    written = write(ProposalRequest([log], output=tmp_path / "a.yaml"))
    assert written.declaration.features["price"].written == "comma"
    assert any(
        warning.startswith("price: numbers written as '0,00', '1,01', '2,02', read with a decimal comma; if")
        for warning in written.proposal.draft.warnings
    )
    assert run_ingest(written.declaration, tmp_path, tmp_path / "out")["rejected"] == 0


def test_hashes_of_64_bits_are_users(tmp_path: Path) -> None:
    users = pl.Series("user_id", np.random.default_rng(0).integers(0, 200, 3000)).hash(seed=1)
    pl.DataFrame(columns(), strict=False).with_columns(users.alias("user_id")).write_parquet(
        tmp_path / "log.parquet"
    )
    written = write(ProposalRequest([tmp_path / "log.parquet"], output=tmp_path / "a.yaml"))
    assert (written.declaration.user, written.declaration.features["user_id"].type) == ("user_id", "string")
    assert run_ingest(written.declaration, tmp_path, tmp_path / "out")["rejected"] == 0


def test_rows_that_cannot_be_used_are_told_with_their_reason(tmp_path: Path) -> None:
    given = columns()
    clicks = pl.Series("clicked", given["clicked"])
    log = csv_log(tmp_path, {**given, "clicked": clicks.scatter(list(range(0, 600, 6)), None)})
    log.write_text(log.read_text() + "1\n" * 2)
    written = write(ProposalRequest([log], output=tmp_path / "a.yaml"))
    assert {
        "label clicked: 100 of 3,002 rows cannot be used (is missing): a run would refuse the log",
        "line: 2 rows cannot be used (expected 4 values)",
    } <= set(written.proposal.draft.warnings)
    remedies = {f.found.split(":")[0]: f.remedy for f in check(written.declaration, tmp_path).findings}
    assert remedies["label clicked"] == "drop these rows, or raise max_rejected_share"


def test_one_domain_is_none(tmp_path: Path) -> None:
    log = csv_log(tmp_path, {**columns(), "channel": ["app"] * 3000})
    request = ProposalRequest([log], output=tmp_path / "a.yaml", roles={"domain": "channel"})
    with pytest.raises(
        InputError, match=r"--domain channel: holds app and no other value, and a data set needs"
    ):
        propose(request, None)


def test_no_user_no_item_no_lookup(tmp_path: Path) -> None:
    written = write(ProposalRequest([csv_log(tmp_path, columns())], output=tmp_path / "a.yaml"))
    declared = written.declaration
    assert (declared.user, declared.item, declared.lookups) == (None, None, [])
    assert declared.moving_average.keys == []
    assert any("no user" in warning for warning in written.proposal.draft.warnings)


def test_a_log_of_six_hours(tmp_path: Path) -> None:
    log = csv_log(tmp_path, columns(seconds=6 * 3600))
    written = write(ProposalRequest([log], output=tmp_path / "a.yaml"))
    split = written.declaration.split
    assert split.day_hours == 0.5
    assert written.declaration.moving_average.bucket_hours == 0.5
    report = run_ingest(written.declaration, tmp_path, tmp_path / "out")
    assert 0.08 < report["eval"] / 3000 < 0.3


def test_a_log_of_one_moment_cannot_be_split(tmp_path: Path) -> None:
    log = csv_log(tmp_path, columns(seconds=30))
    with pytest.raises(InputError, match="less than eight minutes"):
        propose(ProposalRequest([log], output=tmp_path / "a.yaml"), None)


def test_rare_flaws_beyond_the_sample_are_found_and_said(tmp_path: Path) -> None:
    size = np.array([str(n % 900 + 0.5) for n in range(40_000)], dtype=object)
    size[::300] = "unknown"
    log = csv_log(tmp_path, columns(40_000, size=size))
    written = write(ProposalRequest([log], output=tmp_path / "a.yaml"))
    assert written.declaration.features["size"].written == "point"
    assert "numbers written as 'unknown'" in (tmp_path / "a.yaml").read_text()
    assert run_ingest(written.declaration, tmp_path, tmp_path / "out")["rejected"] == 0


def test_a_text_among_the_numbers_that_the_sample_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sampling, "WHOLE_BYTES", 1_000)
    monkeypatch.setattr(sampling, "WINDOW_BYTES", 8_192)
    size = np.array([str(n % 900 + 0.5) for n in range(40_000)], dtype=object)
    # Samples lie at the beginning, at the end, and evenly between.
    size[3_300:3_400] = "unknown"
    log = csv_log(tmp_path, columns(40_000, size=size))
    written = write(ProposalRequest([log], output=tmp_path / "a.yaml", sample=2_000))
    assert written.declaration.features["size"].type == "string"
    assert "# a text: 100 rows hold no number, though the sample does" in written.text


@pytest.mark.parametrize("form", [int, str])
def test_the_number_of_a_request_is_no_feature(tmp_path: Path, form: type) -> None:
    log = columns()
    rows = len(np.asarray(log["ts"]))
    order = np.argsort(np.asarray(log["ts"]), kind="stable")
    page, code = np.empty(rows, int), np.random.default_rng(5).permutation(rows)
    page[order] = code[np.arange(rows) // 4]
    log["busca_id"] = [form(number) for number in page]
    log["loja_id"] = [form(number % 70) for number in page]
    log |= {"user_id": np.arange(rows) % 200, "item_id": np.arange(rows) % 90}
    written = write(ProposalRequest([csv_log(tmp_path, log)], output=tmp_path / "a.yaml"))
    assert "busca_id" not in written.declaration.features
    assert "loja_id" in written.declaration.features
    assert any(
        text.startswith("busca_id: left out: its values do not come again")
        for text in written.proposal.draft.warnings
    )
