"""What is proposed for two worlds of log and lookup tables, and what is asked."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from components.dataset.sections import Positive
from components.errors import InputError
from pipeline.datasets.proposal.guess import Guess
from pipeline.datasets.proposal.propose import ProposalRequest, propose
from tests.components.example_gen.small import read_examples, run_ingest
from tests.pipeline.datasets.proposed import Written, films, write
from tests.pipeline.datasets.worlds import film_log, shop_log


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
    assert ["user", "genres"] in [key.columns for key in declared.moving_average.keys]
    assert "# takes " in film.text and "off the log loss of the next day" in film.text
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
    [leak] = [w for w in shop.proposal.draft.warnings if w.startswith("basket_value: LEAK? filled only")]
    assert "--keep basket_value makes a feature of it" in leak


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


def test_what_a_terminal_answers_is_taken(film_folder: Path) -> None:
    asked: list[Guess] = []

    def ask(guess: Guess, columns: list[str]) -> str | None:
        asked.append(guess)
        assert "occupation" in columns
        return "gender" if guess.role == "domain" else guess.column

    written = write(films(film_folder, output=film_folder / "asked.yaml"), ask)
    assert [guess.role for guess in asked] == ["timestamp", "label", "user", "item", "domain"]
    assert written.declaration.domain == "gender"
