"""What is proposed for logs that nobody prepared, and what is refused."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from components.dataset import Declaration, load_declaration
from components.dataset.sections import Positive
from components.errors import InputError
from pipeline.datasets import sampling
from pipeline.datasets.checking.check import check
from pipeline.datasets.proposal.guess import Guess
from pipeline.datasets.proposal.propose import Proposal, ProposalRequest, propose
from tests.components.example_gen.small import read_examples, run_ingest
from tests.pipeline.datasets.worlds import film_log, shop_log


@dataclasses.dataclass(frozen=True)
class Written:
    """A proposal and what it wrote."""

    proposal: Proposal
    declaration: Declaration
    text: str


def write(request: ProposalRequest, ask: object = None) -> Written:
    proposal = propose(request, ask)  # type: ignore[arg-type]
    text = proposal.declaration.read_text(encoding="utf-8")
    return Written(proposal, load_declaration(str(proposal.declaration)), text)


def films(folder: Path, **changes: object) -> ProposalRequest:
    data = folder / "data"
    return dataclasses.replace(
        ProposalRequest(
            [data / "ratings.csv"],
            [f"{data}/movies.csv=movieId", f"{data}/users.csv=userId"],
            folder / "films.yaml",
            force=True,
        ),
        **changes,  # type: ignore[arg-type]
    )


@pytest.fixture(scope="module")
def film_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("films")
    film_log(folder / "data", rows=20_000)
    return folder


@pytest.fixture(scope="module")
def film(film_folder: Path) -> Written:
    return write(films(film_folder, roles={"domain": "occupation"}))


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Written:
    folder = tmp_path_factory.mktemp("shop")
    shop_log(folder / "data", rows=20_000)
    files = sorted((folder / "data").glob("*.parquet"))
    return write(ProposalRequest(files, output=folder / "shop.yaml"))


def test_a_film_log(film: Written) -> None:
    declared = film.declaration
    assert (declared.label, declared.positive) == ("rating", Positive(at_least=4))
    assert (declared.domain, declared.user, declared.item) == ("occupation", "userId", "movieId")
    assert declared.timestamp.model_dump() == {"column": "timestamp", "unit": "s"}
    genres = declared.features["genres"]
    assert (genres.treatment, genres.separator, genres.type) == ("vocabulary", "|", "string")
    assert set(declared.features) == {"userId", "movieId", "genres", "occupation", "gender", "age"}
    assert set(declared.behaviours) == {"rating", "rating_positive"}
    assert ["genres"] in [key.columns for key in declared.moving_average.keys]
    assert "# title: one value for each movieId" in film.text


def test_a_shop_log(shop: Written) -> None:
    declared = shop.declaration
    assert (declared.label, declared.domain) == ("purchased", "site_section")
    assert (declared.user, declared.item) == ("visitor_id", "sku")
    assert declared.time_zone == "Etc/GMT-2"
    assert declared.timestamp.unit == "iso"
    assert declared.features["visitor_id"].type == "string"
    assert declared.features["sku"].type == "string"
    assert declared.features["Price ($)"].treatment == "log_normalise"
    assert declared.features["device type"].treatment == "vocabulary"
    assert {"dwell_seconds", "basket_value"}.isdisjoint(declared.features)
    assert {"purchased", "dwell_seconds", "basket_value"} <= set(declared.post_exposure)
    assert set(declared.behaviours) == {"purchased", "dwell_seconds"}
    assert "event uuid" not in declared.features
    assert any("basket_value: LEAK? filled only" in warning for warning in shop.proposal.draft.warnings)


@pytest.mark.parametrize("world", ["film", "shop"])
def test_every_guess_says_why_where_it_stands(world: str, request: pytest.FixtureRequest) -> None:
    written: Written = request.getfixturevalue(world)
    lines = written.text.splitlines()
    roles = ("time_zone", "impressions", "label", "domain", "user", "item", "timestamp", "split")
    keys = [f"{name}:" for name in roles]
    keys += [f"  {name}:" for name in (*written.declaration.features, *written.declaration.behaviours)]
    for key in keys:
        mark = " {" if key.startswith(" ") else ""
        place = next(number for number, line in enumerate(lines) if line.startswith(key + mark))
        assert lines[place - 1].strip().startswith("#"), key
        assert len(lines[place - 1].strip()) > 5, key
    assert re.search(r"# 2 values, 0 and 1, [\d.]+% ones", written.text) or world == "film"


@pytest.mark.parametrize("world", ["film", "shop"])
def test_the_log_is_ingested_as_proposed(world: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    written: Written = request.getfixturevalue(world)
    report = run_ingest(written.declaration, written.proposal.data_dir, tmp_path / "out")
    assert report["train"] + report["eval"] + report["duplicates"] == 20_000
    assert report["rejected"] == 0
    assert 0.1 < report["eval"] / 20_000 < 0.25
    example = read_examples(tmp_path / "out", "eval")[0]
    assert set(example) <= set(written.declaration.example_columns())
    assert example[written.declaration.label][0] in (0, 1)


def test_what_is_not_certain_names_the_flag(film_folder: Path) -> None:
    with pytest.raises(InputError) as caught:
        propose(films(film_folder), None)
    message = str(caught.value)
    assert "the domain is not certain" in message
    assert "occupation: 21 values" in message
    assert "--domain COLUMN" in message
    assert "--yes" in message


def test_yes_takes_the_likeliest(film_folder: Path) -> None:
    written = write(films(film_folder, yes=True, output=film_folder / "yes.yaml"))
    assert written.declaration.domain == "occupation"
    assert "# NOT CERTAIN: 21 values. It might also be" in written.text


def test_a_terminal_is_asked_only_what_is_not_certain(film_folder: Path) -> None:
    asked: list[Guess] = []

    def ask(guess: Guess, columns: list[str]) -> str:
        asked.append(guess)
        assert "occupation" in columns
        return "gender"

    written = write(films(film_folder, output=film_folder / "asked.yaml"), ask)
    assert [guess.role for guess in asked] == ["domain"]
    assert written.declaration.domain == "gender"


def csv_log(
    folder: Path, columns: dict[str, object], name: str = "log.csv", separator: str = ",", bom: bool = False
) -> Path:
    path = folder / name
    text = pl.DataFrame(columns).write_csv(separator=separator)
    path.write_bytes((b"\xef\xbb\xbf" if bom else b"") + text.encode())
    return path


def columns(rows: int = 3000, seconds: int = 10 * 86_400, **more: object) -> dict[str, object]:
    """A log without user, item or lookup."""
    rng = np.random.default_rng(5)
    return {
        "ts": 1_714_996_800 + np.sort(rng.integers(0, seconds, rows)),
        "channel": rng.choice(["app", "web", "mail"], rows),
        "clicked": rng.integers(0, 2, rows),
        "price": np.round(rng.random(rows) * 20, 2),
        **more,
    }


def test_semicolons_and_a_byte_order_mark(tmp_path: Path) -> None:
    log = csv_log(tmp_path, columns(), separator=";", bom=True)
    written = write(ProposalRequest([log], output=tmp_path / "a.yaml"))
    assert written.declaration.impressions.separator == ";"
    assert written.declaration.timestamp.column == "ts"
    assert run_ingest(written.declaration, tmp_path, tmp_path / "out")["rejected"] == 0


def test_a_tab_is_given_as_shells_write_it(tmp_path: Path) -> None:
    log = csv_log(tmp_path, columns(), separator="\t")
    written = write(ProposalRequest([log], output=tmp_path / "a.yaml", separator=r"\t"))
    assert written.declaration.impressions.separator == "\t"


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


def test_numbers_with_commas_are_set_aside_with_a_warning(tmp_path: Path) -> None:
    given = columns()
    given["price"] = [f"{n % 40},{n % 100:02d}" for n in range(3000)]
    log = csv_log(tmp_path, given, separator=";")
    written = write(ProposalRequest([log], output=tmp_path / "a.yaml"))
    assert "price" not in written.declaration.features
    assert any(
        warning.startswith("price: set aside: numbers with commas, such as 0,00: write them")
        for warning in written.proposal.draft.warnings
    )


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


def test_rare_flaws_beyond_the_sample_make_a_text(tmp_path: Path) -> None:
    size = np.array([str(n % 900 + 0.5) for n in range(40_000)], dtype=object)
    size[::300] = "unknown"
    log = csv_log(tmp_path, columns(40_000, size=size))
    written = write(ProposalRequest([log], output=tmp_path / "a.yaml"))
    assert written.declaration.features["size"].type == "string"
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


@pytest.mark.parametrize(
    ("texts", "positive"),
    [(["yes", "no"], ["yes"]), (["view", "purchase", "cart"], ["purchase"]), (["True", "False"], ["True"])],
)
def test_labels_of_text(tmp_path: Path, texts: list[str], positive: list[str]) -> None:
    given = {**columns(), "clicked": np.random.default_rng(0).choice(texts, 3000)}
    written = write(ProposalRequest([csv_log(tmp_path, given)], output=tmp_path / "a.yaml"))
    assert written.declaration.label == "clicked"
    assert written.declaration.positive == Positive(one_of=positive)
    assert "count as 1" in written.text


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"roles": {"label": "clickd"}}, "--label clickd: no such column; did you mean clicked"),
        ({"roles": {"label": "price"}}, "the label price has"),
        ({"roles": {"label": "channel"}}, "nothing tells which count as 1: give --positive"),
        (
            {"roles": {"label": "channel"}, "positive": "fax"},
            "channel has no value fax; it has app, mail, web",
        ),
        ({"roles": {"label": "price"}, "positive": "dear"}, "price holds numbers"),
        (
            {"roles": {"label": "clicked"}, "positive": "3"},
            "--positive 3: none of clicked's values (0, 1) counts as 1, and a model needs both classes",
        ),
        (
            {"roles": {"label": "clicked"}, "positive": "0"},
            "--positive 0: every one of clicked's values (0, 1) counts as 1",
        ),
        (
            {"roles": {"label": "channel"}, "positive": "app, mail, web"},
            "every one of channel's values (app, mail, web) counts as 1",
        ),
        ({"roles": {"timestamp": "channel"}}, "--timestamp channel: expected seconds"),
        ({"roles": {"timestamp": "channel"}}, "in nearly every row of the impressions; found '"),
        ({"roles": {"timestamp": "clicked"}}, "in nearly every row of the impressions; found 0 to 1"),
        ({"output": Path("a.txt")}, "expected a name that ends in .yaml"),
        ({"zone": "CET+1"}, "--time-zone: 'CET+1' is not an IANA time zone such as UTC"),
        ({"zone": "Europe/Pari"}, "--time-zone: 'Europe/Pari' is not an IANA time zone"),
        ({"separator": ";;"}, "--separator ';;': expected one ASCII character, such as ';' or '\\t'"),
        ({"separator": ""}, "--separator '': expected one ASCII character"),
        ({"lookups": ["users.csv"]}, "expected FILE=key"),
        ({"lookups": ["nowhere.csv=channel"]}, "nowhere.csv: no such file"),
    ],
)
def test_what_is_given_wrongly(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    request = ProposalRequest([csv_log(tmp_path, columns())], output=tmp_path / "a.yaml")
    with pytest.raises(InputError, match=re.escape(message)):
        propose(dataclasses.replace(request, **changes), None)  # type: ignore[arg-type]
    assert not (tmp_path / "a.yaml").exists()


def test_given_positives(tmp_path: Path) -> None:
    log = csv_log(tmp_path, columns())
    written = write(
        ProposalRequest(
            [log], output=tmp_path / "a.yaml", roles={"label": "price", "domain": "channel"}, positive="15"
        )
    )
    assert written.declaration.positive == Positive(at_least=15)
    assert written.declaration.post_exposure == ["price", "clicked"]


def test_files_that_are_there_are_kept(tmp_path: Path) -> None:
    log = csv_log(tmp_path, columns())
    (tmp_path / "a.pbtxt").write_text("mine")
    with pytest.raises(InputError, match=r"a.pbtxt: is there already; .* --force"):
        propose(ProposalRequest([log], output=tmp_path / "a.yaml"), None)
    assert (tmp_path / "a.pbtxt").read_text() == "mine"


def test_another_table_among_the_files_is_not_an_impression_log(tmp_path: Path) -> None:
    log = csv_log(tmp_path, columns())
    users = csv_log(tmp_path, {"user": [1], "age": [2]}, "users.csv")
    with pytest.raises(InputError, match=r"users.csv: has other columns .* --lookup users.csv=KEY"):
        propose(ProposalRequest([log, users], output=tmp_path / "a.yaml"), None)


def test_lookups_with_other_key_names_and_the_same_columns(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    log = csv_log(tmp_path, columns(customer=rng.integers(0, 80, 3000), product=rng.integers(0, 60, 3000)))
    csv_log(tmp_path, {"id": np.arange(80), "kind": [f"k{n % 5}" for n in range(80)]}, "customers.csv")
    csv_log(tmp_path, {"id": np.arange(60), "kind": [f"p{n % 7}" for n in range(60)]}, "products.csv")
    written = write(
        ProposalRequest(
            [log],
            [f"{tmp_path}/customers.csv=customer:id", f"{tmp_path}/products.csv=product:id"],
            tmp_path / "a.yaml",
        )
    )
    declared = written.declaration
    assert (declared.user, declared.item) == ("customer", "product")
    assert {"kind", "products_kind"} <= set(declared.features)
    [example, *_] = read_after_ingest(declared, tmp_path)
    assert example["kind"][0].startswith(b"k")
    assert example["products_kind"][0].startswith(b"p")


def read_after_ingest(declaration: Declaration, data: Path) -> list[dict[str, list[object]]]:
    run_ingest(declaration, data, data / "out")
    return read_examples(data / "out", "train")


def test_odd_names_survive(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    odd = {
        "": np.arange(3000),
        "größe (cm)": rng.normal(170, 10, 3000),
        "yes": rng.integers(0, 5, 3000),
        "123": rng.integers(0, 5, 3000),
        "a: b #c": rng.choice(["x", "y"], 3000),
        "local_time_ms": rng.integers(0, 5, 3000),
    }
    written = write(ProposalRequest([csv_log(tmp_path, columns(**odd))], output=tmp_path / "a.yaml"))
    assert {"größe (cm)", "yes", "123", "a: b #c"} <= set(written.declaration.features)
    assert {"", "local_time_ms"}.isdisjoint(written.declaration.features)
    assert "the name is reserved" in written.text
    assert run_ingest(written.declaration, tmp_path, tmp_path / "out")["rejected"] == 0


def test_parquet_lists(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frame = pl.DataFrame(columns()).with_columns(
        pl.Series("tags", [[f"t{v}" for v in rng.choice(9, n % 4, replace=False)] for n in range(3000)]),
        pl.Series("vector", [[0.5, 1.0]] * 3000),
    )
    frame.write_parquet(tmp_path / "log.parquet")
    written = write(ProposalRequest([tmp_path / "log.parquet"], output=tmp_path / "a.yaml"))
    assert written.declaration.features["tags"].is_list
    assert "vector" not in written.declaration.features
    assert {
        len(row["tags"]) for row in read_after_ingest(written.declaration, tmp_path) if "tags" in row
    } == {1, 2, 3}


@pytest.mark.parametrize("nothing", [[], [None], [""], None])
def test_lists_without_values_are_missing_in_the_schema_as_they_are_in_examples(
    tmp_path: Path, nothing: list[str | None] | None
) -> None:
    rng = np.random.default_rng(0)
    tags = [nothing if n % 4 == 0 else [f"t{v}" for v in rng.choice(9, 2)] for n in range(3000)]
    frame = pl.DataFrame(columns(), strict=False).with_columns(pl.Series("tags", tags, pl.List(pl.String)))
    frame.write_parquet(tmp_path / "log.parquet")
    written = write(ProposalRequest([tmp_path / "log.parquet"], output=tmp_path / "a.yaml"))
    result = check(written.declaration, tmp_path)
    assert [finding.found for finding in result.findings if finding.topic == "schema"] == [
        "the examples fit a.pbtxt"
    ]


def test_many_files_become_a_pattern(tmp_path: Path) -> None:
    whole = pl.DataFrame(columns())
    for part in range(4):
        whole[part * 750 : (part + 1) * 750].write_csv(tmp_path / f"part-{part}.csv")
    written = write(ProposalRequest(sorted(tmp_path.glob("part-*.csv")), output=tmp_path / "a.yaml"))
    assert written.declaration.impressions.files == ["part-*.csv"]
    assert written.proposal.rows == 3000
