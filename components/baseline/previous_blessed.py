"""The baseline of an evaluation: the last blessed model other than the one being judged.

TFX's own strategy takes the latest blessed model. Run again without a change, that is the very model of the
previous run: the Evaluator would see a new baseline and compare a model with itself instead of being cached.
"""

from __future__ import annotations

from tfx import types
from tfx.dsl.components.common.resolver import ResolverStrategy

CURRENT = "current_model"
MODEL = "model"
BLESSING = "model_blessing"


class PreviousBlessedModelStrategy(ResolverStrategy):
    """Resolves `model` and `model_blessing` to the latest blessed model before `current_model`."""

    def resolve_artifacts(
        self, store: object, input_dict: dict[str, list[types.Artifact]]
    ) -> dict[str, list[types.Artifact]]:
        """Picks the baseline.

        Args:
          store: the metadata store; not asked.
          input_dict: all models, all blessings, and the model being judged.

        Returns:
          One model and its blessing, or empty lists where no earlier model was blessed.
        """
        current = {artifact.id for artifact in input_dict.get(CURRENT, [])}
        blessings = {
            blessing.get_int_custom_property("current_model_id"): blessing
            for blessing in input_dict.get(BLESSING, [])
            if blessing.get_int_custom_property("blessed") == 1
        }
        earlier = [
            model
            for model in input_dict.get(MODEL, [])
            if model.id in blessings and model.id < min(current, default=model.id + 1)
        ]
        if not earlier:
            return {CURRENT: [], MODEL: [], BLESSING: []}
        baseline = max(earlier, key=lambda model: model.id)
        return {CURRENT: input_dict[CURRENT], MODEL: [baseline], BLESSING: [blessings[baseline.id]]}
