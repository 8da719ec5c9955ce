"""The training loop that all models share."""

from __future__ import annotations

import hashlib
import math
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from models.base import DomainModel
from models.checkpoint import Progressed, TrainingCheckpoint
from models.feed import chunks
from models.metrics import Scores, criterion, rarer_of, score
from models.optimizer import TwoRateOptimizer
from models.prediction import Predictor
from models.replicas import ALONE, Replicas
from models.rows import JoinedRows, RowSource
from models.schedule import Schedule
from models.settings import TrainingSettings
from models.training_step import TrainingStep


class DivergedError(ArithmeticError):
    """The loss is not a number any more. The message says where, and what can be done."""


@dataclass(frozen=True)
class EpochRecord:
    """One finished epoch.

    Attributes:
        phase: "fit", or "refit" on training and validation rows together.
        epoch: from 1.
        loss: mean cross-entropy of the rows as they were trained on.
        seconds: spent training, validation left out.
        rows_per_second: trained.
        average_auc: on the validation rows; None in "refit", or where no domain qualifies.
        overall_auc: same, of all rows together.
        log_loss: same; None in "refit".
        domain_auc: same, by the domain's name.
        best: whether this epoch is the best so far.
    """

    phase: str
    epoch: int
    loss: float
    seconds: float
    rows_per_second: float
    average_auc: float | None = None
    overall_auc: float | None = None
    log_loss: float | None = None
    domain_auc: dict[str, float] | None = None
    best: bool = False

    @property
    def criterion(self) -> float | None:
        """What the epoch is evaluated by, as `Scores.criterion`; None where it was not validated."""
        return criterion(self.average_auc, self.log_loss)


Hook = Callable[[DomainModel, TwoRateOptimizer], None]


class Progress(Protocol):
    """Told how training comes along."""

    def on_step(self, rows_done: int, rows_total: int, loss: float) -> None:
        """After some steps: rows of the epoch trained on, rows it has, mean loss over those done."""

    def on_epoch(self, record: EpochRecord) -> None:
        """After each epoch and its validation."""


@dataclass(frozen=True)
class TrainingResult:
    """What training did. The model holds the weights it ended with: the best epoch's, or the refit's.

    Attributes:
        history: all epochs, those before a resumption included.
        best_epoch: from 1.
        resumed: whether it went on from a checkpoint.
    """

    history: list[EpochRecord]
    best_epoch: int
    resumed: bool

    @property
    def best(self) -> EpochRecord:
        """The record of the best epoch."""
        return next(r for r in self.history if r.phase == "fit" and r.epoch == self.best_epoch)


def train(
    model: DomainModel,
    train_rows: RowSource,
    validation_rows: RowSource | None,
    settings: TrainingSettings,
    *,
    seed: int = 1,
    checkpoint_dir: str | Path | None = None,
    log_dir: str | Path | None = None,
    progress: Progress | None = None,
    replicas: Replicas = ALONE,
    before: Hook | None = None,
    after: Hook | None = None,
) -> TrainingResult:
    """Trains a model, keeps the weights of the epoch that validates best, and leaves them in it.

    Domains that the model has no click rate for yet start at that of their training rows (`DomainModel.start_at`).

    Training stops when the average AUC of the validation rows has not gained `min_delta` for `patience`
    epochs; an epoch before `min_epochs` is never the best one. With `refit` the model then starts anew from
    its first weights, for as many epochs as the best one's number, on both sets of rows. Killed and called
    again with the same arguments, it goes on from the last checkpoint and ends with the weights it would have
    ended with. The same seed gives the same model, bit by bit on a CPU.

    Args:
        model: built by `models.registry.build_model`.
        train_rows: rows to learn from.
        validation_rows: later rows to stop by; None or none to train all epochs and keep the last.
        settings: schedule, rates, stopping.
        seed: of the order of the rows; that of initial weights and dropout is `build_model`'s.
        checkpoint_dir: where to resume from and to write checkpoints; None for no resumption.
        log_dir: where TensorBoard's events are written; None for none.
        progress: told about steps and epochs.
        replicas: who trains together; the model was built in their scope. All processes call with the same
            arguments; `checkpoint_dir` is a folder that all of them see, and the chief alone writes.
        before: called with the model and its optimiser before the first step, to start from other weights than
            the initial ones; before a resumption too.
        after: called with both when training has ended.

    Raises:
        DivergedError: if the loss becomes NaN or infinite.
        ValueError: if there are no training rows, or `checkpoint_dir` holds another training's checkpoint.
    """
    if validation_rows is not None and len(validation_rows.domain) == 0:
        validation_rows = None
    if not len(train_rows.domain):
        raise ValueError("there are no rows to train on")
    label = np.asarray(train_rows.label)
    settings = settings.for_rows(len(label), rarer_of(label))
    with tempfile.TemporaryDirectory() as scratch:
        loop = _Loop(
            model,
            train_rows,
            validation_rows,
            settings,
            seed,
            Path(checkpoint_dir or scratch),
            log_dir,
            progress,
            replicas,
        )
        loop.writes = checkpoint_dir is not None and replicas.is_chief
        # Without a common folder each process keeps weights in one of its own.
        loop.keeps = checkpoint_dir is None or replicas.is_chief
        if before is not None:
            before(model, loop.step.optimizer)
        result = loop.run()
        if after is not None:
            after(model, loop.step.optimizer)
        return result


