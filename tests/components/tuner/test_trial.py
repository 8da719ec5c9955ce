"""What a trial reports: the value that stops training, and how far luck of the users may carry it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from components.dataset.declaration import Declaration
from components.dataset.loader import load_declaration
from components.tuner import trial
from components.tuner.search import Reached
from components.tuner.trial import TrialRunner
from models.features import FeatureLayout
from models.metrics import auc, score
from models.registry import TREES
from models.rows import ArrayRows
from tests.models.helpers import learnable_rows, small_layout

LAYOUT = small_layout()
LEARNED_FROM = learnable_rows(LAYOUT, 600, seed=1)
VALIDATION = learnable_rows(LAYOUT, 300, seed=2)
_IDS = VALIDATION.rows["categorical"][:, 0]
# 0 is no user: such a row is one of its own.
USERS = np.where(_IDS == 0, -1 - np.arange(300), _IDS)


def _declaration(*settings: str) -> Declaration:
    small = ["model.layers=[8]", "training.epochs=3", "training.validation_min_rows=20"]
    return load_declaration("simulated", [*small, *settings])


def _runner(
    kept: Path | None = None, layout: FeatureLayout = LAYOUT, validation: ArrayRows = VALIDATION
) -> TrialRunner:
    return TrialRunner(layout, LEARNED_FROM, validation, kept)


def _drawn(user: np.ndarray, samples: int) -> list[np.ndarray]:
    """Rows of each bootstrap sample, a user's rows as often as the user was drawn."""
    users, draws = np.unique(user), np.random.default_rng(1)
    return [
        np.concatenate([np.flatnonzero(user == u) for u in users[draws.integers(0, len(users), len(users))]])
        for _ in range(samples)
    ]


def _plant(monkeypatch: pytest.MonkeyPatch, *scores: np.ndarray) -> None:
    """Trainings that give these scores, one after the other."""
    given = iter(scores)
    monkeypatch.setattr(trial, "_trained", lambda *_: (0.5, next(given)))


@pytest.mark.parametrize(
    ("model", "setting"), [("dfei", "training.learning_rate=0.02"), (TREES, "model.options.min_leaf_rows=20")]
)
def test_a_trial_is_worth_what_stops_training_and_errs_by_its_users(
    model: str, setting: str, tmp_path: Path
) -> None:
    kept = tmp_path / "tuner.npy"
    runner = _runner(kept)
    declared = runner.run(_declaration(f"model.name={model}"), declared=True)
    assert declared is not None
    assert declared.error is None
    reached = score(VALIDATION.domain, VALIDATION.label, np.load(kept), 20).average_auc
    assert declared.value == pytest.approx(reached, abs=1e-9)
    other = _declaration(f"model.name={model}", setting)
    tried = runner.run(other, declared=False)
    assert tried is not None
    assert tried.error is not None
    assert tried.error > 0
    # Killed and started again, the declaration's scores are those of before.
    assert _runner(kept).run(other, declared=False) == tried


def test_the_error_is_that_of_resampled_users(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(5)
    first, second = generator.normal(size=(2, 300))
    _plant(monkeypatch, first, second)
    monkeypatch.setattr(trial, "_SAMPLES", 25)
    runner = _runner()
    assert runner.run(_declaration(), declared=True) == Reached(0.5)
    found = runner.run(_declaration(), declared=False)
    counted = [d for d in range(3) if (VALIDATION.domain == d).sum() >= 20]
    assert counted

    def average(scores: np.ndarray, rows: np.ndarray) -> float:
        inside = [rows[VALIDATION.domain[rows] == d] for d in counted]
        return float(np.mean([auc(VALIDATION.label[at], scores[at]) for at in inside]))

    gains = [average(second, rows) - average(first, rows) for rows in _drawn(USERS, 25)]
    assert found is not None
    assert found.error == pytest.approx(np.std(gains, ddof=1), rel=1e-9)


def test_the_same_scores_have_no_error_and_without_the_declarations_none_is_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    same = np.random.default_rng(6).normal(size=300)
    _plant(monkeypatch, same, same, same)
    runner = _runner()
    assert runner.run(_declaration(), declared=False) == Reached(0.5)
    runner.run(_declaration(), declared=True)
    assert runner.run(_declaration(), declared=False) == Reached(0.5, 0.0)


@pytest.mark.parametrize("of_users", [True, False])
def test_where_no_domain_counts_the_error_is_that_of_all_rows_together(
    of_users: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = np.random.default_rng(7).normal(size=(2, 300))
    _plant(monkeypatch, first, second)
    monkeypatch.setattr(trial, "_SAMPLES", 25)
    runner = _runner(layout=LAYOUT if of_users else dataclasses.replace(LAYOUT, user=None))
    many = _declaration("training.validation_min_rows=10000")
    runner.run(many, declared=True)
    found = runner.run(many, declared=False)
    user = USERS if of_users else np.arange(300)
    gains = []
    for rows in _drawn(user, 25):
        aucs = [auc(VALIDATION.label[rows], scores[rows]) for scores in (second, first)]
        assert aucs[0] is not None
        assert aucs[1] is not None
        gains.append(aucs[0] - aucs[1])
    assert found is not None
    assert found.error == pytest.approx(np.std(gains, ddof=1), rel=1e-9)


def test_with_one_class_no_error_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    scores = np.random.default_rng(8).normal(size=(2, 300))
    _plant(monkeypatch, *scores)
    runner = _runner(validation=ArrayRows(VALIDATION.rows, VALIDATION.domain, np.zeros(300)))
    runner.run(_declaration(), declared=True)
    assert runner.run(_declaration(), declared=False) == Reached(0.5)


def test_a_training_that_diverges_is_worth_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "_trained", lambda *_: None)
    assert _runner().run(_declaration(), declared=True) is None
