"""A day's training: from the weights of the day before, on the day's rows and a share of earlier ones.

A Trainer whose `custom_config` has `continues` trains so. Its keys:

* `warm_start`: the `model_run` folder of the training to go on from; empty: from nothing (a rebase, the first day);
* `replay`: earlier days, `{"examples", "transform_graph"}` each; `replay_share`: the share of their rows that is read;
* `learning_rate_scale`: of a warm-started training, which is one epoch; one from nothing is as the declaration says;
* `calibrate`: whether there is a calibration, which goes on from that of the training before and learns from the split
  before the weights do;
* `newest_state`: the day's last training, on the newest hours: held to predict them no worse once it has learned them,
  its calibration that of the training before.

It leaves in its own `model_run` what the next training goes on from.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from components.dataset.declaration import Declaration
from components.errors import GateError, InputError
from components.trainer.inputs import TrainingInputs
from components.trainer.replay import EarlierDay, read_earlier_day, read_values
from models.arrays import Array
from models.base import DomainModel
from models.calibration import Calibration, fit_calibration
from models.metrics import log_loss_of_logits
from models.optimizer import TwoRateOptimizer, variable_name
from models.prediction import Predictor
from models.rows import JoinedRows, RowSource
from models.settings import TrainingSettings
from models.warm_start import (
    Snapshot,
    cannot_follow,
    read_snapshot,
    take_snapshot,
    warm_start,
    write_snapshot,
)

LARGEST_STEP = 3.17
"""Adam's largest possible step in units of its rate: (1 - b1) / sqrt(1 - b2)."""
LOSS_TOLERANCE = 1.02


@dataclasses.dataclass(frozen=True)
class Continuation:
    """How a training goes on from others; see the module.

    Attributes:
      warm_start: folder of the earlier `model_run`; `None`: from nothing.
      replay: earlier days, the latest last.
      replay_share: share of their rows, above 0.
      learning_rate_scale: of a warm-started training: its share of `training.learning_rate`.
      calibrate: whether there is a calibration.
      last: whether it is the day's last training.
    """

    warm_start: Path | None
    replay: tuple[EarlierDay, ...] = ()
    replay_share: float = 1.0
    learning_rate_scale: float = 1.0
    calibrate: bool = False
    last: bool = False

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Continuation | None:
        """What a Trainer's `custom_config` asks for; `None`: a training by itself."""
        if not config.get("continues"):
            return None
        return cls(
            warm_start=Path(config["warm_start"]) if config.get("warm_start") else None,
            replay=tuple(EarlierDay(**day) for day in config.get("replay") or ()),
            replay_share=float(config.get("replay_share", 1.0)),
            learning_rate_scale=float(config.get("learning_rate_scale", 1.0)),
            calibrate=bool(config.get("calibrate")),
            last=bool(config.get("newest_state")),
        )


def can_follow(model_run: Path, declaration: Declaration) -> str | None:
    """Why a training can't go on from an earlier one, so that a rebase is due; `None` if it can.

    Args:
      model_run: of the earlier training.
      declaration: of the next.
    """
    try:
        earlier = read_snapshot(model_run)
    except (OSError, ValueError) as error:
        return f"the weights of {model_run} can't be read: {error}"
    return cannot_follow(earlier, declaration.model)


