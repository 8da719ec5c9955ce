"""Small files that strangers' logs were reduced to: each gets the right declaration, or one line with the remedy."""

from __future__ import annotations

import datetime
from pathlib import Path

import polars as pl
import pytest

from components.dataset.files import find_files
from components.errors import InputError
from pipeline.datasets.proposal.propose import ProposalRequest
from tests.pipeline.datasets.proposed import Written, write

START = 1_700_000_000
# User, item, time, tab, click.
ROWS = [(k % 5, k % 4, START + k * 15_000, k % 2, int(k * 7 % 5 < 2)) for k in range(29)]
LOG = {
    "user_id": [row[0] for row in ROWS],
    "item_id": [row[1] for row in ROWS],
    "ts": [row[2] for row in ROWS],
    "tab": [f"t{row[3]}" for row in ROWS],
    "click": [row[4] for row in ROWS],
}


def utc(second: int) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(second, datetime.UTC)


def proposed(folder: Path, columns: dict[str, object], name: str = "log.csv", **given: object) -> Written:
    separator = "\t" if name.endswith("tsv") else ","
    pl.DataFrame(columns).write_csv(folder / name, separator=separator)
    return asked(folder, [folder / name], **given)


def asked(folder: Path, files: list[Path], **given: object) -> Written:
    settings: dict[str, object] = {"roles": {"domain": "tab"}, **given}
    return write(ProposalRequest(files, output=folder / "a.yaml", yes=True, **settings))  # type: ignore[arg-type]


def test_ids_of_the_size_of_times(tmp_path: Path) -> None:
    more = {
        "campaign_id": [START + 7919 * row[1] for row in ROWS],
        "gtin": [3_017_620_422_003 + 10 * row[1] for row in ROWS],
    }
    declared = proposed(tmp_path, LOG | more).declaration
    assert declared.timestamp.column == "ts"
    assert {"campaign_id", "gtin"} <= set(declared.features)


def test_hours_written_as_digits(tmp_path: Path) -> None:
    hours = [f"{utc(START + 3 * (row[2] - START)):%Y%m%d%H}" for row in ROWS]
    written = proposed(tmp_path, LOG | {"ts": hours})
    assert written.declaration.timestamp.unit == "iso"
    assert "2023-11-14" in written.text
    assert "2034" not in written.text


def test_no_header(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    rows = [(9, 8, START - 1, 0, 1), *ROWS]
    path.write_text("".join(f"{u},{i},{t},t{d},{y}\n" for u, i, t, d, y in rows))
    with pytest.raises(InputError, match=r"the first line looks like data.* --columns a,b,c"):
        asked(tmp_path, [path], roles={"domain": "t0"})
    assert asked(tmp_path, [path], columns=[",".join(LOG)]).declaration.user == "user_id"


def test_what_is_typed_is_not_drawn(tmp_path: Path) -> None:
    drawn = LOG | {"tab": [f"app:fire:{row[3]}" for row in ROWS]}
    with pytest.raises(InputError, match=r"--domain tab:fire:: no such column; did you mean tab"):
        proposed(tmp_path, drawn, roles={"domain": "tab:fire:"})


def test_typed_headers_with_colons(tmp_path: Path) -> None:
    kinds = {"ts": "timestamp:float", "click": "label:float"}
    named = {kinds.get(name, f"{name}:token"): values for name, values in LOG.items()}
    users = tmp_path / "users.tsv"
    users.write_text("user_id:token\tage:float\n" + "".join(f"{u}\t{20 + u}\n" for u in range(5)))
    written = proposed(
        tmp_path,
        named,
        "log.tsv",
        lookups=[f"{users}=user_id:token"],
        roles={"domain": "tab:token"},
    )
    declared = written.declaration
    assert (declared.user, declared.item) == ("user_id:token", "item_id:token")
    assert declared.lookups[0].left_key == "user_id:token"


def test_hive_folders(tmp_path: Path) -> None:
    for user, item, time, tab, click in ROWS:
        folder = tmp_path / f"dt={utc(time):%Y-%m-%d}" / f"scene=s{tab}"
        folder.mkdir(parents=True, exist_ok=True)
        row = pl.DataFrame({"user_id": [user], "item_id": [item], "ts": [time], "click": [click]})
        row.write_parquet(folder / f"part-{time}.c000.snappy.parquet")
    files = sorted(tmp_path.rglob("*.parquet"))
    declared = asked(tmp_path, files, roles={"domain": "scene"}).declaration
    assert declared.impressions.files == ["dt=*/scene=*/part-*.parquet"]
    assert len(find_files(str(tmp_path), declared.impressions)) == len(ROWS)


def test_an_element_that_holds_a_separator(tmp_path: Path) -> None:
    genres = [["sci-fi|action"], ["drama"], ["a", "b"], []] * 7 + [["drama"]]
    pl.DataFrame(LOG | {"genres": genres}).write_parquet(tmp_path / "log.parquet")
    feature = asked(tmp_path, [tmp_path / "log.parquet"]).declaration.features["genres"]
    assert feature.is_list
    assert feature.separator is None


def test_a_users_date_is_not_the_impressions(tmp_path: Path) -> None:
    whose = [row[0] + 5 * row[1] for row in ROWS]
    joined = [datetime.date(2007, 1, 1) + datetime.timedelta(days=days) for days in whose]
    log = {name: values for name, values in LOG.items() if name != "ts"}
    with pytest.raises(
        InputError, match=r"join_time: .*the same in all rows of one user_id.*\n.*--no-time splits"
    ):
        proposed(tmp_path, log | {"user_id": whose, "join_time": joined})
