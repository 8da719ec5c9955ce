"""The models by name. A new model is one new file and one line here."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from models.base import DomainModel
    from models.features import FeatureLayout
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


def model_class(name: str) -> type[DomainModel]:
    """The class of a registered model.

    Raises:
        ValueError: if no model has that name; the message lists those that exist.
    """
    if name not in MODELS:
        raise ValueError(f"there is no model {name!r}; known models: {', '.join(sorted(MODELS))}")
    module, _, class_name = MODELS[name].partition(":")
    return getattr(import_module(module), class_name)


def build_model(layout: FeatureLayout, settings: ModelSettings, seed: int = 1) -> DomainModel:
    """A model with all its variables created, from initial values that depend on the seed alone.

    Sets the global seeds of Python, NumPy and TensorFlow, from which Keras draws initial values.

    Args:
        layout: what a row has.
        settings: which model, its sizes and switches.
        seed: same seed, same initial weights.
    """
    import tf_keras as keras

    keras.utils.set_random_seed(seed)
    model = model_class(settings.name)(layout, settings)
    model.ensure_built()
    return model
