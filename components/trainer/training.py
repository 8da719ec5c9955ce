"""What a Trainer does: transformed rows in, an exported model out."""

from __future__ import annotations

import dataclasses
import hashlib
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tfx.components.trainer.fn_args_utils import FnArgs

from components import progress
from components.committed import committed_of
from components.errors import GateError, InputError
from components.study.document import Study
from components.study.study import STUDY, Subject, study
from components.trainer import export, row_store
from components.trainer.compared import judge, sigmoid, write_facts
from components.trainer.cost import TrainingCost
from components.trainer.inputs import TrainingInputs, read_inputs, read_rows, training_key
from components.trainer.integration import integration_weights
from components.trainer.warm_start import Continuation, Continued
from components.transform.row_layout import read_summary
from components.transform.serving_graph import keep_newest
from models.arrays import Array
from models.metrics import rarer_of
from models.prediction import Predictor
from models.registry import build_model
from models.replicas import Replicas
from models.rows import RowSource
from models.training import DivergedError, EpochRecord, TrainingResult, train


def train_and_export(fn_args: FnArgs, replicas: Replicas) -> None:
    """Trains the declared model together with the other replicas; the chief exports it.

    Raises:
      InputError: there is nothing to train on, or nothing to validate with.
      GateError: the training diverged.
    """
    config = fn_args.custom_config
    with work_dir(config.get("work_dir"), fn_args, replicas.is_chief) as work:
        asked = Continuation.of(config)
        inputs = read_inputs(fn_args, work, asked is not None, replicas)
        declaration = inputs.declaration
        continued = None
        settings = declaration.training
        train_rows: RowSource = inputs.train
        validation_rows: RowSource | None = inputs.validation
        if asked is not None:
            if replicas.count > 1:
                raise InputError(
                    "training.strategy: a day's training has one process; only dfei run has more"
                )
            continued = Continued(asked, inputs, fn_args.transform_graph_path, work)
            settings = continued.settings
            train_rows, validation_rows = continued.train_rows, continued.validation_rows
        rows = len(train_rows.domain)
        with replicas.scope():
            model = build_model(inputs.layout, declaration.model, seed=declaration.seed)
        try:
            with TrainingCost() as cost:
                result = train(
                    model,
                    train_rows,
                    validation_rows,
                    settings,
                    seed=declaration.seed,
                    checkpoint_dir=work / "checkpoints",
                    log_dir=Path(fn_args.model_run_dir) if replicas.is_chief else None,
                    progress=_Reporter(
                        int(settings.for_rows(rows, rarer_of(np.asarray(train_rows.label))).epochs), rows
                    ),
                    replicas=replicas,
                    before=continued.before if continued else None,
                    after=continued.after if continued else None,
                )
        except DivergedError as error:
            raise GateError(str(error)) from error
        if not replicas.is_chief:
            return
        if replicas.count > 1:
            # What is exported knows nothing of the devices that it was trained on.
            trained = model.get_weights()
            model = build_model(inputs.layout, declaration.model, seed=declaration.seed)
            model.set_weights(trained)
        calibration = continued.calibration if continued else None
        served = export.ServedModel(model, inputs.transform_output, inputs.layout, declaration, calibration)
        if fn_args.custom_config.get("newest_state") or declaration.moving_average.eval_state == "frozen":
            # Nobody asks it as of a time of the past.
            keep_newest(served.transform)
        judged_only = asked is not None and not asked.last
        save = export.save_for_evaluation if judged_only else export.save
        save(served, Path(fn_args.serving_model_dir))
        if continued is not None:
            continued.write(Path(fn_args.model_run_dir))
        facts = _facts(model, result, inputs)
        facts["train_rows"] = rows
        facts["replicas"] = replicas.count
        facts |= cost.facts
        if asked is None:
            facts["integration"] = integration_weights(served, inputs.validation, inputs.layout)
        if declaration.report.study:
            found = _study(fn_args, inputs, served, work)
            if found is not None:
                (Path(fn_args.model_run_dir) / STUDY).write_text(found.model_dump_json(indent=1))
        if config.get("compared"):
            predictor = Predictor(model)
            judge(fn_args, inputs.layout, lambda rows: sigmoid(predictor.predict(rows)))
        write_facts(fn_args, facts)


