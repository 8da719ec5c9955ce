"""The baseline is the last blessed model before the one being judged."""

from __future__ import annotations

from tfx.types import Artifact, standard_artifacts

from components.baseline.previous_blessed import PreviousBlessedModelStrategy


def _model(model_id: int) -> Artifact:
    model = standard_artifacts.Model()
    model.id = model_id
    return model


def _blessing(model_id: int, blessed: bool) -> Artifact:
    blessing = standard_artifacts.ModelBlessing()
    blessing.set_int_custom_property("current_model_id", model_id)
    blessing.set_int_custom_property("blessed", int(blessed))
    return blessing


def _resolve(current: int, models: list[int], blessed: dict[int, bool]) -> list[int]:
    resolved = PreviousBlessedModelStrategy().resolve_artifacts(
        None,
        {
            "current_model": [_model(current)],
            "model": [_model(model) for model in models],
            "model_blessing": [_blessing(model, good) for model, good in blessed.items()],
        },
    )
    assert [b.get_int_custom_property("current_model_id") for b in resolved["model_blessing"]] == [
        model.id for model in resolved["model"]
    ]
    return [model.id for model in resolved["model"]]


def test_the_first_model_has_no_baseline() -> None:
    assert _resolve(1, [1], {}) == []


def test_a_model_is_not_its_own_baseline_once_it_is_blessed() -> None:
    assert _resolve(1, [1], {1: True}) == []
    assert _resolve(5, [1, 5], {1: True, 5: True}) == [1]


def test_the_latest_blessed_model_before_it_is_taken() -> None:
    assert _resolve(9, [2, 4, 6, 9], {2: True, 4: True, 6: False}) == [4]


def test_a_model_that_came_later_is_no_baseline() -> None:
    assert _resolve(4, [2, 4, 6], {2: True, 4: True, 6: True}) == [2]
