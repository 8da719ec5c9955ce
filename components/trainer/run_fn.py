"""The Trainer's entry point: transformed rows in, an exported model out."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_transform as tft
from tfx.components.trainer.fn_args_utils import FnArgs

from components import progress
from components.dataset.declaration import Declaration
from components.errors import GateError, InputError
from components.study.document import Study
from components.study.study import STUDY, Subject, study
from components.trainer import export, multi_worker, row_store
from components.trainer.integration import integration_weights
from components.transform.layout import read_layout, read_summary
from models.features import FeatureLayout
from models.registry import build_model
from models.replicas import ALONE, Replicas, mirrored
from models.training import DivergedError, EpochRecord, TrainingResult, train

TRAINING_FACTS = "training.json"


def run_fn(fn_args: FnArgs) -> None:
    """Trains the declared model and exports it.

    `fn_args.custom_config` holds `declaration` (JSON), `code` (a hash; only there for the cache) and `work_dir`:
    a folder that outlives a kill, in which a restarted Trainer finds its checkpoints; `None` for a temporary one.

    `training.strategy` says who trains: this process on one device, on all GPUs of the machine, or together with
    others.

    Raises:
      InputError: there is nothing to train on, or nothing to validate with; the other workers are not told well.
      GateError: the training diverged.
    """
    declaration = Declaration.from_json(fn_args.custom_config["declaration"])
    if declaration.training.strategy == "multi_worker":
        multi_worker.train_as_chief(fn_args)
    else:
        train_and_export(fn_args, mirrored() if declaration.training.strategy == "mirrored" else ALONE)


def train_and_export(fn_args: FnArgs, replicas: Replicas) -> None:
    """Trains the declared model together with the other replicas; the chief exports it.

    Raises:
      InputError: there is nothing to train on, or nothing to validate with.
      GateError: the training diverged.
    """
    config = fn_args.custom_config
    declaration = Declaration.from_json(config["declaration"])
    with (
        _work_dir(config.get("work_dir"), fn_args, replicas.is_chief) as work,
        tempfile.TemporaryDirectory() as own,
    ):
        transform_output = tft.TFTransformOutput(fn_args.transform_graph_path)
        layout = read_layout(fn_args.transform_graph_path, declaration)
        files = [file for pattern in fn_args.train_files for file in tf.io.gfile.glob(pattern)]
        rows = row_store.decode(
            files,
            layout,
            (work if replicas.is_chief else Path(own)) / "rows",
            lambda done: progress.report(progress.Progress("reading rows", done)),
        )
        train_rows, validation_rows = split_validation(rows, declaration.split.validation_days)
        with replicas.scope():
            model = build_model(layout, declaration.model, seed=declaration.seed)
        try:
            result = train(
                model,
                train_rows,
                validation_rows,
                declaration.training.model_copy(update={"seed": declaration.seed}),
                checkpoint_dir=work / "checkpoints",
                log_dir=Path(fn_args.model_run_dir) if replicas.is_chief else None,
                progress=_Reporter(declaration.training.epochs, len(train_rows)),
                replicas=replicas,
            )
        except DivergedError as error:
            raise GateError(str(error)) from error
        if not replicas.is_chief:
            return
        if replicas.count > 1:
            # What is exported knows nothing of the devices that it was trained on.
            trained = model.get_weights()
            model = build_model(layout, declaration.model, seed=declaration.seed)
            model.set_weights(trained)
        served = export.ServedModel(model, transform_output, layout, declaration)
        export.save(served, Path(fn_args.serving_model_dir))
        facts = _facts(declaration, model, result, train_rows, validation_rows)
        facts["replicas"] = replicas.count
        facts["integration"] = integration_weights(model, validation_rows, layout)
        if declaration.report.study:
            found = _study(fn_args, declaration, served, layout, rows, work / "evaluation rows")
            (Path(fn_args.model_run_dir) / STUDY).write_text(found.model_dump_json(indent=1))
        (Path(fn_args.model_run_dir) / TRAINING_FACTS).write_text(json.dumps(facts, indent=1))


def split_validation(
    rows: row_store.RowStore, validation_days: int
) -> tuple[row_store.RowStore, row_store.RowStore]:
    """Cuts the last days of the training rows off for validation.

    Args:
      rows: the training split.
      validation_days: how many of its last calendar days validate.

    Raises:
      InputError: one of the two would be empty.
    """
    day = rows.day
    first = int(day.max()) - validation_days + 1
    validates = day >= first
    if validates.all() or not validates.any():
        raise InputError(
            f"split.validation_days is {validation_days}, but the training rows cover {len(np.unique(day))} day(s): "
            "at least one earlier day must be left to train on. Lower split.validation_days or split.eval_days, "
            "or give more days of logs"
        )
    return rows.where(~validates), rows.where(validates)


def _study(
    fn_args: FnArgs,
    declaration: Declaration,
    served: export.ServedModel,
    layout: FeatureLayout,
    train_rows: row_store.RowStore,
    directory: Path,
) -> Study:
    """What the trained model does on the evaluation rows; nothing of it has a say in the training."""
    files = [file for pattern in fn_args.eval_files for file in tf.io.gfile.glob(pattern)]
    eval_rows = row_store.decode(files, layout, directory)

    def score(rows: Mapping[str, np.ndarray], domain: np.ndarray) -> np.ndarray:
        scores = served.predict_transformed({k: tf.constant(v) for k, v in rows.items()}, tf.constant(domain))
        return np.asarray(scores)

    vocabularies = read_summary(fn_args.transform_graph_path)["vocabularies"]
    return study(Subject(score, layout, declaration, vocabularies), train_rows, eval_rows)


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


def _facts(
    declaration: Declaration,
    model: Any,
    result: TrainingResult,
    train_rows: row_store.RowStore,
    validation_rows: row_store.RowStore,
) -> dict[str, Any]:
    return {
        "model": declaration.model.name,
        "parameters": int(sum(np.prod(variable.shape) for variable in model.trainable_variables)),
        "train_rows": len(train_rows),
        "validation_rows": len(validation_rows),
        "result": dataclasses.asdict(result),
    }


class _work_dir:  # noqa: N801 - a context manager, used as a function
    """A folder for rows and checkpoints; the chief removes it once training has succeeded, a killed one leaves it."""

    def __init__(self, base: str | None, fn_args: FnArgs, remove: bool) -> None:
        self._remove = remove
        self._path = Path(tempfile.mkdtemp()) if base is None else Path(base) / _key(fn_args)

    def __enter__(self) -> Path:
        self._path.mkdir(parents=True, exist_ok=True)
        return self._path

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None and self._remove:
            shutil.rmtree(self._path, ignore_errors=True)


def _key(fn_args: FnArgs) -> str:
    """Names a training by all that decides its outcome, so that only the same training is resumed."""
    parts = [
        fn_args.custom_config["declaration"],
        fn_args.custom_config["code"],
        fn_args.transform_graph_path,
    ]
    return "trainer-" + hashlib.blake2b("\n".join(parts).encode(), digest_size=12).hexdigest()