class Continued:
    """One training that goes on from another, or begins what others go on from.

    Args:
      asked: how.
      inputs: the day's rows.
      transform_graph: that made them.
      work: where replayed rows are decoded to.

    Raises:
      InputError: the earlier training's weights can't be read.
    """

    def __init__(self, asked: Continuation, inputs: TrainingInputs, transform_graph: str, work: Path) -> None:
        self._asked, self._inputs = asked, inputs
        self._values = read_values(transform_graph, inputs.layout)
        self._earlier = _read(asked.warm_start) if asked.warm_start else None
        self._replayed = self._read_replayed(work)
        self._start: dict[str, Array] = {}
        self._loss_before: float | None = None
        earlier = Calibration.read(asked.warm_start) if asked.warm_start and asked.calibrate else None
        self._believed = earlier
        self.calibration = (earlier or Calibration.none(inputs.layout.domains)).of(inputs.layout.domains)

    @property
    def settings(self) -> TrainingSettings:
        """Of the training: a warm start is one epoch, without validation, at a rate of its own."""
        settings = self._inputs.declaration.training
        if self._earlier is None:
            return settings
        return settings.model_copy(
            update={
                "epochs": 1,
                "min_epochs": 1,
                "patience": 0,
                "refit": False,
                "learning_rate": settings.learning_rate * self._asked.learning_rate_scale,
            }
        )

    @property
    def train_rows(self) -> RowSource:
        """The day's rows and the replayed ones; for a training from nothing without those that validate."""
        day = self._inputs.rows if self._earlier is not None else self._inputs.train
        return JoinedRows(*self._replayed, day) if self._replayed else day

    @property
    def validation_rows(self) -> RowSource | None:
        """Those that a training from nothing stops by."""
        return None if self._earlier is not None else self._inputs.validation

    def before(self, model: DomainModel, optimizer: TwoRateOptimizer) -> None:
        """Gives the model the earlier weights; the calibration learns from rows that these have not learned."""
        if self._earlier is None:
            return
        warm_start(model, optimizer, self._values, self._earlier)
        self._start = {variable_name(v): v.numpy() for v in model.trainable_variables}
        if not (self._asked.calibrate or self._asked.last):
            return
        rows = self._inputs.rows
        self._predictor = Predictor(model)
        logits = self._predictor.predict(rows)
        if self._asked.calibrate and not self._asked.last:
            domains = self._inputs.layout.domains
            self.calibration = fit_calibration(logits, rows.label, rows.domain, domains, self._believed)
        if self._asked.last:
            self._loss_before = log_loss_of_logits(rows.label, logits)

    def after(self, model: DomainModel, optimizer: TwoRateOptimizer) -> None:
        """Checks how far the weights have moved, and remembers them.

        Raises:
          GateError: a weight has moved further than the optimiser's steps can have moved it, or the rows that were
            learned are predicted worse than before.
        """
        if self._start:
            self._check_weights(model, optimizer)
        if self._loss_before is not None:
            rows = self._inputs.rows
            now = log_loss_of_logits(rows.label, self._predictor.predict(rows))
            if not now <= self._loss_before * LOSS_TOLERANCE:
                raise GateError(
                    f"learning the newest rows made their log loss worse, {self._loss_before:.4f} to {now:.4f}: the "
                    "model before stays in service; lower training.learning_rate, or rebase"
                )
        self._trained = take_snapshot(model, optimizer, self._values)

    def write(self, directory: Path) -> None:
        """Writes what the next training goes on from."""
        write_snapshot(self._trained, directory)
        self.calibration.write(directory)

    def _check_weights(self, model: DomainModel, optimizer: TwoRateOptimizer) -> None:
        settings = self.settings
        if settings.optimizer != "adam":
            return
        steps, multipliers = int(optimizer.iterations.numpy()), optimizer.multipliers()
        for variable in model.trainable_variables:
            name = variable_name(variable)
            moved = float(np.max(np.abs(variable.numpy() - self._start[name]), initial=0.0))
            most = steps * settings.learning_rate * multipliers[name] * LARGEST_STEP
            if not moved <= most * 1.01 + 1e-6:
                raise GateError(
                    f"the weight {name} moved by {moved:.3g} in {steps} steps, which can't move it by more than "
                    f"{most:.3g}: the training is broken, and the model before stays in service"
                )

    def _read_replayed(self, work: Path) -> list[RowSource]:
        every = max(1, round(1.0 / self._asked.replay_share))
        inputs = self._inputs
        days = [
            read_earlier_day(
                day, inputs.declaration, inputs.layout, self._values, work / f"replayed rows {n}", every
            )
            for n, day in enumerate(self._asked.replay)
        ]
        return [rows for rows in days if rows is not None]


def _read(model_run: Path) -> Snapshot:
    try:
        return read_snapshot(model_run)
    except (OSError, ValueError) as error:
        raise InputError(
            f"the weights to go on from, {model_run}, can't be read ({error}): rebase, which trains from nothing"
        ) from None
