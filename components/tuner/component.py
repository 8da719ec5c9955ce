"""ModelTuner: searches settings for one model and hands the best to its Trainers."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

from tfx import types
from tfx.dsl.components.base import base_component, base_executor, executor_spec
from tfx.types import artifact_utils, component_spec, standard_artifacts

from components import progress
from components.dataset.change import changed
from components.dataset.declaration import Declaration
from components.trainer import row_store
from components.trainer.inputs import TUNED_SETTINGS, split_validation
from components.transform.row_layout import read_layout
from components.tuner.search import Judged, best_of, search
from components.tuner.trial import TrialRunner

CHOSEN = "best_hyperparameters.txt"


class ModelTunerSpec(component_spec.ComponentSpec):
    """Inputs, output and parameters of `ModelTuner`."""

    PARAMETERS = {  # noqa: RUF012
        "declaration": component_spec.ExecutionParameter(type=str),
        "trials": component_spec.ExecutionParameter(type=int),
        "work_dir": component_spec.ExecutionParameter(type=str),
        "code": component_spec.ExecutionParameter(type=str),
    }
    INPUTS = {  # noqa: RUF012
        "rows": component_spec.ChannelParameter(type=standard_artifacts.Examples),
        "transform_graph": component_spec.ChannelParameter(type=standard_artifacts.TransformGraph),
    }
    OUTPUTS = {  # noqa: RUF012
        "best_hyperparameters": component_spec.ChannelParameter(type=standard_artifacts.HyperParameters),
    }


class ModelTunerExecutor(base_executor.BaseExecutor):
    """Trains once per trial on the rows before the validation days; `search.best_of` chooses."""

    def Do(  # noqa: N802 - the name is TFX's
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Searches, and writes the chosen settings with all trials as JSON."""
        self._log_startup(input_dict, output_dict, exec_properties)
        declaration = Declaration.from_json(exec_properties["declaration"])
        graph = artifact_utils.get_single_uri(input_dict["transform_graph"])
        layout = read_layout(graph, declaration)
        rows = row_store.open_rows(
            Path(artifact_utils.get_split_uri(input_dict["rows"], "train")), layout
        ).of_known_domains()
        learned_from, validation = split_validation(rows, declaration.split.validation_days)
        wanted = int(exec_properties["trials"])
        done = 0

        journal = _journal(exec_properties, graph)
        runner = TrialRunner(layout, learned_from, validation, journal and journal.with_suffix(".npy"))

        def evaluate(settings: list[str]) -> Judged | None:
            nonlocal done
            evaluated = runner.run(changed(declaration, settings), declared=not settings)
            done += 1
            last = "diverged" if evaluated is None else f"{evaluated.value:.4f}"
            progress.report(progress.Progress("tuning", done, wanted, "trials", f"last {last}"))
            return evaluated

        trials = search(declaration, wanted, evaluate, journal)
        best = best_of(trials)
        document = {
            TUNED_SETTINGS: best.settings,
            "validation": best.value,
            "trials": [dataclasses.asdict(trial) for trial in trials],
        }
        folder = Path(artifact_utils.get_single_uri(output_dict["best_hyperparameters"]))
        (folder / CHOSEN).write_text(json.dumps(document, indent=1))


def _journal(exec_properties: dict[str, Any], graph: str) -> Path | None:
    """Named by all that decides the search but its length: a longer search goes on with a shorter one's."""
    if not exec_properties["work_dir"]:
        return None
    text = "\n".join([exec_properties["declaration"], exec_properties["code"], graph])
    digest = hashlib.blake2b(text.encode(), digest_size=12).hexdigest()
    return Path(exec_properties["work_dir"]) / f"tuner-{digest}.log"


class ModelTuner(base_component.BaseComponent):
    """A search of settings for one model.

    Args:
      rows: decoded rows (`components.decoded_rows`).
      transform_graph: the graph that made them.
      declaration: names the model; as JSON.
      trials: how many settings are tried, at least 1.
      work_dir: where the search's journal outlives a kill; empty for none.
      code: a hash of the code, so that the cache sees code edits.

    Outputs:
      best_hyperparameters: for a Trainer; `{"settings": [...], "validation", "trials": [...]}`.
    """

    SPEC_CLASS = ModelTunerSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(ModelTunerExecutor)

    def __init__(
        self,
        *,
        rows: types.BaseChannel,
        transform_graph: types.BaseChannel,
        declaration: str,
        trials: int,
        work_dir: str,
        code: str,
    ) -> None:
        super().__init__(
            ModelTunerSpec(
                rows=rows,
                transform_graph=transform_graph,
                declaration=declaration,
                trials=trials,
                work_dir=work_dir,
                code=code,
                best_hyperparameters=types.Channel(type=standard_artifacts.HyperParameters),
            )
        )
