"""What a training leaves behind: its facts, and in a comparison the scores of the evaluation rows."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from tfx.components.trainer.fn_args_utils import FnArgs

from components.trainer import row_store
from models.arrays import Array
from models.features import FeatureLayout
from models.rows import RowSource

TRAINING_FACTS = "training.json"
SCORES = "scores.npy"


def judge(fn_args: FnArgs, layout: FeatureLayout, score: Callable[[RowSource], Array]) -> None:
    """Writes the click probabilities of the evaluation rows, float32 (rows,), in the order of those rows.

    Args:
      fn_args: the Trainer's; `eval_files` lie in a folder of `components.decoded_rows`.
      layout: what the packed columns hold.
      score: from rows to probabilities (rows,).
    """
    rows = row_store.open_rows(Path(fn_args.eval_files[0]).parent, layout)
    np.save(Path(fn_args.model_run_dir) / SCORES, score(rows).astype(np.float32))


def sigmoid(logit: Array) -> Array:
    """`1 / (1 + exp(-logit))`, without overflow."""
    return np.exp(-np.logaddexp(0, -np.asarray(logit, np.float64)))


def write_facts(fn_args: FnArgs, facts: dict[str, Any]) -> None:
    """Writes `training.json` into the run's folder, with the training's name and seed in a comparison."""
    config = fn_args.custom_config
    named = {"compared": config.get("compared"), "seed": config.get("seed")}
    path = Path(fn_args.model_run_dir) / TRAINING_FACTS
    path.write_text(json.dumps({**facts, **named, "tuned": fn_args.hyperparameters}, indent=1))


def read_facts(model_run: str | Path) -> dict[str, Any]:
    """The facts of a training, from its `model_run` artifact's folder."""
    facts: dict[str, Any] = json.loads((Path(model_run) / TRAINING_FACTS).read_text())
    return facts
