"""Which column tells the time of an impression: name, distribution, order, constancy and plausible days decide."""

from __future__ import annotations

import datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from components.errors import InputError
from pipeline.datasets.proposal.kinds import values_of
from pipeline.datasets.proposal.propose import ProposalRequest
from pipeline.datasets.proposal.roles import Column
from pipeline.datasets.proposal.timestamps import clock_candidates
from tests.pipeline.datasets.proposed import Written, csv_log, write

NOON = 1_714_996_800  # 2024-05-06 12:00 UTC
NOW = (NOON + 90 * 86_400) * 1000
ROWS = 3000


def column(name: str, values: list[object]) -> Column:
    found = values_of(pl.Series(values))
    return Column(name, found, found.column.drop_nulls().n_unique(), True)


@pytest.mark.parametrize(
    ("factor", "unit"), [(1, "s"), (1000, "ms"), (1_000_000, "us"), (1_000_000_000, "ns")]
)
def test_the_size_of_numbers_tells_their_unit(factor: int, unit: str) -> None:
    values: list[object] = [str((NOON + n) * factor) for n in range(50)]
    [found] = clock_candidates([column("when", values), column("price", ["5"] * 50)], NOW)
    assert (found.column, found.unit) == ("when", unit)
    assert found.why.endswith("in the order of the file: 2024-05-06 12:00:00 to 2024-05-06 12:00:49 UTC")


@pytest.mark.parametrize(
    ("form", "unit"),
    [
        ("%Y%m%d%H", "iso"),
        ("%Y%m%d", "iso"),
        ("%Y%m%d%H%M", "iso"),
        ("%Y%m%d%H%M%S", "iso"),
        ("%Y%m%d%H%M%S000", "iso"),
        ("%y%m%d%H", "yymmddhh"),
        ("%Y/%m/%d", "iso"),
        ("%Y%m%dT%H%M%SZ", "iso"),
        ("%Y-%m-%d %I:%M:%S %p", "iso"),
        ("%d.%m.%Y %H:%M", "dmy"),
        ("%m/%d/%Y %I:%M %p", "mdy"),
        ("%d/%m/%Y %H:%M:%S", "dmy"),
    ],
)
def test_dates_in_other_clothes(form: str, unit: str) -> None:
    """A log of the first twelve days of a month: day and month could be either way round."""
    start = datetime.datetime(2024, 5, 1)
    values: list[object] = [(start + datetime.timedelta(hours=5 * n)).strftime(form) for n in range(50)]
    [found] = clock_candidates([column("when", values)], NOW)
    assert (found.column, found.unit, found.doubts) == ("when", unit, ())
    assert "2024-05-01" in found.why


def test_times_of_day_come_before_dates() -> None:
    moments = [f"2024-05-{day:02d} 1{day % 10}:00:01" for day in range(1, 29)]
    columns = [
        column("upload_date", [moment[:10] for moment in moments]),
        column("event_time", list(moments)),
    ]
    assert [found.column for found in clock_candidates(columns, NOW)] == ["event_time", "upload_date"]


