"""A fused round does what a cyclic round does: exactly for the domains' own parts, to first order for the shared."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from models.registry import build_model
from models.settings import ModelSettings, TrainingSettings
from models.training_step import Chunk, TrainingStep
from tests.models.helpers import off_zero, random_rows, small_layout

D, B = 4, 16
LAYOUT = small_layout(domains=D)
MODEL = {"layers": [8, 4], "embedding_size": 3, "head_hidden": 4}


def one_batch_of_each_domain() -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray, np.ndarray]:
    """`(D, B)` rows, domains, weights and labels; the last domain has fewer rows than the others."""
    weights = np.ones((D, B), np.float32)
    weights[-1, 9:] = 0
    labels = np.random.default_rng(1).integers(0, 2, (D, B)).astype(np.float32)
    return random_rows(LAYOUT, (D, B)), np.arange(D, dtype=np.int32), weights, labels


def moved_by(fused: bool, rate: float, shared_lr_scale: float, **model) -> dict[str, np.ndarray]:
    """How far one round of plain SGD moves each trainable variable."""
    built = build_model(LAYOUT, ModelSettings(**MODEL, **model))
    off_zero(built, scale=1.0)  # smaller ones leave differences that rounding decides
    rows, domains, weights, labels = one_batch_of_each_domain()
    batch = (
        {key: tf.constant(value) for key, value in rows.items()},
        tf.constant(domains),
        tf.constant(weights),
    )
    built(batch, training=True)  # the first batches set the moving averages, where they then rest
    before = {v.name: v.numpy() for v in built.trainable_variables}
    settings = TrainingSettings(
        schedule="fused" if fused else "cyclic",
        domains_per_step=D,
        batch_size=B,
        loss_weighting="batch",
        optimizer="sgd",
        learning_rate=rate,
        shared_lr_scale=shared_lr_scale,
    )
    # Stacked steps: one of D groups, or D of one group.
    axis = 0 if fused else 1
    chunk = Chunk(
        {key: np.expand_dims(value, axis) for key, value in rows.items()},
        *(np.expand_dims(value, axis) for value in (domains, weights, labels)),
        whole=np.array([[weights.sum(), D]] if fused else [[row.sum(), 1] for row in weights], np.float32),
    )
    TrainingStep(built, settings).run(chunk)
    return {v.name: v.numpy() - before[v.name] for v in built.trainable_variables}


def test_the_domains_own_parts_move_exactly_alike():
    frozen = {"shared_lr_scale": 1e-30, "domain_integration": False}
    cyclic, fused = moved_by(False, 0.1, **frozen), moved_by(True, 0.1, **frozen)
    for name in cyclic:
        if "/specific_" in name:
            assert np.abs(cyclic[name]).max() > 1e-4, name
            np.testing.assert_allclose(fused[name], cyclic[name], rtol=1e-4, atol=2e-7)
        else:
            assert max(np.abs(cyclic[name]).max(), np.abs(fused[name]).max()) < 1e-20, name


def test_the_difference_is_of_second_order():
    wide, narrow = 0.2, 0.05
    moved = {
        (fused, rate): moved_by(fused, rate, 1.0 if fused else 1 / D)
        for fused in (0, 1)
        for rate in (wide, narrow)
    }
    for part in ("/specific_", "/shared_tower", "/embedding", "/domain_integration"):
        apart = {}
        for rate in (wide, narrow):
            cyclic, fused = moved[0, rate], moved[1, rate]
            names = [name for name in cyclic if part in name]
            difference = np.concatenate([(cyclic[name] - fused[name]).ravel() for name in names])
            movement = np.concatenate([cyclic[name].ravel() for name in names])
            apart[rate] = np.linalg.norm(difference) / np.linalg.norm(movement)
        assert apart[wide] < 0.1, part
        assert apart[wide] / apart[narrow] == pytest.approx(wide / narrow, rel=0.35), part