def _study(fn_args: FnArgs, inputs: TrainingInputs, served: export.ServedModel, work: Path) -> Study | None:
    """What the trained model does on the evaluation rows; nothing of it has a say in the training.

    None where all of them are of domains that it does not know.
    """
    every = _thinning(fn_args, len(inputs.rows), inputs.declaration.report.rows)
    eval_rows = read_rows(
        fn_args.eval_files, inputs.layout, work / "evaluation rows", "reading rows to judge", every
    )
    if not len(eval_rows):
        return None

    def score(rows: Mapping[str, Array], domain: Array) -> Array:
        scores = served.predict_transformed({k: tf.constant(v) for k, v in rows.items()}, tf.constant(domain))
        return np.asarray(scores)

    vocabularies = read_summary(fn_args.transform_graph_path)["vocabularies"]
    subject = Subject(score, inputs.layout, inputs.declaration, vocabularies, inputs.train, inputs.validation)
    return study(subject, inputs.rows, eval_rows, every)


def _thinning(fn_args: FnArgs, train_rows: int, wanted: int) -> int:
    """Of how many evaluation rows one is enough, so that twice those `wanted` are left, by the files' sizes."""
    if row_store.is_decoded(Path(fn_args.eval_files[0]).parent):
        return 1
    train, evaluated = (
        sum(tf.io.gfile.stat(file).length for file in committed_of(patterns))
        for patterns in (fn_args.train_files, fn_args.eval_files)
    )
    return max(1, int(train_rows * evaluated / max(1, train) // (2 * wanted)))


class _Reporter:
    """Hands the training loop's progress on to whoever watches the run.

    Args:
      epochs: most epochs of the first training.
      rows: that it has; a second training, on the validation rows too, has more.
    """

    def __init__(self, epochs: int, rows: int) -> None:
        self._epochs, self._rows = epochs, rows
        self._finished = {"fit": 0, "refit": 0}
        self._best = epochs
        self._validated = ""

    def on_step(self, rows_done: int, rows_total: int, loss: float) -> None:
        """Some steps are done."""
        again = rows_total > self._rows
        done = self._finished["refit" if again else "fit"]
        epochs = self._best if again else self._epochs
        name, most = ("training anew on all rows", "") if again else ("training", "at most ")
        progress.report(
            progress.Progress(
                f"{name}, epoch {done + 1} of {most}{epochs}",
                done * rows_total + rows_done,
                epochs * rows_total,
                "rows",
                f"loss {loss:.4f}{self._validated}",
            )
        )

    def on_epoch(self, record: EpochRecord) -> None:
        """An epoch is done."""
        self._finished[record.phase] = record.epoch
        if record.best:
            self._best = record.epoch
        if record.average_auc is not None:
            self._validated = f", validation average AUC {record.average_auc:.4f}"


def _facts(model: Any, result: TrainingResult, inputs: TrainingInputs) -> dict[str, Any]:
    return {
        "model": inputs.declaration.model.name,
        "parameters": int(sum(np.prod(variable.shape) for variable in model.trainable_variables)),
        "train_rows": len(inputs.train),
        "validation_rows": len(inputs.validation),
        "validation": result.best.criterion,
        "validation_average_auc": result.best.average_auc,
        "seconds": sum(record.seconds for record in result.history),
        "rows_per_second": float(np.median([record.rows_per_second for record in result.history])),
        "result": dataclasses.asdict(result),
    }


class work_dir:  # noqa: N801 - a context manager, used as a function
    """A folder for rows and checkpoints; removed once training has succeeded, kept when it was killed.

    With it go those that trainings on another Transform's rows left when they were killed: each holds a copy of the
    rows, and once the data has changed nobody comes back for it. Those on the same rows stay, be they killed or at
    work: a root has one run at a time, and a run one Transform.

    Args:
      base: where it is made, named by all that decides the training's outcome, so that only the same training is
        resumed; `None` for a temporary folder.
      fn_args: the Trainer's.
      remove: whether this process removes it: the chief does.
    """

    def __init__(self, base: str | None, fn_args: FnArgs, remove: bool = True) -> None:
        self._remove = remove
        self._base = None if base is None else Path(base)
        self._same_rows = f"trainer-{_digest(fn_args.transform_graph_path)}-"
        self._path = (
            Path(tempfile.mkdtemp())
            if self._base is None
            else self._base / (self._same_rows + _digest(training_key(fn_args)))
        )

    def __enter__(self) -> Path:
        self._path.mkdir(parents=True, exist_ok=True)
        return self._path

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is not None or not self._remove:
            return
        shutil.rmtree(self._path, ignore_errors=True)
        for other in self._base.glob("trainer-*") if self._base is not None else ():
            if not other.name.startswith(self._same_rows):
                shutil.rmtree(other, ignore_errors=True)


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=12).hexdigest()
