from __future__ import annotations

import math

import numpy as np
import pytest
import tensorflow as tf

from models.learning_rate import rate_factor
from models.optimizer import TwoRateOptimizer
from models.registry import build_model
from models.settings import ModelSettings, TrainingSettings
from models.training import train
from models.training_step import TrainingStep
from tests.models.helpers import learnable_rows, small_layout


def factors(schedule: str, warmup: float, horizon: int, steps: int) -> list[float]:
    return [
        float(rate_factor(tf.constant(s), tf.constant(horizon), schedule, warmup))
        for s in range(1, steps + 1)
    ]


def test_the_courses_by_hand():
    assert factors("constant", 0.0, 4, 5) == pytest.approx([1, 1, 1, 1, 1])
    assert factors("constant", 0.5, 4, 5) == pytest.approx([0.5, 1, 1, 1, 1])
    assert factors("linear", 0.0, 4, 5) == pytest.approx([1, 0.75, 0.5, 0.25, 0])
    assert factors("linear", 0.5, 8, 9) == pytest.approx([0.25, 0.5, 0.75, 1, 1, 0.75, 0.5, 0.25, 0])
    half = 0.5 * (1 + math.cos(math.pi / 4))
    assert factors("cosine", 0.0, 4, 5) == pytest.approx([1, half, 0.5, 1 - half, 0], abs=1e-6)


def test_the_optimiser_moves_by_the_rate_of_the_step():
    weight = tf.Variable([0.0], name="w")
    table = tf.Variable([[0.0], [0.0]], name="table")
    rates = [("w", 1.0), ("table", 0.5)]
    optimizer = TwoRateOptimizer([weight, table], rates, 0.1, "sgd", learning_rate_schedule="linear")
    optimizer.plan(4)
    seen = []
    for _ in range(4):
        slices = tf.IndexedSlices(tf.ones([1, 1]), tf.constant([1]), tf.constant([2, 1]))
        optimizer.apply([tf.ones([1]), slices])
        seen.append((float(weight[0]), float(table[1, 0])))
    expected = -0.1 * np.cumsum([1, 0.75, 0.5, 0.25])
    np.testing.assert_allclose(seen, np.stack([expected, expected / 2], 1), rtol=1e-6)


LAYOUT = small_layout(domains=3)
ROWS, LATER = learnable_rows(LAYOUT, 700, seed=1), learnable_rows(LAYOUT, 300, seed=2)
SMALL = ModelSettings(layers=[6], embedding_size=2, head_hidden=0)


def test_a_training_ends_with_the_rate_near_zero_and_a_refit_plans_its_own_length(monkeypatch):
    planned = []
    plan = TwoRateOptimizer.plan
    monkeypatch.setattr(
        TwoRateOptimizer, "plan", lambda self, steps: (planned.append(steps), plan(self, steps))[1]
    )
    steps: list[TrainingStep] = []
    make = TrainingStep.__init__
    monkeypatch.setattr(
        TrainingStep,
        "__init__",
        lambda self, *args, **named: (steps.append(self), make(self, *args, **named))[1],
    )
    settings = TrainingSettings(
        batch_size=32,
        domains_per_step=2,
        epochs=3,
        patience=0,
        refit=True,
        learning_rate_schedule="linear",
        warmup=0.1,
        validation_min_rows=20,
    )
    result = train(build_model(LAYOUT, SMALL), ROWS, LATER, settings)
    optimizer = steps[0].optimizer
    assert planned[0] / 3 * result.best_epoch < planned[1] < 2 * planned[0]
    assert int(optimizer.horizon) == planned[1]
    assert abs(int(optimizer.iterations) - planned[1]) <= 2 * result.best_epoch
    assert float(optimizer.rate()) < 0.1 * settings.learning_rate