def test_the_future_and_the_distant_past_are_doubted() -> None:
    later: list[object] = [NOW // 1000 + 10 * 86_400 + n for n in range(50)]
    [found] = clock_candidates([column("ts", later)], NOW)
    assert found.doubts == ("it lies in the future",)
    old: list[object] = [
        str(datetime.date(1970, 1, 1 + n % 28) + datetime.timedelta(days=400)) for n in range(50)
    ]
    [found] = clock_candidates([column("ts", old)], NOW)
    assert found.doubts == ("it lies before 1995",)
    spread: list[object] = [700_000_000 + 60_000_000 * n for n in range(50)]
    [found] = clock_candidates([column("x", spread)], NOW)
    assert found.doubts[-1].startswith("it spreads over 9")


def log(folder: Path, rng: np.random.Generator, drop: tuple[str, ...] = (), **more: object) -> Path:
    users = rng.integers(0, 200, ROWS)
    columns: dict[str, object] = {
        "user_id": users,
        "item_id": rng.integers(0, 60, ROWS),
        "ts": NOON + np.sort(rng.integers(0, 10 * 86_400, ROWS)),
        "tab": rng.choice(["a", "b"], ROWS),
        "click": rng.integers(0, 2, ROWS),
    }
    columns.update({name: made(columns) if callable(made) else made for name, made in more.items()})
    return csv_log(folder, {name: values for name, values in columns.items() if name not in drop})


def proposed(folder: Path, file: Path, **more: object) -> Written:
    return write(ProposalRequest([file], output=folder / "a.yaml", yes=True, force=True, **more))  # type: ignore[arg-type]


def test_identifiers_of_the_size_of_times_are_features(tmp_path: Path) -> None:
    """A campaign, a trade item number, an account: no column is dropped for the range of its numbers."""
    rng = np.random.default_rng(1)
    file = log(
        tmp_path,
        rng,
        campaign_id=lambda c: 1_700_000_000 + 7919 * c["item_id"],
        gtin=lambda c: 3_017_620_422_003 + 10 * c["item_id"],
        account=rng.choice(rng.integers(630_000_000, 4_100_000_000, 300), ROWS),
    )
    written = proposed(tmp_path, file)
    assert written.declaration.timestamp.column == "ts"
    assert {"campaign_id", "gtin", "account"} <= set(written.declaration.features)
    assert written.declaration.features["gtin"].treatment == "vocabulary"


def test_a_real_user_of_the_size_of_a_time(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    file = log(tmp_path, rng, user_id=1_500_000_000 + 3 * rng.integers(0, 200, ROWS))
    written = proposed(tmp_path, file)
    assert (written.declaration.user, written.declaration.timestamp.column) == ("user_id", "ts")


def test_a_second_time_is_left_out_aloud_and_can_be_kept(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    file = log(
        tmp_path, rng, server_time=lambda c: c["ts"] + 3, day=lambda c: 20240506 + (c["ts"] - NOON) // 86_400
    )
    written = proposed(tmp_path, file)
    assert {"server_time", "day"}.isdisjoint(written.declaration.features)
    reason = "left out: a second time of the impression: within a day of the timestamp"
    assert (
        f"server_time, day: {reason}; --keep server_time makes a feature of it"
        in written.proposal.draft.warnings
    )
    written = proposed(tmp_path, file, keep=["server_time"])
    assert "server_time" in written.declaration.features
    with pytest.raises(InputError, match=r"--keep servertime: no such column. Did you mean server_time\?"):
        proposed(tmp_path, file, keep=["servertime"])


def test_a_fact_of_the_item_is_no_second_time(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    file = log(tmp_path, rng, upload_ts=lambda c: NOON - 400 * 86_400 + 86_000 * c["item_id"])
    written = proposed(tmp_path, file)
    assert written.declaration.timestamp.column == "ts"
    assert "upload_ts" in written.declaration.features


@pytest.mark.parametrize("as_text", [True, False])
def test_a_date_of_the_user_is_not_the_impressions(tmp_path: Path, as_text: bool) -> None:
    rng = np.random.default_rng(5)

    def joined(c: dict[str, object]) -> object:
        days = [datetime.date(2007, 1, 1) + datetime.timedelta(days=int(user)) for user in c["user_id"]]  # type: ignore[attr-defined]
        return [str(day) for day in days] if as_text else [int(f"{day:%s}") for day in days]

    file = log(tmp_path, rng, drop=("ts",), join_time=joined)
    with pytest.raises(
        InputError, match="it is the same in all rows of one user_id, so it dates that"
    ) as caught:
        proposed(tmp_path, file)
    assert "--timestamp COLUMN" in str(caught.value)
    written = proposed(tmp_path, file, roles={"timestamp": "join_time"})
    assert any(
        w.startswith("timestamp join_time: it is the same in all") for w in written.proposal.draft.warnings
    )


def test_a_column_that_looks_back_is_a_feature(tmp_path: Path) -> None:
    """Not set aside by the word `click` alone; what comes after the exposure is."""
    rng = np.random.default_rng(6)
    history = ["|".join(map(str, rng.integers(0, 9, rng.integers(1, 4)))) for _ in range(ROWS)]
    file = log(
        tmp_path,
        rng,
        click_sequence=history,
        clicks_7d=rng.integers(0, 30, ROWS),
        click_kind=["x", "y"] * 1500,
    )
    written = proposed(tmp_path, file)
    assert {"click_sequence", "clicks_7d"} <= set(written.declaration.features)
    assert "click_kind" in written.declaration.post_exposure
    said = "\n".join(written.proposal.draft.warnings)
    assert "click_sequence: a feature, as its name looks back" in said
    assert "click_kind: left out: text, named like what comes after the exposure" in said
