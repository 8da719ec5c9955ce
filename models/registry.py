"""The models by name. A new model is one new file and one line here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from models.base import DomainModel
    from models.features import FeatureLayout
    from models.options import Option
    from models.settings import ModelSettings

MODELS: dict[str, str] = {
    "dfei": "models.dfei:DFEI",
    "mlp": "models.mlp:MLP",
    "mmoe": "models.mmoe:MMoE",
    "ple": "models.ple:PLE",
    "aitm": "models.aitm:AITM",
    "hmoe": "models.hmoe:HMoE",
    "star": "models.star:STAR",
    "pepnet": "models.pepnet:PEPNet",
    "hinet": "models.hinet:HiNet",
}
TREES = "lightgbm"
"""Gradient-boosted trees: compared with the models, but none of them."""

DFEI_READS = frozenset(
    {
        "decay",
        "domain_extraction",
        "domain_integration",
        "attention_size",
        "common_base",
        "specific_rank",
        "personal_heads",
        "domain_state",
    }
)
"""Fields of `ModelSettings` that DFEI alone reads."""
TREES_READ = frozenset({"name", "use_ids", "domain_feature", "averages", "history", "options"})
"""The only ones that trees read."""


def model_class(name: str) -> type[DomainModel]:
    """The class of a registered model.

    Raises:
        ValueError: if no model has that name; the message lists those that exist.
    """
    if name not in MODELS:
        raise ValueError(f"there is no model {name!r}; known models: {', '.join(sorted(MODELS))}")
    module, _, class_name = MODELS[name].partition(":")
    found: type[DomainModel] = getattr(import_module(module), class_name)
    return found


def options_of(name: str) -> Mapping[str, Option]:
    """What a registered model, or `TREES`, asks for in `ModelSettings.options`, by name.

    Raises:
        ValueError: if no model has that name.
    """
    if name == TREES:
        options: Mapping[str, Option] = import_module("models.gbdt").OPTIONS
        return options
    return model_class(name).OPTIONS


def check_options(options: Mapping[str, Any], models: Sequence[str]) -> None:
    """Checks that each option is one of at least one of the models, with a value for each that has it.

    Args:
        options: as in `ModelSettings.options`. Only where there are any is a model's class imported.
        models: names that `options_of` knows.

    Raises:
        ValueError: if an option is none of theirs, the message lists those that are, the closest first; or its value is
            of another type than the option, or out of bounds.
    """
    if not options:
        return
    known: dict[str, list[str]] = {}
    for model in dict.fromkeys(models):
        for option in options_of(model):
            known.setdefault(option, []).append(model)
    for option in options:
        if option in known:
            for model in known[option]:
                options_of(model)[option].read(option, options)
            continue
        close = get_close_matches(option, known, n=3, cutoff=0.6)
        there = [
            name if len(set(models)) == 1 else f"{name} ({', '.join(known[name])})"
            for name in dict.fromkeys([*close, *sorted(known)])
        ]
        raise ValueError(
            f"model.options.{option}: {' and '.join(dict.fromkeys(models))} "
            f"{'has' if len(set(models)) == 1 else 'have'} no such option. There "
            + (f"are: {', '.join(there)}" if len(there) > 1 else f"is: {there[0]}" if there else "are none")
        )


def check_read(fields: Iterable[str], models: Sequence[str]) -> None:
    """Checks that each field of `ModelSettings` is read by at least one of the models.

    Args:
        fields: that somebody set for these models; a declaration may have more, for others.
        models: names that `options_of` knows.

    Raises:
        ValueError: if none of them reads a field.
    """
    for field in fields:
        if not any(_reads(model, field) for model in models):
            raise ValueError(f"model.{field}: {' and '.join(dict.fromkeys(models))} would not read it")


def _reads(model: str, field: str) -> bool:
    return field in TREES_READ if model == TREES else model == "dfei" or field not in DFEI_READS


def build_model(layout: FeatureLayout, settings: ModelSettings, seed: int = 1) -> DomainModel:
    """A model with all its variables created, from initial values that depend on the seed alone.

    Sets the global seeds of Python, NumPy and TensorFlow, from which Keras draws initial values.

    Args:
        layout: what a row has.
        settings: which model, its sizes and switches.
        seed: same seed, same initial weights.

    Raises:
        ValueError: if there is no such model, or it has no such option.
    """
    import tf_keras as keras

    check_options(settings.options, [settings.name])
    keras.utils.set_random_seed(seed)
    model = model_class(settings.name)(layout, settings)
    model.ensure_built()
    return model
