"""Training says how far it is over all its epochs, so that the time left is that of the training."""

from __future__ import annotations

from components import progress
from components.trainer.training import _Reporter
from models.training import EpochRecord


def _record(phase: str, epoch: int, auc: float | None = None, best: bool = False) -> EpochRecord:
    return EpochRecord(phase, epoch, 0.6, 1.0, 100.0, average_auc=auc, best=best)


def test_progress_runs_over_all_epochs_and_starts_again_with_a_second_training() -> None:
    seen: list[progress.Progress] = []
    with progress.listening(seen.append):
        reporter = _Reporter(epochs=4, rows=1000)
        reporter.on_step(500, 1000, 0.7)
        reporter.on_epoch(_record("fit", 1, 0.61, best=True))
        reporter.on_step(250, 1000, 0.65)
        reporter.on_epoch(_record("fit", 2, 0.64, best=True))
        reporter.on_epoch(_record("fit", 3, 0.63))
        reporter.on_step(300, 1200, 0.64)
        reporter.on_epoch(_record("refit", 1))
        reporter.on_step(1200, 1200, 0.6)
    assert [(event.step, event.done, event.total) for event in seen] == [
        ("training, epoch 1 of at most 4", 500, 4000),
        ("training, epoch 2 of at most 4", 1250, 4000),
        ("training anew on all rows, epoch 1 of 2", 300, 2400),
        ("training anew on all rows, epoch 2 of 2", 2400, 2400),
    ]
    assert seen[1].note == "loss 0.6500, validation average AUC 0.6100"
