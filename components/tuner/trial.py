"""One trial: trained before the validation days, evaluated on them, and set against the declaration's own."""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from components.comparison.evaluation_rows import evaluation_rows
from components.comparison.scores import Scored, user_weights
from components.comparison.significance import user_test
from components.dataset.declaration import Declaration
from components.tuner.search import Reached
from models.features import FeatureLayout
from models.registry import TREES
from models.rows import RowSource

_SAMPLES = 200


class TrialRunner:
    """Runs the trials of one search.

    Args:
      layout: what the rows hold.
      learned_from: rows to train on.
      validation: rows to stop by and to judge.
      kept: where the declaration's scores outlive a kill; None for nowhere.
    """

    def __init__(
        self, layout: FeatureLayout, learned_from: RowSource, validation: RowSource, kept: Path | None
    ) -> None:
        self._layout = layout
        self._learned_from = learned_from
        self._validation = validation
        self._kept = kept
        self._declared: npt.NDArray[np.floating[Any]] | None = None
        if kept is not None and kept.exists():
            self._declared = np.load(kept)

    def run(self, declaration: Declaration, declared: bool) -> Reached | None:
        """Trains and judges; None if training diverged.

        Args:
          declaration: with the settings to try.
          declared: whether it is what the others are set against.
        """
        found = _trained(declaration, self._layout, self._learned_from, self._validation)
        if found is None:
            return None
        value, scores = found
        if declared:
            self._keep(scores)
            return Reached(value)
        return Reached(value, self._error(scores, declaration.training.validation_min_rows))

    def _keep(self, scores: npt.NDArray[np.floating[Any]]) -> None:
        self._declared = scores
        if self._kept is not None:
            self._kept.parent.mkdir(parents=True, exist_ok=True)
            partial = self._kept.with_name(f"{self._kept.stem}.part.npy")
            np.save(partial, scores)
            partial.replace(self._kept)

    def _error(self, scores: npt.NDArray[np.floating[Any]], min_rows: int) -> float | None:
        if self._declared is None:
            return None
        rows = evaluation_rows(self._validation, self._layout, min_rows)
        if not rows.counted():
            # What stops training then is the AUC of all rows together, as if they were of one domain.
            rows = dataclasses.replace(
                rows, domain=np.zeros(len(rows.label), int), domains=("all",), min_rows=1
            )
        if not rows.counted():
            return None
        weights = user_weights(rows.user, _SAMPLES, 1)
        return user_test([Scored(rows, scores)], [Scored(rows, self._declared)], weights).standard_error


def _trained(
    declaration: Declaration, layout: FeatureLayout, learned_from: RowSource, validation: RowSource
) -> tuple[float, npt.NDArray[np.floating[Any]]] | None:
    """What stops training (average AUC, or else overall AUC or minus the log loss), and the validation rows' scores."""
    training = declaration.training.model_copy(update={"refit": False})
    if declaration.model.name == TREES:
        from models.gbdt import fit

        trees = fit(learned_from, validation, layout, declaration.model, training, seed=declaration.seed)
        everyone = np.arange(len(validation.domain))
        scores = trees.predict(validation.gather(everyone), np.asarray(validation.domain))
        return None if trees.validation is None else (trees.validation, scores)
    from models.prediction import Predictor
    from models.registry import build_model
    from models.training import DivergedError, train

    model = build_model(layout, declaration.model, seed=declaration.seed)
    try:
        best = train(model, learned_from, validation, training, seed=declaration.seed).best
    except DivergedError as error:
        logging.warning("a trial of %s: %s", declaration.model.name, error)
        return None
    return None if best.criterion is None else (best.criterion, Predictor(model).predict(validation))
