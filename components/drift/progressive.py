"""ProgressiveGate: refuses a day that the model in service ranks much worse than the last good days.

Labels that no longer belong to their rows (shuffled, joined to the wrong ids) leave every count and every distribution
as it was; only a model that knew better tells.
"""

import json
from pathlib import Path

from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types import standard_artifacts
from tfx.types.experimental import simple_artifacts

from components import progress
from components.drift.ranking import ranks_worse
from components.errors import GateError
from components.evaluator.reading import read_evaluation

VERDICT = "verdict.txt"


@component
def ProgressiveGate(  # noqa: N802 - the component's name
    evaluation: InputArtifact[standard_artifacts.ModelEvaluation],
    verdict: OutputArtifact[simple_artifacts.File],
    day: Parameter[str],
    baseline: Parameter[str],
    drop: Parameter[float],
    accepted: Parameter[int],
    code: Parameter[str],
) -> None:
    """Refuses a day that the model in service ranks much worse than the last good days (`daily.gates.auc_drop`).

    Args:
      evaluation: of the model in service on the day.
      verdict: gets `verdict.txt`, in words.
      day: ISO.
      baseline: URIs of its evaluations on the last good days, as JSON.
      drop: see `ranks_worse`.
      accepted: 1: what moved is true, it is said and does not refuse.
      code: a hash of the code, so that the cache sees code edits.

    Raises:
      GateError: with both figures and what to do.
    """
    history = [read_evaluation(uri) for uri in json.loads(baseline)]
    words = ranks_worse(history, read_evaluation(evaluation.uri), drop)
    if words and accepted:
        progress.note(f"{day}: {words} (accepted)")
    elif words:
        raise GateError(f"{words} (daily.gates.auc_drop)")
    folder = Path(verdict.uri)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / VERDICT).write_text(words or "the day is ranked as well as the last good ones")
