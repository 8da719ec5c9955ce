"""What a training starts from: the declaration with tuned settings, the layout, the rows to learn from."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_transform as tft
from tfx.components.trainer.fn_args_utils import FnArgs

from components import progress
from components.committed import committed_of
from components.dataset.change import changed
from components.dataset.declaration import Declaration
from components.errors import InputError
from components.trainer import row_store
from components.transform.row_layout import read_layout
from models.features import FeatureLayout
from models.replicas import ALONE, Replicas

TUNED_SETTINGS = "settings"
CONTINUED = ("continues", "warm_start", "replay", "replay_share", "learning_rate_scale", "calibrate")


@dataclasses.dataclass(frozen=True)
class TrainingInputs:
    """All that a run function trains with.

    Attributes:
      declaration: with the tuned settings, where there are some.
      layout: what the packed columns hold.
      rows: of the training split, whole.
      train, validation: of these, the rows before the validation days, and the others.
      transform_output: the Transform graph.
    """

    declaration: Declaration
    layout: FeatureLayout
    rows: row_store.RowStore
    train: row_store.RowStore
    validation: row_store.RowStore
    transform_output: tft.TFTransformOutput


def read_inputs(
    fn_args: FnArgs, work: Path, one_day: bool = False, replicas: Replicas = ALONE
) -> TrainingInputs:
    """Reads what the Trainer component was given.

    Args:
      fn_args: the component's; `custom_config["declaration"]` is JSON, `hyperparameters` what the Tuner chose.
      work: where rows are decoded to, unless they come decoded; the same for all processes that train together.
      one_day: whether the rows may be of a single day, of which every tenth row then validates.
      replicas: who decodes, each process its share of the files.

    Raises:
      InputError: there is nothing to train on, or nothing to validate with.
    """
    tuned = (fn_args.hyperparameters or {}).get(TUNED_SETTINGS, [])
    declaration = changed(Declaration.from_json(fn_args.custom_config["declaration"]), tuned)
    layout = read_layout(fn_args.transform_graph_path, declaration)
    rows = read_rows(fn_args.train_files, layout, work / "rows", replicas=replicas)
    if one_day and len(np.unique(rows.day)) == 1:
        tenth = np.arange(len(rows)) % 10 == 0
        train, validation = rows.where(~tenth), rows.where(tenth)
    else:
        train, validation = split_validation(rows, declaration.split.validation_days)
    return TrainingInputs(
        declaration, layout, rows, train, validation, tft.TFTransformOutput(fn_args.transform_graph_path)
    )


def read_rows(
    patterns: list[str],
    layout: FeatureLayout,
    work: Path,
    step: str = "reading rows",
    every: int = 1,
    replicas: Replicas = ALONE,
) -> row_store.RowStore:
    """The rows of a split: columns where they come decoded, else one of `every` TFRecords, decoded into `work`.

    Those of domains that are none of the layout's (forgotten, or only in the evaluation) are left out.
    """

    def report(done: int) -> None:
        progress.report(progress.Progress(step, done))

    folder = Path(patterns[0]).parent
    if row_store.is_decoded(folder):
        rows = row_store.open_rows(folder, layout)
    elif replicas.workers > 1:
        rows = row_store.decode_together(
            committed_of(patterns), layout, work, replicas.worker, replicas.workers, replicas.barrier, report
        )
    else:
        rows = row_store.decode(committed_of(patterns), layout, work, report, every)
    return rows.of_known_domains()


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


def training_key(fn_args: FnArgs) -> str:
    """Names a training by all that decides its outcome, and in a comparison by its variant.

    Variants that come to the same settings train at the same time, each in a folder of its own.
    """
    config: dict[str, Any] = fn_args.custom_config
    tuned = json.dumps(fn_args.hyperparameters, sort_keys=True)
    variant = config.get("compared") or ""
    continued = json.dumps([config.get(key) for key in CONTINUED], sort_keys=True)
    return "\n".join(
        [config["declaration"], config["code"], fn_args.transform_graph_path, tuned, variant, continued]
    )
