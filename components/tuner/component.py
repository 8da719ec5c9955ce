"""ModelTuner: searches settings for one model and hands the best to its Trainers."""

import dataclasses
import hashlib
import json
from pathlib import Path

from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types import artifact_utils, standard_artifacts

from components import progress
from components.dataset.change import changed
from components.dataset.declaration import Declaration
from components.trainer import row_store
from components.trainer.inputs import TUNED_SETTINGS, split_validation
from components.transform.row_layout import read_layout
from components.tuner.search import Reached, best_of, search
from components.tuner.trial import TrialRunner

CHOSEN = "best_hyperparameters.txt"


@component
def ModelTuner(  # noqa: N802 - the component's name
    rows: InputArtifact[standard_artifacts.Examples],
    transform_graph: InputArtifact[standard_artifacts.TransformGraph],
    best_hyperparameters: OutputArtifact[standard_artifacts.HyperParameters],
    declaration: Parameter[str],
    trials: Parameter[int],
    work_dir: Parameter[str],
    code: Parameter[str],
) -> None:
    """A search of settings for one model.

    Trains once per trial on the rows before the validation days; `search.best_of` chooses.

    Args:
      rows: decoded rows (`components.decoded_rows`).
      transform_graph: the graph that made them.
      best_hyperparameters: gets, for a Trainer, `{"settings": [...], "validation", "trials": [...]}`.
      declaration: names the model; as JSON.
      trials: how many settings are tried, at least 1.
      work_dir: where the search's journal outlives a kill; empty for none.
      code: a hash of the code, so that the cache sees code edits.
    """
    declared = Declaration.from_json(declaration)
    layout = read_layout(transform_graph.uri, declared)
    decoded = row_store.open_rows(
        Path(artifact_utils.get_split_uri([rows], "train")), layout
    ).of_known_domains()
    learned_from, validation = split_validation(decoded, declared.split.validation_days)
    # Named by all that decides the search but its length: a longer search goes on with a shorter one's.
    journal = _journal(work_dir, declaration, code, transform_graph.uri) if work_dir else None
    runner = TrialRunner(layout, learned_from, validation, journal and journal.with_suffix(".npy"))
    done = 0

    def evaluate(settings: list[str]) -> Reached | None:
        nonlocal done
        evaluated = runner.run(changed(declared, settings), declared=not settings)
        done += 1
        last = "diverged" if evaluated is None else f"{evaluated.value:.4f}"
        progress.report(progress.Progress("tuning", done, trials, "trials", f"last {last}"))
        return evaluated

    tried = search(declared, trials, evaluate, journal)
    best = best_of(tried)
    document = {
        TUNED_SETTINGS: best.settings,
        "validation": best.value,
        "trials": [dataclasses.asdict(trial) for trial in tried],
    }
    (Path(best_hyperparameters.uri) / CHOSEN).write_text(json.dumps(document, indent=1))


def _journal(folder: str, *decides: str) -> Path:
    digest = hashlib.blake2b("\n".join(decides).encode(), digest_size=12).hexdigest()
    return Path(folder) / f"tuner-{digest}.log"