class _Loop:
    def __init__(
        self,
        model: DomainModel,
        train_rows: RowSource,
        validation_rows: RowSource | None,
        settings: TrainingSettings,
        seed: int,
        directory: Path,
        log_dir: str | Path | None,
        progress: Progress | None,
        replicas: Replicas,
    ) -> None:
        self.replicas = replicas
        self.model = model
        self.train_rows, self.validation_rows = train_rows, validation_rows
        self.settings, self.seed = settings, seed
        self._epochs, self._batch_size = int(settings.epochs), int(settings.batch_size)
        self._fewest = min(int(settings.min_epochs), self._epochs)
        self.progress = progress
        self.writes = self.keeps = True
        self.step = TrainingStep(model, settings, replicas)
        self.predictor = Predictor(model)
        self.kept = TrainingCheckpoint(directory, model, self.step.optimizer, self._fingerprint())
        self.log = tf.summary.create_file_writer(str(log_dir)) if log_dir else tf.summary.create_noop_writer()
        self.state = Progressed()

    def run(self) -> TrainingResult:
        restored = self.kept.restore()
        if restored is not None:
            self.state = restored
        else:
            if self.settings.refit:
                self._keep_weights("initial")
            self._start_at(self.train_rows)
        if self.state.phase == "fit":
            self._fit()
        if self.state.phase == "refit" and self.validation_rows is not None:
            self._refit(JoinedRows(self.train_rows, self.validation_rows))
        self.log.flush()
        records = [EpochRecord(**record) for record in self.state.history]
        return TrainingResult(records, self.state.best_epoch + 1, restored is not None)

    def _fit(self) -> None:
        schedule = self._schedule(self.train_rows)
        self._plan_rate(schedule, self._epochs)
        while not self._enough():
            self._epoch(schedule, self.train_rows)
            scores = self._validate()
            criterion = self.replicas.broadcast_from_chief(
                scores.criterion if scores else float(self.state.epoch)
            )
            gains = self.state.best is None or criterion > self.state.best + self.settings.min_delta
            best = gains and self.state.epoch + 1 >= self._fewest
            if best:
                self.state.best, self.state.best_epoch = criterion, self.state.epoch
                self._keep_weights("best")
            self._record(scores, best)
            self.state.next_epoch(self.state.epoch + 1)
            self._save()
        if self.settings.refit and self.validation_rows is not None:
            self._load_weights("initial")
            self._start_at(JoinedRows(self.train_rows, self.validation_rows))
            self.step.optimizer.reset()
            self.state.phase = "refit"
            self.state.next_epoch(0)
        else:
            self._load_weights("best")
            self.state.phase = "done"
        self._save()

    def _start_at(self, rows: RowSource) -> None:
        self.model.start_at(np.asarray(rows.domain), np.asarray(rows.label))

    def _refit(self, rows: RowSource) -> None:
        schedule = self._schedule(rows)
        self._plan_rate(schedule, self.state.best_epoch + 1)
        while self.state.epoch <= self.state.best_epoch:
            self._epoch(schedule, rows)
            self._record(None, False)
            self.state.next_epoch(self.state.epoch + 1)
            self._save()
        self.state.phase = "done"
        self._save()

    def _enough(self) -> bool:
        stale = self.state.epoch - 1 - self.state.best_epoch
        out_of_patience = self.settings.patience > 0 and stale >= self.settings.patience
        return self.state.epoch >= self._epochs or (self.state.best is not None and out_of_patience)

    def _epoch(self, schedule: Schedule, rows: RowSource) -> None:
        plan = schedule.epoch(self.state.epoch)
        every = self.settings.checkpoint_steps
        started = time.perf_counter() - self.state.seconds
        # What replicas tell each other in one call must have one shape, and steps differ.
        together = 1 if self.replicas.count > 1 else self.settings.steps_per_call
        calls = chunks(rows, plan, self.state.step, together, every, self.replicas)
        for next_step, chunk in calls:
            loss, count = self.step.run(chunk)
            if not math.isfinite(loss):
                raise self._diverged(self.state.step, next_step)
            self.state.loss += loss
            self.state.rows += count
            self.state.step = next_step
            self.state.seconds = time.perf_counter() - started
            if self.progress:
                mean = self.state.loss / self.state.rows
                self.progress.on_step(int(self.state.rows), len(rows.domain), mean)
            if next_step % every == 0 and next_step < len(plan):
                self._save()

    def _validate(self) -> Scores | None:
        rows = self.validation_rows
        if rows is None:
            return None
        logits = self.predictor.predict(rows)
        return score(np.asarray(rows.domain), rows.label, logits, self.settings.validation_min_rows)

    def _record(self, scores: Scores | None, best: bool) -> None:
        state = self.state
        validation: dict[str, Any] = {}
        if scores is not None:
            names = self.model.layout.domains
            validation = {
                "average_auc": scores.average_auc,
                "overall_auc": scores.overall_auc,
                "log_loss": scores.log_loss,
                "domain_auc": {names[d]: value for d, value in scores.domain_auc.items()},
            }
        record = EpochRecord(
            phase=state.phase,
            epoch=state.epoch + 1,
            loss=state.loss / state.rows,
            seconds=state.seconds,
            rows_per_second=state.rows / max(state.seconds, 1e-9),
            best=best,
            **validation,
        )
        state.history.append(asdict(record))
        with self.log.as_default():
            self._write_log(record)
        if self.progress:
            self.progress.on_epoch(record)

    @staticmethod
    def _write_log(record: EpochRecord) -> None:
        tf.summary.scalar(f"{record.phase}/loss", record.loss, step=record.epoch)
        tf.summary.scalar(f"{record.phase}/rows_per_second", record.rows_per_second, step=record.epoch)
        for name in ("average_auc", "overall_auc", "log_loss"):
            value = getattr(record, name)
            if value is not None:
                tf.summary.scalar(f"validation/{name}", value, step=record.epoch)
        for domain, value in (record.domain_auc or {}).items():
            tf.summary.scalar(f"validation_auc/{domain}", value, step=record.epoch)

    def _keep_weights(self, name: str) -> None:
        if self.keeps:
            self.kept.save_weights(name)

    def _load_weights(self, name: str) -> None:
        self.replicas.barrier()  # The chief has written them now.
        self.kept.load_weights(name)
        self.replicas.barrier()  # All have read them: the chief may remove them.

    def _save(self) -> None:
        if self.writes:
            self.kept.save(self.state)
            self.log.flush()

    def _schedule(self, rows: RowSource) -> Schedule:
        chosen = self.settings
        return Schedule(
            chosen.schedule, np.asarray(rows.domain), self._batch_size, chosen.domains_per_step, self.seed
        )

    def _plan_rate(self, schedule: Schedule, epochs: int) -> None:
        # Epochs differ by a few steps at most, where batches of like size are joined.
        if self.settings.learning_rate_schedule != "constant" or self.settings.warmup:
            self.step.optimizer.plan(len(schedule.epoch(0)) * epochs)

    def _diverged(self, begin: int, end: int) -> DivergedError:
        return DivergedError(
            f"the loss is not a finite number any more (epoch {self.state.epoch + 1}, steps {begin + 1} to {end}): "
            f"lower learning_rate (now {self.settings.learning_rate}), or look for infinite values in the features"
        )

    def _fingerprint(self) -> str:
        # The frequency of checkpoints and the steps of a call do not change the course of training.
        settings = self.settings.model_dump_json(exclude={"checkpoint_steps", "steps_per_call"})
        digest = hashlib.sha256()
        for text in (
            self.model.settings.model_dump_json(),
            settings,
            self.model.layout.to_json(),
            str(self.seed),
        ):
            digest.update(text.encode())
        for rows in (self.train_rows, self.validation_rows):
            if rows is not None:
                digest.update(np.ascontiguousarray(rows.domain).tobytes())
                digest.update(np.ascontiguousarray(rows.label).tobytes())
        return digest.hexdigest()
