"""The search is the same for every model, starts from the declared settings, and goes on after a kill."""

from __future__ import annotations

import math
from pathlib import Path

import optuna
import pytest

from components.dataset.change import changed
from components.dataset.declaration import Declaration
from components.dataset.loader import load_declaration
from components.errors import InputError
from components.tuner.search import NETWORKS, Reached, Trial, best_of, search, search_space, settings_of
from models.registry import MODELS, TREES, check_options


def _declaration(model: str = "dfei") -> Declaration:
    return load_declaration("simulated", [f"model.name={model}"])


def _distance(settings: list[str]) -> Reached:
    """Best at a learning rate of 2e-3; the declared settings are worth 0."""
    values = dict(text.split("=") for text in settings)
    rate = float(values.get("training.learning_rate", 1e9))
    return Reached(-abs(math.log(rate / 2e-3)), 0.1) if settings else Reached(-100.0)


def test_the_first_trial_is_the_declaration_as_it_is_and_the_others_are_drawn() -> None:
    trials = search(_declaration(), 5, _distance)
    assert trials[0] == Trial([], -100.0)
    assert len({tuple(trial.settings) for trial in trials}) == 5
    for trial in trials[1:]:
        assert {text.split("=")[0] for text in trial.settings} == set(NETWORKS)
    assert best_of(trials).value == max(trial.value for trial in trials if trial.value is not None)


def test_every_network_searches_the_same_settings_as_long() -> None:
    assert all(search_space(name) is NETWORKS for name in MODELS)
    drawn = {name: search(_declaration(name), 4, _distance) for name in ("dfei", "star")}
    assert drawn["dfei"] == drawn["star"]


@pytest.mark.parametrize("model", ["dfei", TREES])
@pytest.mark.parametrize("dataset", ["simulated", "kuairand-pure"])
def test_what_is_drawn_can_be_trained_with(model: str, dataset: str) -> None:
    declaration = load_declaration(dataset)
    declaration = declaration.model_copy(
        update={"model": declaration.model.model_copy(update={"name": model})}
    )
    for trial in search(declaration, 6, lambda settings: Reached(0.5)):
        tuned = changed(declaration, trial.settings)
        assert (tuned == declaration) == (trial.settings == [])
        if model == TREES and trial.settings:
            check_options(tuned.model.options, [TREES])
            assert {"leaves", "tree_learning_rate"} <= tuned.model.options.keys()


def test_killed_and_started_again_it_draws_what_it_would_have_drawn(tmp_path: Path) -> None:
    whole = search(_declaration(), 8, _distance)

    def killed(settings: list[str]) -> Reached:
        killed.calls += 1  # type: ignore[attr-defined]
        if killed.calls == 6:  # type: ignore[attr-defined]
            raise KeyboardInterrupt
        return _distance(settings)

    killed.calls = 0  # type: ignore[attr-defined]
    with pytest.raises(KeyboardInterrupt):
        search(_declaration(), 8, killed, tmp_path / "journal.log")
    calls: list[list[str]] = []

    def counted(settings: list[str]) -> Reached:
        calls.append(settings)
        return _distance(settings)

    assert search(_declaration(), 8, counted, tmp_path / "journal.log") == whole
    assert len(calls) == 3
    longer = search(_declaration(), 10, counted, tmp_path / "journal.log")
    assert longer[:8] == whole
    assert len(calls) == 5
    assert search(_declaration(), 2, counted, tmp_path / "journal.log") == whole[:2]


@pytest.mark.parametrize("while_asked", [True, False])
def test_killed_in_its_first_trial_it_draws_what_it_would_have_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, while_asked: bool
) -> None:
    # So many trials that the last draws rest on what the first ones reached.
    whole = search(_declaration(), 7, _distance)

    def killed(*_: object) -> Reached:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        if while_asked:
            patched.setattr(optuna.Study, "ask", killed)
        search(_declaration(), 7, killed, tmp_path / "journal.log")
    assert search(_declaration(), 7, _distance, tmp_path / "journal.log") == whole


def test_a_training_that_diverged_is_never_chosen() -> None:
    trials = search(_declaration(), 4, lambda settings: None if settings else Reached(0.6))
    assert best_of(trials) == Trial([], 0.6)
    assert best_of([Trial([], None), Trial(["a=1"], None)]) == Trial([], None)


def test_a_gain_within_its_standard_error_leaves_the_declaration_as_it_is() -> None:
    declared, lucky = Trial([], 0.650), Trial(["a=1"], 0.653, 0.004)
    sure, surest = Trial(["a=2"], 0.652, 0.001), Trial(["a=3"], 0.6525, 0.001)
    assert best_of([declared, lucky]) == declared
    assert best_of([declared, lucky, sure, surest]) == surest
    assert best_of([declared, Trial(["a=4"], 0.649, 0.001)]) == declared
    assert best_of([declared, Trial(["a=5"], 0.7)]) == declared
    assert best_of([Trial([], None), lucky, sure]) == lucky


def test_numbers_are_written_down_as_a_person_would() -> None:
    assert settings_of({"b": 0.30000000000000004, "a": 7, "c": 0.00123456}) == ["a=7", "b=0.3", "c=0.00123"]


def test_a_setting_that_does_not_fit_is_named() -> None:
    with pytest.raises(InputError, match=r"model\.dropout"):
        changed(_declaration(), ["model.dropout=2"])
    with pytest.raises(InputError, match="dropout"):
        changed(_declaration(), ["model.dropot=0.1"])
