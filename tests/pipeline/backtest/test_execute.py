"""What a backtest asks of each period's comparison, and what it leaves; the comparisons themselves are made up."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from components.errors import GateError
from pipeline.backtest import execute as module
from pipeline.backtest.request import BacktestRequest
from pipeline.backtest.result import Backtest
from pipeline.backtest.run import backtest
from pipeline.compare.collect import Evidence
from pipeline.compare.request import CompareRequest
from pipeline.compare.result import Comparison
from tests.components.example_gen.small import declare, log_text, write_data
from tests.pipeline.backtest.results import comparison_of, two_periods


class Comparisons:
    """Stands for `dfei compare`: notes what it is asked, answers with made-up scores or an error."""

    def __init__(self, fails_at: int = -1) -> None:
        self.asked: list[CompareRequest] = []
        self._fails_at = fails_at

    def __call__(self, request: CompareRequest, console: Console) -> tuple[Comparison, Evidence]:
        self.asked.append(request)
        if len(self.asked) == self._fails_at:
            raise GateError("mlp diverged")
        found = two_periods()[len(self.asked) - 1]
        return comparison_of(found), found


def asked_for(tmp_path: Path, periods: int) -> tuple[BacktestRequest, Console, io.StringIO]:
    declare(tmp_path)
    data = write_data(tmp_path, {"log.csv": log_text(days=5)})
    request = CompareRequest(
        dataset=str(tmp_path / "small.yaml"),
        data=data,
        root=tmp_path / "root",
        overrides=("training.epochs=2",),
        command="dfei backtest",
    )
    out = io.StringIO()
    return BacktestRequest(request, periods), Console(file=out, width=160), out


def test_each_period_is_compared_and_all_are_put_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    comparisons = Comparisons()
    monkeypatch.setattr(module, "compare", comparisons)
    request, console, out = asked_for(tmp_path, 2)
    found = backtest(request, console)
    root = tmp_path / "root"
    assert [one.root for one in comparisons.asked] == [
        root / "periods" / "2022-04-29",
        root / "periods" / "2022-04-28",
    ]
    assert [one.overrides for one in comparisons.asked] == [
        ("training.epochs=2", "split.before=2022-04-30T00:00:00"),
        ("training.epochs=2", "split.before=2022-04-29T00:00:00"),
    ]
    assert not any(one.latency for one in comparisons.asked)
    assert Backtest.model_validate_json((root / "backtest.json").read_text()) == found
    assert [period.comparison for period in found.periods] == ["periods/2022-04-29", "periods/2022-04-28"]
    assert [model.name for model in found.models][-1] == "star"
    assert "Period by period" in (root / "backtest.html").read_text()
    assert "period 2 of 2: evaluated on 2022-04-28 to 2022-04-28" in out.getvalue()


def test_what_goes_wrong_says_in_which_period(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "compare", Comparisons(fails_at=2))
    request, console, _ = asked_for(tmp_path, 2)
    with pytest.raises(
        GateError, match=r"the period 2022-04-28 to 2022-04-28: mlp diverged\n.*--periods 1 leaves"
    ):
        backtest(request, console)
    assert not (tmp_path / "root" / "backtest.json").exists()
