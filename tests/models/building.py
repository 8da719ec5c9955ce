"""Small models with nothing at its starting value, and the NumPy parts that reference passes are made of."""

from __future__ import annotations

import functools
import json
from typing import Any

import numpy as np
import tensorflow as tf

from models.base import DomainModel, GroupedBatch
from models.registry import build_model
from models.settings import ModelSettings
from tests.models.helpers import random_batch, small_layout


def small_model(name: str, domains: int = 4, scatter: bool = True, **settings: Any) -> DomainModel:
    """A model of a few units; with `scatter`, zeros and ones that layers start from are moved off.

    Building costs most of a test's time: the same arguments give the same object, its weights set back.
    """
    model, start = _built(json.dumps([name, domains, scatter, settings]))
    model.set_weights(start)
    return model


@functools.cache
def _built(key: str) -> tuple[DomainModel, list[np.ndarray]]:
    name, domains, scatter, settings = json.loads(key)
    values = {"layers": [5, 4], "embedding_size": 3, "head_hidden": 3, **settings}
    model = build_model(small_layout(domains), ModelSettings(name=name, **values))
    if scatter:
        rng = np.random.default_rng(7)
        for variable in model.trainable_variables:
            variable.assign_add(rng.normal(0, 0.3, variable.shape).astype(np.float32))
    return model, model.get_weights()


def batch_of(model: DomainModel, domains: list[int], size: int = 5, seed: int = 0) -> GroupedBatch:
    """A batch with groups of these domains; its last row is padding."""
    rows, _, weights = random_batch(model.layout, len(domains), size, seed)
    return rows, tf.constant(domains, tf.int32), weights


def assert_rows(weights: Any, found: Any, expected: Any, **tolerances: float) -> None:
    """Logits of rows are as expected; those of padding are nobody's concern."""
    kept = np.asarray(weights) > 0
    np.testing.assert_allclose(np.asarray(found)[kept], np.asarray(expected)[kept], **tolerances)


def gradients(model: DomainModel, batch: GroupedBatch, training: bool = True) -> dict[str, np.ndarray]:
    """Dense gradients of the sum of the squared logits of a batch's rows, by variable name."""
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.square(model(batch, training=training)) * batch[2])
    found = tape.gradient(loss, model.trainable_variables)
    names = [variable.name.removeprefix(f"{model.name}/") for variable in model.trainable_variables]
    return {n: tf.convert_to_tensor(g).numpy() for n, g in zip(names, found, strict=True) if g is not None}


def moved(gradient: np.ndarray) -> list[int]:
    """The slices along the first axis that a gradient moves."""
    return np.flatnonzero(np.abs(gradient).reshape(len(gradient), -1).sum(1) > 0).tolist()


def relu(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def weights_of(model: DomainModel) -> dict[str, np.ndarray]:
    """All of a model's variables as arrays, named from below the model, without `:0`."""
    return {v.name.removeprefix(f"{model.name}/").removesuffix(":0"): v.numpy() for v in model.variables}


def tower(w: dict[str, np.ndarray], name: str, x: np.ndarray, *index: int) -> np.ndarray:
    """Dense ReLU layers `name/layer_0`, `name/layer_1` ...; `index` picks a slice of a stack."""
    i = 0
    while f"{name}/layer_{i}/kernel" in w:
        x = relu(x @ w[f"{name}/layer_{i}/kernel"][index] + w[f"{name}/layer_{i}/bias"][index])
        i += 1
    return x


def head(w: dict[str, np.ndarray], x: np.ndarray, d: int) -> np.ndarray:
    """`specific_head` of domain `d`: logits `(B,)`."""
    hidden = relu(x @ w["specific_head/hidden/kernel"][d] + w["specific_head/hidden/bias"][d])
    return (hidden @ w["specific_head/unit/kernel"][d] + w["specific_head/unit/bias"][d])[:, 0]
