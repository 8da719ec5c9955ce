from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from models.metrics import auc
from models.prediction import Predictor
from models.registry import build_model
from models.rows import ArrayRows
from models.settings import ModelSettings, TrainingSettings
from models.training import DivergedError, EpochRecord, train
from tests.models.helpers import learnable_rows, small_layout

LAYOUT = small_layout(domains=4)
MODEL = ModelSettings(layers=[8, 4], embedding_size=3, head_hidden=4, dropout=0.1)
ROWS, LATER = learnable_rows(LAYOUT, 1500, seed=1), learnable_rows(LAYOUT, 600, seed=2)
FAST = {
    "batch_size": 32,
    "domains_per_step": 4,
    "learning_rate": 0.01,
    "epochs": 3,
    "validation_min_rows": 20,
}


class Recorder:
    def __init__(self) -> None:
        self.steps: list[tuple[int, int, float]] = []
        self.epochs: list[EpochRecord] = []

    def on_step(self, rows_done: int, rows_total: int, loss: float) -> None:
        self.steps.append((rows_done, rows_total, loss))

    def on_epoch(self, record: EpochRecord) -> None:
        self.epochs.append(record)


def trained(seed=1, **changes):
    model = build_model(LAYOUT, MODEL)
    return model, train(model, ROWS, LATER, TrainingSettings(**{**FAST, **changes}), seed=seed)


@pytest.mark.parametrize(
    "change",
    [
        {"schedule": "cyclic", "shared_lr_scale": "1/D", "loss_weighting": "batch"},
        {"schedule": "interleaved"},
        {"schedule": "fused"},
        {"schedule": "fused", "loss_weighting": "batch"},
        {"schedule": "mixed"},
        {"schedule": "fused", "optimizer": "sgd", "learning_rate": 0.3},
    ],
)
def test_every_schedule_learns(change):
    model, result = trained(**change)
    assert result.best.overall_auc > 0.65
    assert result.history[-1].loss < result.history[0].loss
    assert auc(LATER.label, Predictor(model).predict(LATER)) == pytest.approx(
        result.best.overall_auc, abs=1e-6
    )


def test_progress_is_told_rows_and_epochs():
    recorder = Recorder()
    result = train(
        build_model(LAYOUT, MODEL), ROWS, LATER, TrainingSettings(**{**FAST, "epochs": 2}), progress=recorder
    )
    assert [record.epoch for record in recorder.epochs] == [1, 2]
    assert recorder.epochs == result.history
    done = [rows for rows, total, _ in recorder.steps if total == 1500]
    assert done[-1] == 1500
    assert done.count(1500) == 2
    assert all(np.isfinite(loss) for *_, loss in recorder.steps)
    assert set(recorder.epochs[0].domain_auc) <= set(LAYOUT.domains)


def test_the_same_seed_gives_the_same_model_bit_by_bit():
    first, again, other = (trained(seed=seed)[0].get_weights() for seed in (1, 1, 2))
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)
    assert any((a != b).any() for a, b in zip(first, other, strict=True))


def test_how_many_steps_a_call_makes_changes_nothing():
    one, many = (trained(steps_per_call=k, epochs=1)[0].get_weights() for k in (1, 7))
    for a, b in zip(one, many, strict=True):
        np.testing.assert_array_equal(a, b)


def test_training_stops_when_validation_no_longer_gains_and_keeps_the_best_weights():
    scrambled = ArrayRows(ROWS.rows, ROWS.domain, np.random.default_rng(0).permutation(ROWS.label))
    model = build_model(LAYOUT, MODEL)
    settings = TrainingSettings(**{**FAST, "epochs": 30, "patience": 2})
    result = train(model, scrambled, LATER, settings)
    assert len(result.history) == result.best_epoch + 2 < 30
    assert [record.best for record in result.history][result.best_epoch - 1 :] == [True, False, False]
    assert auc(LATER.label, Predictor(model).predict(LATER)) == pytest.approx(
        result.best.overall_auc, abs=1e-6
    )


def test_where_the_rate_falls_the_first_three_epochs_are_trained_whatever_validation_says():
    # Validation labels the wrong way round: the first epoch looks best.
    opposite = ArrayRows(LATER.rows, LATER.domain, 1 - LATER.label)
    settings = TrainingSettings(
        **{**FAST, "learning_rate": 0.002, "patience": 0, "refit": True, "learning_rate_schedule": "linear"}
    )
    for epochs, best in ((2, 2), (3, 3), (5, 3)):
        changed = settings.model_copy(update={"epochs": epochs})
        result = train(build_model(LAYOUT, MODEL), ROWS, opposite, changed)
        assert result.best_epoch == best
        assert [record.epoch for record in result.history if record.phase == "refit"][-1] == best
    free = settings.model_copy(update={"epochs": 5, "min_epochs": 1})
    assert train(build_model(LAYOUT, MODEL), ROWS, opposite, free).best_epoch < 3


