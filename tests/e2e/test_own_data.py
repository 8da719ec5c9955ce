"""Logs that nobody prepared, from files to an evaluated and pushed model: `dataset new`, at most three edits, `run`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from components.dataset import load_declaration
from tests.e2e.conftest import Finished, dfei, metrics
from tests.pipeline.commands.terminal import at_a_terminal
from tests.pipeline.datasets.worlds import film_log, shop_log

pytestmark = pytest.mark.slow
MOST_EDITS = 3


def _proposed(folder: Path, arguments: Sequence[str | Path]) -> Path:
    declaration = folder / "own.yaml"
    done = dfei("dataset", "new", *arguments, "-o", declaration)
    assert done.code == 0, done.text
    return declaration


def _edited(declaration: Path, edits: Sequence[tuple[str, str]]) -> None:
    """Replaces lines, as a person with an editor would."""
    assert len(edits) <= MOST_EDITS
    lines = declaration.read_text(encoding="utf-8").split("\n")
    for old, new in edits:
        [place] = [number for number, line in enumerate(lines) if line.strip() == old]
        lines[place] = lines[place].replace(old, new)
    declaration.write_text("\n".join(lines), encoding="utf-8")


def _run(declaration: Path, data: Path, root: Path) -> Finished:
    checked = dfei("dataset", "check", declaration, "--data", data, "--json")
    assert checked.code == 0, checked.text
    assert json.loads(checked.out)["would_run"]
    done = dfei("run", "--dataset", declaration, "--data", data, "--root", root)
    assert done.code == 0, done.text
    result = metrics(root)
    checked_rows = json.loads(checked.out)
    assert result["rows"]["eval"] <= checked_rows["eval"]
    assert result["blessed"]
    assert Path(result["pushed_to"], "saved_model.pb").is_file()
    return done


def test_a_film_rating_log_with_21_domains(tmp_path: Path) -> None:
    data = tmp_path / "data"
    film_log(data)
    lookups = ["--lookup", f"{data / 'movies.csv'}=movieId", "--lookup", f"{data / 'users.csv'}=userId"]
    declaration = _proposed(tmp_path, [data / "ratings.csv", *lookups, "--domain", "occupation"])
    _edited(declaration, [("time_zone: UTC", "time_zone: America/Chicago")])
    _run(declaration, data, tmp_path / "root")
    result = metrics(tmp_path / "root")
    assert len(result["domains"]) == 21
    assert result["average_auc"] > 0.65


def test_a_shop_log_with_25_domains_and_no_lookup(tmp_path: Path) -> None:
    data = tmp_path / "data"
    shop_log(data)
    declaration = _proposed(tmp_path, sorted(data.glob("*.parquet")))
    _run(declaration, data, tmp_path / "root")
    result = metrics(tmp_path / "root")
    assert len(result["domains"]) == 25
    assert result["average_auc"] > 0.6
    # Served under names that a request can carry, asked under those of the file.
    scored = tmp_path / "scored.parquet"
    model = Path(result["pushed_to"]).parent
    asked = dfei("predict", data / "events-2.parquet", "--model-dir", model, "-o", scored)
    assert asked.code == 0, asked.text
    assert "taken as missing" not in asked.text
    table = pl.read_parquet(scored)
    assert table["click_probability"].is_between(0, 1).all()
    assert np.corrcoef(table["click_probability"], table["purchased"])[0, 1] > 0.15


def test_kuairand_with_long_view(kuairand: Path, tmp_path: Path) -> None:
    data = kuairand / "data"
    lookups = [
        "--lookup",
        f"{data / 'user_features_pure.csv'}=user_id",
        "--lookup",
        f"{data / 'video_features_basic_pure.csv'}=video_id",
    ]
    declaration = _proposed(
        tmp_path, [*sorted(data.glob("log_standard*.csv")), *lookups, "--label", "long_view"]
    )
    _run(declaration, data, tmp_path / "root")
    result = metrics(tmp_path / "root")
    assert len(result["domains"]) == 15
    assert result["average_auc"] > 0.68


def test_a_log_of_six_hours_without_users_and_items(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = 20_000
    channel = rng.integers(0, 3, rows)
    price = rng.random(rows)
    click = rng.random(rows) < 1 / (1 + np.exp(1.5 - 2 * price * (channel - 0.5)))
    data = tmp_path / "data"
    data.mkdir()
    pl.DataFrame(
        {
            "ts": 1_714_996_800 + np.sort(rng.integers(0, 6 * 3600, rows)),
            "channel": np.array(["app", "web", "mail"])[channel],
            "price": price.round(4),
            "clicked": click.astype(int),
        }
    ).write_csv(data / "log.csv")
    declaration = _proposed(tmp_path, [data / "log.csv"])
    assert "day_hours" in declaration.read_text()
    _run(declaration, data, tmp_path / "root")
    assert metrics(tmp_path / "root")["gauc"] is None


def test_without_a_terminal_what_is_not_certain_is_an_error(tmp_path: Path) -> None:
    film_log(tmp_path, rows=2_000)
    arguments = [tmp_path / "ratings.csv", "--lookup", f"{tmp_path / 'users.csv'}=userId"]
    done = dfei("dataset", "new", *arguments, "-o", tmp_path / "own.yaml")
    assert done.code == 2, done.text
    assert "--domain COLUMN" in done.text
    assert "Traceback" not in done.text
    assert not (tmp_path / "own.yaml").exists()


def test_a_terminal_is_asked_for_every_role(tmp_path: Path) -> None:
    film_log(tmp_path, rows=2_000)
    lookup = f"{tmp_path / 'users.csv'}=userId"
    output = tmp_path / "own.yaml"
    arguments = ["dataset", "new", str(tmp_path / "ratings.csv"), "--lookup", lookup, "-o", str(output)]
    taken = [(f"is the {role}", "") for role in ("time", "label", "user", "item")]
    asked = [("is the domain", "nonsense"), ("no column 'nonsense'", "1")]
    shown = at_a_terminal(*arguments, answers=[*taken, *asked])
    assert shown.code == 0, shown.text
    assert load_declaration(str(output)).domain == "occupation"


def test_a_check_that_fails_ends_with_2(tmp_path: Path) -> None:
    film_log(tmp_path, rows=5_000)
    arguments = [
        tmp_path / "ratings.csv",
        "--lookup",
        f"{tmp_path / 'users.csv'}=userId",
        "--domain",
        "occupation",
    ]
    declaration = _proposed(tmp_path, arguments)
    _edited(declaration, [("positive: {at_least: 4.0}", "positive: {at_least: 6.0}")])
    done = dfei("dataset", "check", declaration, "--data", tmp_path, "--json")
    assert done.code == 2, done.text
    assert "a run would fail" in done.err
    document = json.loads(done.out)
    assert not document["would_run"]
    [finding] = [finding for finding in document["findings"] if finding["topic"] == "ExampleGen"]
    assert "the label rating is 0 in all 5000 rows" in finding["found"]
    assert "`positive`" in finding["remedy"]
