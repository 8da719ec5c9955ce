"""Every layer can be made again from its configuration."""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
from typing import Any

import pytest
import tf_keras as keras

import models.layers
from models.settings import ModelSettings
from tests.models.helpers import small_layout

LAYERS = sorted(
    {
        kind
        for module in pkgutil.iter_modules(models.layers.__path__, "models.layers.")
        for kind in vars(importlib.import_module(module.name)).values()
        if inspect.isclass(kind) and issubclass(kind, keras.layers.Layer) and kind.__module__ == module.name
    },
    key=lambda kind: kind.__name__,
)
VALUES: dict[str, Any] = {
    "stacks": 3,
    "domains": 3,
    "experts": 2,
    "units": 4,
    "hidden": 5,
    "size": 8,
    "features": 6,
    "rate": 0.25,
    "layers": [4, 2],
    "layout": small_layout(history=2),
    "settings": ModelSettings(embedding_size=4),
}


@pytest.mark.parametrize("kind", LAYERS, ids=lambda kind: kind.__name__)
def test_a_layer_is_made_again_from_its_configuration(kind: type[keras.layers.Layer]) -> None:
    needed = [
        name
        for name, parameter in inspect.signature(kind.__init__).parameters.items()
        if parameter.default is parameter.empty and parameter.kind is parameter.POSITIONAL_OR_KEYWORD
    ]
    layer = kind(**{name: VALUES[name] for name in needed if name != "self"}, name="same")
    config = json.loads(json.dumps(layer.get_config()))
    again = kind.from_config(config)
    assert json.loads(json.dumps(again.get_config())) == config
    assert again.name == "same"