@pytest.mark.parametrize(("epochs", "floor", "patience"), [(5, 3, 1), (5, 3, 0), (2, 4, 0)])
def test_an_epoch_before_the_fewest_is_never_the_best(epochs, floor, patience):
    # Validation labels the wrong way round: the more is learned the worse it looks, and the first epoch is chosen.
    opposite = ArrayRows(LATER.rows, LATER.domain, 1 - LATER.label)
    changes = {**FAST, "learning_rate": 0.002, "epochs": epochs, "patience": patience}
    free = train(build_model(LAYOUT, MODEL), ROWS, opposite, TrainingSettings(**changes))
    model = build_model(LAYOUT, MODEL)
    bound = train(model, ROWS, opposite, TrainingSettings(**changes, min_epochs=floor))
    least = min(floor, epochs)
    assert free.best_epoch < least
    shared = slice(0, min(len(free.history), len(bound.history)))
    losses = [[record.log_loss for record in run.history[shared]] for run in (free, bound)]
    assert losses[0] == losses[1]
    allowed = [record.average_auc for record in bound.history[least - 1 :]]
    assert bound.best_epoch == least + int(np.argmax(allowed))
    assert not any(record.best for record in bound.history[: least - 1])
    if patience:
        assert len(bound.history) == min(bound.best_epoch + patience, epochs)
    assert auc(opposite.label, Predictor(model).predict(opposite)) == pytest.approx(
        bound.best.overall_auc, abs=1e-6
    )


def test_refit_trains_anew_on_all_rows_for_the_chosen_number_of_epochs():
    settings = TrainingSettings(**FAST, refit=True)
    model = build_model(LAYOUT, MODEL)
    result = train(model, ROWS, LATER, settings)
    refit = [record for record in result.history if record.phase == "refit"]
    assert len(refit) == result.best_epoch
    everything = ArrayRows(
        {key: np.concatenate([ROWS.rows[key], LATER.rows[key]]) for key in ROWS.rows},
        np.concatenate([ROWS.domain, LATER.domain]),
        np.concatenate([ROWS.label, LATER.label]),
    )
    alone = build_model(LAYOUT, MODEL)
    train(alone, everything, None, TrainingSettings(**{**FAST, "epochs": result.best_epoch}))
    for a, b in zip(model.get_weights(), alone.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_without_validation_rows_all_epochs_are_made():
    result = train(build_model(LAYOUT, MODEL), ROWS, None, TrainingSettings(**FAST))
    assert len(result.history) == result.best_epoch == 3
    assert result.best.average_auc is None
    assert result.best.criterion is None


def test_where_no_domain_decides_the_log_loss_judges_an_epoch():
    whole = EpochRecord("fit", 1, 0.6, 1.0, 1.0, average_auc=0.7, overall_auc=0.8, log_loss=0.5)
    assert whole.criterion == 0.7
    assert dataclasses.replace(whole, average_auc=None).criterion == -0.5
    assert EpochRecord("refit", 1, 0.6, 1.0, 1.0).criterion is None


def test_tensorboard_finds_the_curves(tmp_path):
    train(
        build_model(LAYOUT, MODEL), ROWS, LATER, TrainingSettings(**{**FAST, "epochs": 1}), log_dir=tmp_path
    )
    tags = set()
    for path in tmp_path.glob("events*"):
        for event in tf.compat.v1.train.summary_iterator(str(path)):
            tags |= {value.tag for value in event.summary.value}
    assert {"fit/loss", "fit/rows_per_second", "validation/average_auc", "validation_auc/tab0"} <= tags


def test_small_and_one_class_domains_and_uncommon_penalties_train():
    domain = np.where(np.arange(1500) < 3, 3, np.minimum(ROWS.domain, 2))
    label = np.where(domain == 2, 0.0, ROWS.label)
    settings = MODEL.model_copy(update={"embedding_l2": 0.01, "id_dropout": 0.2, "embedding_dropout": 0.1})
    model = build_model(LAYOUT, settings)
    result = train(model, ArrayRows(ROWS.rows, domain, label), LATER, TrainingSettings(**FAST))
    assert np.isfinite(result.history[-1].loss)
    assert np.isfinite(Predictor(model).predict(LATER)).all()


def test_a_loss_that_is_no_number_stops_with_a_clear_error():
    broken = ArrayRows(
        {**ROWS.rows, "numeric": np.full_like(ROWS.rows["numeric"], np.nan)}, ROWS.domain, ROWS.label
    )
    with pytest.raises(
        DivergedError, match=r"not a finite number any more \(epoch 1, steps 1 to \d+\): lower learning"
    ):
        train(build_model(LAYOUT, MODEL), broken, LATER, TrainingSettings(**FAST))


def test_an_error_while_fetching_rows_is_raised_not_swallowed():
    class Torn(ArrayRows):
        def gather(self, indices):
            raise OSError("the disk is gone")

    torn = Torn(ROWS.rows, ROWS.domain, ROWS.label)
    with pytest.raises(OSError, match="the disk is gone"):
        train(build_model(LAYOUT, MODEL), torn, LATER, TrainingSettings(**FAST))


def test_no_rows_are_refused():
    none = ArrayRows({key: value[:0] for key, value in ROWS.rows.items()}, ROWS.domain[:0], ROWS.label[:0])
    with pytest.raises(ValueError, match="no rows to train on"):
        train(build_model(LAYOUT, MODEL), none, LATER, TrainingSettings(**FAST))
