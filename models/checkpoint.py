"""What a killed training is resumed from."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import tensorflow as tf

from models.base import DomainModel
from models.optimizer import TwoRateOptimizer


@dataclass
class Progressed:
    """How far training is.

    Attributes:
        phase: "fit", then "refit" if that is asked for, then "done".
        epoch: the running epoch of the phase, from 0.
        step: its next step.
        loss: sum of the cross-entropies of the epoch's rows so far.
        rows: their number.
        seconds: spent training in this epoch.
        history: a record of each finished epoch, as plain values.
        best_epoch: of the best validation so far; -1 before the first.
        best: its criterion.
    """

    phase: str = "fit"
    epoch: int = 0
    step: int = 0
    loss: float = 0.0
    rows: float = 0.0
    seconds: float = 0.0
    history: list[dict[str, Any]] = field(default_factory=list)
    best_epoch: int = -1
    best: float | None = None

    def next_epoch(self, epoch: int) -> None:
        """Stands before the first step of an epoch."""
        self.epoch, self.step, self.loss, self.rows, self.seconds = epoch, 0, 0.0, 0.0, 0.0


class TrainingCheckpoint:
    """Model, optimiser and progress in one checkpoint, so that they always belong together.

    Beside it lie the weights of the best epoch and those that training began with. Each is written under a
    new name and then named as the latest, so a kill at any moment leaves a checkpoint that can be read.

    Args:
        directory: where they are; made if absent.
        model: built.
        optimizer: of this model.
        fingerprint: of everything that decides the course of training.

    Raises:
        ValueError: if the directory holds a checkpoint of a training with another fingerprint.
    """

    def __init__(
        self, directory: Path, model: DomainModel, optimizer: TwoRateOptimizer, fingerprint: str
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self._fingerprint = fingerprint
        self._document = tf.Variable("", dtype=tf.string, trainable=False)
        everything = tf.train.Checkpoint(model=model, optimizer=optimizer, progress=self._document)
        self._latest = tf.train.CheckpointManager(everything, str(directory / "latest"), max_to_keep=2)
        self._weights = tf.train.Checkpoint(model=model)

    def restore(self) -> Progressed | None:
        """Puts model and optimiser where the last checkpoint has them; None if there is none."""
        if self._latest.latest_checkpoint is None:
            return None
        reader = tf.train.load_checkpoint(self._latest.latest_checkpoint)
        document = json.loads(reader.get_tensor("progress/.ATTRIBUTES/VARIABLE_VALUE"))
        if document["fingerprint"] != self._fingerprint:
            raise ValueError(
                f"{self._directory} holds a checkpoint of a training with other settings, features or rows: "
                "give an empty directory, or remove it"
            )
        self._latest.checkpoint.restore(self._latest.latest_checkpoint).assert_existing_objects_matched()
        return Progressed(**document["progress"])

    def save(self, progress: Progressed) -> None:
        """Writes a checkpoint and forgets the one before the last."""
        self._document.assign(json.dumps({"fingerprint": self._fingerprint, "progress": asdict(progress)}))
        self._latest.save()

    def save_weights(self, name: str) -> None:
        """Keeps the model's weights, states included, under a name."""
        self._weights.write(str(self._directory / name))

    def load_weights(self, name: str) -> None:
        """Gives the model back the weights kept under a name."""
        self._weights.read(str(self._directory / name)).assert_existing_objects_matched()
