"""What can be compared: names, ablations, mistakes."""

from __future__ import annotations

import pytest

from components.dataset.loader import load_declaration
from components.errors import InputError
from models.registry import MODELS
from pipeline.compare.create import declared_for
from pipeline.compare.variants import LIGHTGBM, VARIANTS, chosen


def test_by_default_all_systems_and_the_trees() -> None:
    assert [variant.name for variant in chosen(())] == [*MODELS, LIGHTGBM]


def test_names_may_be_given_with_commas_or_again_and_count_once() -> None:
    assert [v.name for v in chosen(("dfei, star", "mlp,dfei"))] == ["dfei", "star", "mlp"]


@pytest.mark.parametrize(("name", "meant"), [("dfie", "dfei"), ("dfei-without-dfee", "dfei-without-dfe")])
def test_a_name_that_is_nearly_right_is_guessed(name: str, meant: str) -> None:
    with pytest.raises(InputError, match=f"Did you mean {meant}\\?"):
        chosen((name,))


@pytest.mark.parametrize("dataset", ["simulated", "kuairand-pure"])
@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_fits_the_declarations(name: str, dataset: str) -> None:
    declaration = load_declaration(dataset)
    declared = declared_for(declaration, VARIANTS[name])
    assert declared.model.name == VARIANTS[name].model
    assert declared.features == declaration.features


def test_the_ablations_of_the_paper_are_there() -> None:
    declaration = load_declaration("simulated")
    without_dfe = declared_for(declaration, VARIANTS["dfei-without-dfe"]).model
    without_dfi = declared_for(declaration, VARIANTS["dfei-without-dfi"]).model
    frozen = declared_for(declaration, VARIANTS["dfei-frozen-random"]).model
    paper = declared_for(declaration, VARIANTS["dfei-paper"]).training
    unscaled = declared_for(declaration, VARIANTS["dfei-paper-without-1-over-d"]).training
    assert (without_dfe.domain_extraction, without_dfe.domain_integration) == (False, True)
    assert (without_dfi.domain_extraction, without_dfi.domain_integration) == (True, False)
    assert frozen.domain_state == "frozen_random"
    assert (paper.schedule, paper.shared_lr_scale, paper.batch_size) == ("cyclic", "1/D", 512)
    assert unscaled.model_copy(update={"shared_lr_scale": "1/D"}) == paper
