"""The baseline of an evaluation: the last blessed model other than the one being evaluated that predicts the same.

TFX's own strategy takes the latest blessed model. Run again without a change, that is the very model of the
previous run: the Evaluator would see a new baseline and compare a model with itself instead of being cached. And it
takes a model of another label (`--set label=...`) of the same data set, against which a change means nothing.
"""

from __future__ import annotations

from tfx import types
from tfx.dsl.components.common.resolver import ResolverStrategy
from tfx.dsl.io import fileio
from tfx.utils import path_utils

from components import progress
from components.baseline.target import read_target

CURRENT = "current_model"
MODEL = "model"
BLESSING = "model_blessing"


class PreviousBlessedModelStrategy(ResolverStrategy):
    """Resolves `model` and `model_blessing` to the latest blessed model before `current_model` with its target."""

    def resolve_artifacts(
        self, store: object, input_dict: dict[str, list[types.Artifact]]
    ) -> dict[str, list[types.Artifact]]:
        """Picks the baseline.

        Args:
          store: the metadata store; not asked.
          input_dict: all models, all blessings, and the model being evaluated.

        Returns:
          One model and its blessing, or empty lists where no earlier model was blessed that predicts the same. Models
          whose files were deleted are passed over, which a note says.
        """
        [current] = input_dict[CURRENT]
        target = read_target(path_utils.serving_model_path(current.uri))
        blessings = {
            blessing.get_int_custom_property("current_model_id"): blessing
            for blessing in input_dict.get(BLESSING, [])
            if blessing.get_int_custom_property("blessed") == 1
        }
        earlier = [
            model for model in input_dict.get(MODEL, []) if model.id in blessings and model.id < current.id
        ]
        deleted = []
        for model in sorted(earlier, key=lambda model: model.id, reverse=True):
            saved = path_utils.serving_model_path(model.uri)
            if not fileio.exists(f"{saved}/saved_model.pb"):
                deleted.append(model.uri)
                continue
            # Models from before there was a record may be of any target: they stay acceptable.
            if read_target(saved) in (target, None):
                if deleted:
                    progress.note(
                        f"the last blessed model is gone ({deleted[0]}): this one is compared with an earlier one that "
                        f"is still there ({model.uri})"
                    )
                return {CURRENT: [current], MODEL: [model], BLESSING: [blessings[model.id]]}
        if deleted:
            progress.note(
                f"no blessed model to compare with is left ({deleted[0]} is gone): as in a first run, only the bounds "
                "of evaluation.thresholds decide, and max_drop does not"
            )
        return {CURRENT: [], MODEL: [], BLESSING: []}
