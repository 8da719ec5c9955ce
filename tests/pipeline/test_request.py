"""What is asked for, before anything heavy is imported: options that a model has, numbers, names."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest

from components.errors import InputError
from pipeline.compare.create import declared_for
from pipeline.compare.request import CompareRequest, checked
from pipeline.compare.variants import VARIANTS
from pipeline.request import declared


def compared(models: str, *settings: str) -> CompareRequest:
    return CompareRequest("simulated", None, Path("root"), overrides=settings, models=(models,))


@pytest.mark.parametrize(
    ("model", "option", "message"),
    [
        (
            "mmoe",
            "expert",
            r"model\.options\.expert: mmoe has no such option\. There is: experts\. Correct it",
        ),
        ("hmoe", "peer", r"model\.options\.peer: hmoe has .* There are: peers, experts, relation_hidden\."),
        (None, "factor_typo", r"model\.options\.factor_typo: dfei has no such option\. There are none\."),
        ("mlp", "experts", r"mlp has no such option"),
    ],
)
def test_an_option_that_the_model_has_not_is_refused(model: str | None, option: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        declared("simulated", [f"model.options.{option}=3"], model)


def test_an_option_that_the_model_has_is_taken() -> None:
    assert declared("simulated", ["model.options.experts=6"], "mmoe").model.options == {"experts": 6}
    assert declared("simulated", ["model.options.experts=6", "model.options={}"], "mlp").model.options == {}


def test_a_champion_is_one_of_the_models_and_is_pushed() -> None:
    request = dataclasses.replace(compared("dfei,mlp"), champion="mlp", push=True)
    checked(request)
    with pytest.raises(InputError, match="--champion star: is none of the compared models: dfei, mlp"):
        checked(dataclasses.replace(request, champion="star"))
    with pytest.raises(InputError, match="--champion mlp: says what is pushed: add --push"):
        checked(dataclasses.replace(request, push=False))


def test_in_a_comparison_one_of_the_models_needs_the_option() -> None:
    setting = "model.options.experts=6"
    variants, declaration = checked(compared("dfei,mmoe,hmoe", setting))
    given = {variant.name: declared_for(declaration, variant).model.options for variant in variants}
    assert given == {"dfei": {}, "mmoe": {"experts": 6}, "hmoe": {"experts": 6}}
    _, declaration = checked(compared("mlp,lightgbm", "model.options.leaves=7"))
    assert declared_for(declaration, VARIANTS["lightgbm"]).model.options == {"leaves": 7}
    with pytest.raises(InputError, match="dfei and mlp have no such option"):
        checked(compared("dfei,mlp", setting))
    with pytest.raises(
        InputError, match=r"There are: experts \(mmoe, hmoe\), peers \(hmoe\), relation_hidden"
    ):
        checked(compared("mmoe,hmoe,mlp", "model.options.expert=6"))


def test_no_trainings_at_once_and_no_model_are_refused() -> None:
    with pytest.raises(InputError, match="--jobs 0: give a number of at least 1"):
        checked(dataclasses.replace(compared("mlp"), jobs=0))
    assert len(checked(dataclasses.replace(compared("mlp"), jobs=1))[0]) == 1
    for names in ("", " , "):
        with pytest.raises(InputError, match="names no model"):
            checked(compared(names))


def test_the_commands_that_draw_nothing_load_no_library_of_figures() -> None:
    """`dataset new` and `check` take as long as their imports do."""
    code = (
        "import sys, pipeline.request, pipeline.datasets.checking.check, pipeline.datasets.proposal.propose;"
        "sys.exit(any(name in sys.modules for name in ('plotly', 'jinja2', 'matplotlib')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
