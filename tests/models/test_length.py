"""Batches and epochs that follow the number of rows, what decides, and what epochs are chosen by."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.metrics import criterion, decides, needed, normalized_entropy, rarer_rows, score
from models.settings import AUTO_EPOCHS, AUTO_MOST_EPOCHS, AUTO_STEPS, TrainingSettings


def steps(rows: int, chosen: TrainingSettings) -> int:
    together = chosen.domains_per_step if chosen.schedule in ("fused", "mixed") else 1
    return int(chosen.epochs) * math.ceil(rows / (int(chosen.batch_size) * together))


@pytest.mark.parametrize(
    ("rows", "batch_size", "epochs"),
    [(400, 4, 30), (1_600, 4, 12), (8_000, 4, 3), (40_000, 32, 4), (100_000, 64, 4), (10**7, 128, 3)],
)
def test_length_follows_the_rows(rows, batch_size, epochs):
    chosen = TrainingSettings(schedule="mixed").for_rows(rows)
    assert (chosen.batch_size, chosen.epochs) == (batch_size, epochs)


@given(
    st.integers(1, 10**8),
    st.sampled_from(["cyclic", "interleaved", "fused", "mixed"]),
    st.integers(1, 64),
)
def test_there_is_a_floor_of_optimiser_steps(rows, schedule, together):
    chosen = TrainingSettings(schedule=schedule, domains_per_step=together).for_rows(rows)
    assert steps(rows, chosen) >= AUTO_STEPS or chosen.epochs == AUTO_MOST_EPOCHS
    assert AUTO_EPOCHS <= int(chosen.epochs) <= AUTO_MOST_EPOCHS
    assert chosen.for_rows(7 * rows) == chosen


@pytest.mark.parametrize(
    ("rows", "rarer", "batch_size", "epochs"),
    [
        (430, 2, 64, 3),
        (430, 20, 8, 3),
        (1_500, 8, 128, 3),
        (8_000, 40, 64, 4),
        (1_500, 80, 4, 6),
        (1_500, 160, 4, 13),
        (1_500, 750, 4, 13),
        (40_000, 200, 32, 4),
    ],
)
def test_few_rows_of_a_class_are_not_gone_over_again_and_again(rows, rarer, batch_size, epochs):
    chosen = TrainingSettings(schedule="mixed").for_rows(rows, rarer)
    assert (chosen.batch_size, chosen.epochs) == (batch_size, epochs)


def test_a_day_of_a_feed_takes_as_many_steps_for_a_click_as_it_has_clicks():
    chosen = TrainingSettings(schedule="mixed", epochs=1).for_rows(1_500, 20)
    assert (chosen.batch_size, chosen.epochs) == (4, 1)
    assert TrainingSettings(schedule="mixed").for_rows(1_500, 20).batch_size == 32


@given(st.integers(2, 10**6), st.floats(0.0001, 0.5))
def test_more_rows_of_a_class_never_train_shorter(rows, share):
    def trained(rarer):
        return steps(rows, TrainingSettings(schedule="mixed").for_rows(rows, rarer))

    few = max(1, round(rows * share))
    # A half more or less is what whole epochs and batches of powers of two make of it.
    assert trained(few) <= 2 * trained(min(2 * few, rows // 2 + 1))
    if few >= 160:
        assert trained(few) == steps(rows, TrainingSettings(schedule="mixed").for_rows(rows))


def test_what_is_declared_holds_whatever_the_rows():
    chosen = TrainingSettings(epochs=1, batch_size=512).for_rows(100)
    assert (chosen.epochs, chosen.batch_size) == (1, 512)


@pytest.mark.parametrize(
    ("schedule", "epochs", "declared", "fewest"),
    [
        ("constant", 3, "auto", 1),
        ("linear", 3, "auto", 3),
        ("cosine", 10, "auto", 3),
        ("linear", 10, 1, 1),
        ("linear", 3, 2, 2),
    ],
)
def test_a_look_at_an_early_epoch_at_a_high_rate_chooses_nothing(schedule, epochs, declared, fewest):
    settings = TrainingSettings(learning_rate_schedule=schedule, epochs=epochs, min_epochs=declared)
    assert settings.for_rows(10_000).min_epochs == fewest


def test_what_decides_is_the_rarer_class():
    assert decides(500, 50, 500) and decides(500, 450, 500)
    assert not decides(100_000, 49, 500) and not decides(499, 250, 500)
    assert not decides(3, 0, 1) and not decides(3, 3, 1) and decides(2, 1, 1)
    np.testing.assert_array_equal(decides(np.array([600, 600]), np.array([10, 300]), 500), [False, True])
    assert rarer_rows(500) == 50 and needed(500) == "at least 500 rows, 50 of each class"


def test_epochs_are_chosen_by_average_auc_only_where_a_domain_decides():
    rng = np.random.default_rng(1)
    label = (rng.random(1000) < 0.03).astype(float)
    logit = rng.normal(size=1000) + label
    found = score(np.zeros(1000, int), label, logit, min_rows=500)
    assert found.average_auc is None and found.overall_auc is not None
    assert found.criterion == -found.log_loss
    enough = score(np.zeros(1000, int), label, logit, min_rows=200)
    assert enough.criterion == enough.average_auc == pytest.approx(found.overall_auc)
    assert criterion(None, None) is None


def test_normalized_entropy_is_one_for_the_constant_that_fits_best():
    rate, rows = 0.04, 250
    constant = -(rate * np.log(rate) + (1 - rate) * np.log(1 - rate))
    assert normalized_entropy(constant, rows, 10) == pytest.approx(1)
    assert normalized_entropy(constant / 2, rows, 10) == pytest.approx(0.5)
    assert normalized_entropy(0.1, rows, 0) is None and normalized_entropy(None, rows, 10) is None
