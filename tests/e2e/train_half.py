"""Trains a small model to its end or stops in the middle of it: `train_half.py whole|half|rest FOLDER`.

`half` dies in an epoch and leaves a checkpoint in FOLDER, `rest` goes on from it, `whole` does neither. What has come
to its end is written as `FOLDER/<how>-<stack>.npz`: the variables in their order, and the losses of the epochs.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from components import stack
from models.arrays import write_arrays
from models.registry import build_model
from models.settings import ModelSettings, TrainingSettings
from models.training import train
from tests.models.helpers import learnable_rows, small_layout


class _Killed(BaseException):
    """Stands for a kill."""


class _KilledInTheSecondEpoch:
    epochs = 0

    def on_step(self, rows_done: int, rows_total: int, loss: float) -> None:
        if self.epochs and rows_done * 2 > rows_total:
            raise _Killed

    def on_epoch(self, record: object) -> None:
        self.epochs += 1


def main(how: str, folder: Path) -> None:
    layout = small_layout(domains=4)
    model = build_model(
        layout, ModelSettings(layers=[8, 4], embedding_size=3, head_hidden=4, dropout=0.2, id_dropout=0.1)
    )
    settings = TrainingSettings(
        batch_size=32,
        domains_per_step=2,
        learning_rate=0.01,
        epochs=3,
        validation_min_rows=20,
        checkpoint_steps=7,
        steps_per_call=3,
    )
    try:
        result = train(
            model,
            learnable_rows(layout, 1500, seed=1),
            learnable_rows(layout, 600, seed=2),
            settings,
            checkpoint_dir=None if how == "whole" else folder / "checkpoints",
            progress=_KilledInTheSecondEpoch() if how == "half" else None,
        )
    except _Killed:
        return
    assert result.resumed == (how == "rest")
    variables = {f"{number:03}": value for number, value in enumerate(model.get_weights())}
    losses = np.array([record.loss for record in result.history])
    write_arrays(folder / f"{how}-{stack.label()}.npz", {**variables, "losses": losses})


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
