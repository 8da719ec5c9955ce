"""Which days judge: stretches of the last days with rows, and a log that ends after each."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.errors import InputError
from components.example_gen.ingest import ingest
from components.progress import Progress, listening
from pipeline.backtest.periods import days_of, periods
from tests.components.example_gen.small import declare, log_text, loop_runner, write_data


def test_the_days_are_those_that_a_run_would_use(tmp_path: Path) -> None:
    data = write_data(tmp_path, {"log.csv": log_text(days=4, rows=8), "log2.csv": log_text(days=1, rows=2)})
    heard: list[Progress] = []
    with listening(heard.append):
        found = days_of(declare(tmp_path), str(data))
    assert found == {19107: 10, 19108: 8, 19109: 8, 19110: 8}
    assert heard[-1].done == 34
    cut = declare(tmp_path, ["split.before=2022-04-28T00:02"])
    assert days_of(cut, str(data)) == {19107: 10, 19108: 8, 19109: 8, 19110: 2}


def test_periods_do_not_overlap_and_the_latest_is_first(tmp_path: Path) -> None:
    declaration = declare(tmp_path, ["split.eval_days=2"])
    found = periods(declaration, range(19107, 19116), 3)
    assert [(p.first, p.last) for p in found] == [
        ("2022-05-02", "2022-05-03"),
        ("2022-04-30", "2022-05-01"),
        ("2022-04-28", "2022-04-29"),
    ]
    assert found[1].before == datetime(2022, 5, 2)
    assert (found[1].folder, found[1].override) == ("2022-05-01", "split.before=2022-05-02T00:00:00")


def test_hours_may_be_the_days(tmp_path: Path) -> None:
    declaration = declare(tmp_path, ["split.day_hours=1"])
    found = periods(declaration, range(19107 * 24, 19107 * 24 + 5), 2)
    assert [(p.first, p.last) for p in found] == [
        ("2022-04-25 04:00", "2022-04-25 05:00"),
        ("2022-04-25 03:00", "2022-04-25 04:00"),
    ]
    assert (found[1].folder, found[1].before) == ("2022-04-25T04-00", datetime(2022, 4, 25, 4))


def test_a_log_that_is_declared_to_end_within_a_day_stays_so(tmp_path: Path) -> None:
    declaration = declare(tmp_path, ["split.before=2022-04-28T12:00"])
    latest, earlier = periods(declaration, range(19107, 19111), 2)
    assert latest.before == datetime(2022, 4, 28, 12)
    assert earlier.before == datetime(2022, 4, 28)


def test_what_is_wrong_with_the_log_is_said_before_how_many_days_it_has(tmp_path: Path) -> None:
    data = write_data(tmp_path, {"log.csv": log_text()})
    with pytest.raises(InputError, match="column at: expected a time"):
        days_of(declare(tmp_path, ["timestamp.unit=s"]), str(data))


@given(
    days=st.sets(st.integers(19107, 19140), min_size=6, max_size=20),
    eval_days=st.integers(1, 3),
    count=st.integers(1, 3),
)
def test_a_run_that_ends_after_a_period_is_judged_on_it(
    tmp_path_factory: pytest.TempPathFactory, days: set[int], eval_days: int, count: int
) -> None:
    declaration = declare(tmp_path_factory.mktemp("d"), [f"split.eval_days={eval_days}"])
    if len(days) < count * eval_days + 2:
        with pytest.raises(InputError, match="--periods"):
            periods(declaration, days, count)
        return
    evaluated: list[int] = []
    for period in periods(declaration, days, count):
        end = (period.before - datetime(1970, 1, 1)).days
        there = sorted(day for day in days if day < end)
        last = there[-eval_days:]
        assert (period.first, period.last) == (str(_date(last[0])), str(_date(last[-1])))
        assert len(there) >= eval_days + 2
        evaluated = [*last, *evaluated]
    assert evaluated == sorted(days)[-count * eval_days :]


def _date(day: int) -> object:
    return datetime.fromtimestamp(day * 86_400, tz=timezone.utc).date()


def test_too_few_days_says_how_many_periods_there_are(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"rows of 4 days, but 3 periods .* need 5: give --periods 2"):
        periods(declare(tmp_path), range(19107, 19111), 3)
    with pytest.raises(InputError, match=r"need 3: give more days"):
        periods(declare(tmp_path), [19107], 1)


def test_each_period_of_a_real_ingestion_has_its_days(tmp_path: Path) -> None:
    data = write_data(tmp_path, {"log.csv": log_text(days=5)})
    declaration = declare(tmp_path)
    days = days_of(declaration, str(data))
    for number, period in enumerate(periods(declaration, days, 3)):
        out = tmp_path / str(number)
        uris = {split: str(out / split) for split in ("train", "eval")}
        cut = declare(tmp_path, [period.override])
        report = ingest(cut, str(data), uris, str(out / "tmp"), loop_runner())
        assert (report["last_day"], report["train"], report["eval"]) == (period.last, (4 - number) * 12, 12)
