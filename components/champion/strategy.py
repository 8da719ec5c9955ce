"""The champion of a comparison: what validates best among the models that passed every gate."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np
from tfx import types
from tfx.dsl.components.common.resolver import ResolverStrategy

from components.trainer.compared import read_facts

MODEL = "model"
BLESSING = "model_blessing"
MODEL_RUN = "model_run"


class ChampionStrategy(ResolverStrategy):
    """Resolves `model`, `model_blessing` and `model_run` to those of the champion.

    The model whose validation average AUC is highest, as the mean over those of its seeds that passed the gates; of its
    seeds the one that validates best. Where no domain counts on the validation days, what stopped the trainings judges
    all models alike (`models.metrics.Scores.criterion`). The evaluation days have no say: they judge the choice.
    """

    def resolve_artifacts(
        self, store: object, input_dict: dict[str, list[types.Artifact]]
    ) -> dict[str, list[types.Artifact]]:
        """Picks the champion.

        Args:
          store: the metadata store; not asked.
          input_dict: the models of all trainers, their blessings and their runs.

        Returns:
          One artifact under each key, or none where no model passed.
        """
        blessings = {
            blessing.get_int_custom_property("current_model_id"): blessing
            for blessing in input_dict.get(BLESSING, [])
            if blessing.get_int_custom_property("blessed") == 1
        }
        runs = {_training(run): run for run in input_dict.get(MODEL_RUN, [])}
        candidates: dict[str, list[tuple[float, types.Artifact]]] = defaultdict(list)
        for model in input_dict.get(MODEL, []):
            if model.id in blessings:
                facts = read_facts(runs[_training(model)].uri)
                value = facts["validation"]
                candidates[facts["compared"]].append((float("-inf") if value is None else value, model))
        if not candidates:
            return {MODEL: [], BLESSING: [], MODEL_RUN: []}
        best = max(candidates.values(), key=lambda seeds: float(np.mean([value for value, _ in seeds])))
        _, champion = max(best, key=lambda seed: seed[0])
        return {
            MODEL: [champion],
            BLESSING: [blessings[champion.id]],
            MODEL_RUN: [runs[_training(champion)]],
        }


def _training(artifact: types.Artifact) -> tuple[str, str]:
    """What names an execution in an artifact's place: `<component>/<key>/<execution>`."""
    path = Path(artifact.uri)
    return path.parent.parent.name, path.name
