"""The best possible AUC on the days that a declaration evaluates."""

from __future__ import annotations

from pathlib import Path

import pytest

from components.dataset.loader import load_declaration
from pipeline.best_possible import best_possible
from pipeline.simulate import read_day, simulate
from pipeline.simulate.truth import TruthTally


@pytest.fixture(scope="module")
def feed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("feed") / "data"
    simulate(directory, rows=20_000)
    return directory


def on_days(feed: Path, days: range) -> dict[str, object]:
    tally = TruthTally(21)
    for day in days:
        rows = read_day(feed, day)
        tally.add(*(rows[name].to_numpy() for name in ("domain_id", "probability", "click")))
    return tally.best_possible(100).to_dict()


@pytest.mark.parametrize(
    ("overrides", "days"),
    [
        ([], range(12, 14)),
        (["split.before=2024-01-13"], range(10, 12)),
        (["split.before=2024-01-13", "split.eval_days=3"], range(9, 12)),
        (["split.before=2030-01-01T12:00"], range(12, 14)),
    ],
)
def test_it_is_of_the_evaluated_days(feed: Path, overrides: list[str], days: range) -> None:
    found = best_possible(feed, load_declaration("simulated", overrides))
    assert found is not None
    expected = on_days(feed, days)
    assert found["rows"] == expected["rows"]
    assert found["overall_auc"] == pytest.approx(expected["overall_auc"])


def test_it_is_not_known_of_half_a_day_or_of_a_real_log(feed: Path, tmp_path: Path) -> None:
    assert best_possible(feed, load_declaration("simulated", ["split.before=2024-01-13T12:00"])) is None
    assert best_possible(tmp_path, load_declaration("simulated", [])) is None
