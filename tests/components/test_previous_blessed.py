"""The baseline is the last blessed model before the one being evaluated that predicts the same."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from tfx.types import Artifact, standard_artifacts
from tfx.utils import path_utils

from components import progress
from components.baseline.previous_blessed import PreviousBlessedModelStrategy
from components.baseline.target import write_target
from tests.components.transform.helpers import declaration

CLICKS = declaration()


@pytest.fixture
def artifacts(tmp_path: Path) -> Path:
    """Where the Trainer's models lie."""
    return tmp_path / "Trainer" / "model"


def _model(artifacts: Path, model_id: int, declared: Any = CLICKS) -> Artifact:
    """A model that was exported as declared; from before there was a record, for `None`."""
    model = standard_artifacts.Model()
    model.id = model_id
    model.uri = str(artifacts / str(model_id))
    saved = Path(path_utils.serving_model_path(model.uri))
    saved.mkdir(parents=True, exist_ok=True)
    (saved / "saved_model.pb").touch()
    if declared is not None:
        write_target(declared, saved)
    return model


def _blessing(model_id: int, blessed: bool) -> Artifact:
    blessing = standard_artifacts.ModelBlessing()
    blessing.set_int_custom_property("current_model_id", model_id)
    blessing.set_int_custom_property("blessed", int(blessed))
    return blessing


def _resolve(
    artifacts: Path,
    current: int,
    models: list[int],
    blessed: dict[int, bool],
    declared: Mapping[int, Any] | None = None,
) -> list[int]:
    there = {number: _model(artifacts, number, (declared or {}).get(number, CLICKS)) for number in models}
    return _resolved(there[current], list(there.values()), blessed)


def _resolved(current: Artifact, models: list[Artifact], blessed: dict[int, bool]) -> list[int]:
    resolved = PreviousBlessedModelStrategy().resolve_artifacts(
        None,
        {
            "current_model": [current],
            "model": models,
            "model_blessing": [_blessing(model, good) for model, good in blessed.items()],
        },
    )
    assert [b.get_int_custom_property("current_model_id") for b in resolved["model_blessing"]] == [
        model.id for model in resolved["model"]
    ]
    return [model.id for model in resolved["model"]]


def test_the_first_model_has_no_baseline(artifacts: Path) -> None:
    assert _resolve(artifacts, 1, [1], {}) == []


def test_a_model_is_not_its_own_baseline_once_it_is_blessed(artifacts: Path) -> None:
    assert _resolve(artifacts, 1, [1], {1: True}) == []
    assert _resolve(artifacts, 5, [1, 5], {1: True, 5: True}) == [1]


def test_the_latest_blessed_model_before_it_is_taken(artifacts: Path) -> None:
    assert _resolve(artifacts, 9, [2, 4, 6, 9], {2: True, 4: True, 6: False}) == [4]


def test_a_model_that_came_later_is_no_baseline(artifacts: Path) -> None:
    assert _resolve(artifacts, 4, [2, 4, 6], {2: True, 4: True, 6: True}) == [2]


@pytest.mark.parametrize(
    "other",
    [declaration(label="like"), declaration(positive={"at_least": 4}), declaration(domain="item")],
    ids=["label", "positive", "domain"],
)
def test_a_model_that_predicts_something_else_is_passed_over(artifacts: Path, other: Any) -> None:
    blessed = {1: True, 2: True, 3: True}
    assert _resolve(artifacts, 2, [1, 2], {1: True}, {2: other}) == []
    assert _resolve(artifacts, 3, [1, 2, 3], blessed, {2: other}) == [1]


def test_a_model_from_before_there_was_a_record_stays_acceptable(artifacts: Path) -> None:
    assert _resolve(artifacts, 3, [1, 2, 3], {1: True, 2: True}, {2: None}) == [2]


@pytest.fixture
def notes() -> Iterator[list[str]]:
    """What is said on the way."""
    heard: list[str] = []
    with progress.listening(lambda report: None, heard.append):
        yield heard


def _resolve_without(
    artifacts: Path, deleted: list[int], declared: Mapping[int, Any] | None = None
) -> list[int]:
    """The baseline of the fourth model once others' folders were deleted; all were blessed."""
    models = [_model(artifacts, number, (declared or {}).get(number, CLICKS)) for number in (1, 2, 3, 4)]
    for number in deleted:
        shutil.rmtree(artifacts / str(number))
    return _resolved(models[-1], models, {1: True, 2: True, 3: True})


def test_a_blessed_model_that_was_deleted_is_passed_over_with_a_note(
    artifacts: Path, notes: list[str]
) -> None:
    assert _resolve_without(artifacts, [3]) == [2]
    [note] = notes
    assert note.startswith(f"the last blessed model is gone ({artifacts / '3'})")
    assert str(artifacts / "2") in note


def test_with_every_blessed_model_deleted_a_run_is_as_the_first_and_says_so(
    artifacts: Path, notes: list[str]
) -> None:
    assert _resolve_without(artifacts, [1, 2, 3]) == []
    [note] = notes
    assert "no blessed model to compare with is left" in note
    assert "max_drop does not" in note


def test_older_models_may_be_deleted_without_a_word(artifacts: Path, notes: list[str]) -> None:
    assert _resolve_without(artifacts, [1, 2]) == [3]
    assert notes == []
