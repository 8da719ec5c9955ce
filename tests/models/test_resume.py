from __future__ import annotations

import numpy as np
import pytest

from models.registry import build_model
from models.settings import ModelSettings, TrainingSettings
from models.training import train
from tests.models.helpers import learnable_rows, small_layout

LAYOUT = small_layout(domains=4)
MODEL = ModelSettings(layers=[8, 4], embedding_size=3, head_hidden=4, dropout=0.2, id_dropout=0.1)
ROWS, LATER = learnable_rows(LAYOUT, 1500, seed=1), learnable_rows(LAYOUT, 600, seed=2)
SETTINGS = TrainingSettings(
    batch_size=32,
    domains_per_step=2,
    learning_rate=0.01,
    epochs=3,
    validation_min_rows=20,
    checkpoint_steps=7,
    steps_per_call=3,
    refit=True,
)


class Killed(BaseException):
    pass


class KillAt:
    """Dies at the n-th report, as a kill would: nothing is tidied up."""

    def __init__(self, reports: int) -> None:
        self.left = reports

    def on_step(self, rows_done, rows_total, loss) -> None:
        self.left -= 1
        if self.left == 0:
            raise Killed

    def on_epoch(self, record) -> None:
        self.left -= 1
        if self.left == 0:
            raise Killed


class Count:
    def __init__(self) -> None:
        self.rows = 0
        self.reports = 0

    def on_step(self, rows_done, rows_total, loss) -> None:
        self.reports += 1

    def on_epoch(self, record) -> None:
        self.reports += 1


def test_killed_anywhere_and_started_again_it_ends_with_the_same_model(tmp_path):
    whole = build_model(LAYOUT, MODEL)
    count = Count()
    expected = train(whole, ROWS, LATER, SETTINGS, progress=count)
    for share in (0.02, 0.3, 0.55, 0.95):
        directory = tmp_path / str(share)
        reports = max(1, int(share * count.reports))
        with pytest.raises(Killed):
            train(
                build_model(LAYOUT, MODEL),
                ROWS,
                LATER,
                SETTINGS,
                checkpoint_dir=directory,
                progress=KillAt(reports),
            )
        model = build_model(LAYOUT, MODEL)
        result = train(model, ROWS, LATER, SETTINGS, checkpoint_dir=directory)
        assert result.resumed == (share > 0.1), "before the first checkpoint there is nothing to resume from"
        for a, b in zip(whole.get_weights(), model.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)
        for a, b in zip(expected.history, result.history, strict=True):
            assert (a.phase, a.epoch, a.loss, a.average_auc) == (b.phase, b.epoch, b.loss, b.average_auc)


def test_finished_training_is_not_made_again(tmp_path):
    model = build_model(LAYOUT, MODEL)
    first = train(model, ROWS, LATER, SETTINGS, checkpoint_dir=tmp_path)
    count = Count()
    again = build_model(LAYOUT, MODEL, seed=9)
    second = train(again, ROWS, LATER, SETTINGS, checkpoint_dir=tmp_path, progress=count)
    assert second.resumed
    assert not first.resumed
    assert count.reports == 0
    assert second.history == first.history
    for a, b in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_another_trainings_checkpoint_is_refused(tmp_path):
    quick = SETTINGS.model_copy(update={"epochs": 1, "refit": False})
    train(build_model(LAYOUT, MODEL), ROWS, LATER, quick, checkpoint_dir=tmp_path)
    other = quick.model_copy(update={"learning_rate": 0.02})
    with pytest.raises(ValueError, match="checkpoint of a training with other settings"):
        train(build_model(LAYOUT, MODEL), ROWS, LATER, other, checkpoint_dir=tmp_path)
