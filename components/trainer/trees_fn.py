"""The Trainer's entry point for gradient-boosted trees: the same rows in, the same signatures out."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, cast

import numpy as np
import tensorflow as tf
import tensorflow_transform as tft
from tfx.components.trainer.fn_args_utils import FnArgs

from components import progress
from components.dataset.declaration import Declaration
from components.trainer import export
from components.trainer.compared import judge, write_facts
from components.trainer.cost import TrainingCost
from components.trainer.inputs import read_inputs
from components.trainer.training import work_dir
from models.arrays import Array
from models.forest import ServedTrees
from models.gbdt import GradientBoostedTrees, fit
from models.rows import RowSource

_ROWS_AT_ONCE = 65536
_TREES_BETWEEN_REPORTS = 10


class ServedForest(export.ServedModel):
    """Trees that take raw features.

    Args:
      trees: trained.
      transform_output: the Transform graph that made their training rows.
      declaration: the data set.
    """

    def __init__(
        self, trees: ServedTrees, transform_output: tft.TFTransformOutput, declaration: Declaration
    ) -> None:
        self._trees = trees
        super().__init__(cast(Any, trees), transform_output, trees.layout, declaration)

    def _score(self, rows: dict[str, tf.Tensor], domain: tf.Tensor) -> tf.Tensor:
        return self._trees.probability(rows, domain)


def _report(trees: int, most: int, loss: float | None, again: bool) -> None:
    if trees == 1 or trees % _TREES_BETWEEN_REPORTS == 0:
        step = "growing trees anew on all rows" if again else "growing trees"
        note = "" if loss is None else f"validation log loss {loss:.4f}"
        progress.report(progress.Progress(step, trees, most, "trees", note))


def run_fn(fn_args: FnArgs) -> None:
    """Trains trees as declared and exports them; see `components.trainer.run_fn.run_fn`.

    Raises:
      InputError: there is nothing to train on, or nothing to validate with.
    """
    config = fn_args.custom_config
    with work_dir(config.get("work_dir"), fn_args) as work:
        inputs = read_inputs(fn_args, work)
        declaration = inputs.declaration
        begun = time.perf_counter()
        with TrainingCost() as cost:
            trees = fit(
                inputs.train,
                inputs.validation,
                inputs.layout,
                declaration.model,
                declaration.training,
                seed=declaration.seed,
                grown=_report,
            )
        seconds = time.perf_counter() - begun
        served = ServedForest(ServedTrees(trees), inputs.transform_output, declaration)
        export.save(served, Path(fn_args.serving_model_dir))
        if config.get("compared"):
            judge(fn_args, inputs.layout, lambda rows: predict(trees, rows))
        facts = {
            "model": declaration.model.name,
            "parameters": trees.parameters,
            "train_rows": len(inputs.train),
            "validation_rows": len(inputs.validation),
            "validation": trees.validation,
            "validation_average_auc": trees.validation_average_auc,
            "seconds": seconds,
            **cost.facts,
            # All trees are grown on all rows: there is no epoch.
            "rows_per_second": len(inputs.train) / seconds,
            "result": {"history": [], "best_epoch": trees.rounds, "resumed": False},
            "integration": None,
        }
        write_facts(fn_args, facts)


def predict(trees: GradientBoostedTrees, rows: RowSource) -> Array:
    """Click probabilities (rows,) of any number of rows."""
    domain = np.asarray(rows.domain)
    pieces = [
        np.arange(start, min(start + _ROWS_AT_ONCE, len(domain)))
        for start in range(0, len(domain), _ROWS_AT_ONCE)
    ]
    return np.concatenate([np.zeros(0), *(trees.predict(rows.gather(at), domain[at]) for at in pieces)])
