"""The champion of a comparison, among the models that passed every gate: see `components.champion.choice`."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from tfx import types
from tfx.dsl.components.common.resolver import ResolverStrategy

from components.champion.choice import Passed, choose
from components.trainer.compared import read_facts

MODEL = "model"
BLESSING = "model_blessing"
MODEL_RUN = "model_run"


class ChampionStrategy(ResolverStrategy):
    """Resolves `model`, `model_blessing` and `model_run` to those of the champion.

    It is what `choose` says of the validation average AUCs. Where no domain counts on the validation days, what stopped
    the trainings judges all models alike (`models.metrics.Scores.criterion`).
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
        passed: dict[str, list[Passed]] = defaultdict(list)
        models: dict[tuple[str, int], types.Artifact] = {}
        for model in input_dict.get(MODEL, []):
            if model.id in blessings:
                facts = read_facts(runs[_training(model)].uri)
                name, seed = facts["compared"], facts["seed"]
                passed[name].append(Passed(seed, facts["validation"], facts["seconds"]))
                models[name, seed] = model
        found = choose(passed)
        if found is None:
            return {MODEL: [], BLESSING: [], MODEL_RUN: []}
        champion = models[found.name, found.seed]
        return {
            MODEL: [champion],
            BLESSING: [blessings[champion.id]],
            MODEL_RUN: [runs[_training(champion)]],
        }


def _training(artifact: types.Artifact) -> tuple[str, str]:
    """What names an execution in an artifact's place: `<component>/<key>/<execution>`."""
    path = Path(artifact.uri)
    return path.parent.parent.name, path.name
