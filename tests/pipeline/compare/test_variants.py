"""What can be compared: names, ablations, mistakes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from components.dataset.declaration import Declaration
from components.dataset.loader import load_declaration
from components.errors import InputError
from models.registry import MODELS
from pipeline import views
from pipeline.compare.create import ComparisonSettings, create_comparison, declared_for
from pipeline.compare.variants import LIGHTGBM, VARIANTS, Variant, chosen


def test_by_default_all_systems_and_the_trees() -> None:
    assert [variant.name for variant in chosen(())] == [*MODELS, LIGHTGBM]


def test_names_may_be_given_with_commas_or_again_and_count_once() -> None:
    assert [v.name for v in chosen(("dfei, star", "mlp,dfei"))] == ["dfei", "star", "mlp"]


@pytest.mark.parametrize(("name", "meant"), [("dfie", "dfei"), ("dfei-without-dfee", "dfei-without-dfe")])
def test_a_name_that_is_nearly_right_is_guessed(name: str, meant: str) -> None:
    with pytest.raises(InputError, match=f"Did you mean {meant}( or .*)?\\?"):
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


def _settings(
    tmp_path: Path, declaration: Declaration, variants: Sequence[Variant], **changes: Any
) -> ComparisonSettings:
    return ComparisonSettings(
        **{
            "declaration": declaration,
            "variants": variants,
            "seeds": [1],
            "trials": 0,
            "push": False,
            "latency": False,
            "data_dir": str(tmp_path),
            "data_fingerprint": "",
            "schema_file": str(tmp_path / "schema.pbtxt"),
            "pipeline_root": str(tmp_path),
            "serving_dir": str(tmp_path),
            "work_dir": str(tmp_path / "work"),
            "beam_args": [],
            "metadata": None,
            **changes,
        }
    )


@pytest.mark.parametrize(("champion", "expected"), [("", {"dfei", "mlp"}), ("mlp", {"mlp"})])
def test_only_the_named_model_can_be_the_champion(tmp_path: Path, champion: str, expected: set[str]) -> None:
    declaration, variants = load_declaration("simulated"), chosen(["dfei,mlp"])
    settings = _settings(tmp_path, declaration, variants, seeds=[1, 2], push=True, champion=champion)
    nodes = {component.id: component for component in create_comparison(settings).components}
    assert {f"Trainer.{name}.{seed}" for name in ("dfei", "mlp") for seed in (1, 2)} <= set(nodes)
    above = {node.id.split(".")[1] for node in nodes["champion"].upstream_nodes if "." in node.id}
    assert above == expected


def test_variants_that_come_to_the_same_settings_search_with_journals_of_their_own(tmp_path: Path) -> None:
    declaration = load_declaration("simulated", ["training.shared_lr_scale=1.0"])
    variants = chosen(["dfei,dfei-without-1-over-d"])
    alike = {views.for_trainer(declared_for(declaration, variant)) for variant in variants}
    assert len(alike) == 1
    pipeline = create_comparison(_settings(tmp_path, declaration, variants, trials=2))
    tuners = [component for component in pipeline.components if component.id.startswith("Tuner.")]
    assert len({tuner.exec_properties["work_dir"] for tuner in tuners}) == 2
