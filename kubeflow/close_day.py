"""The last task of a day on a cluster: keeps what the next day starts from, and writes the ledger's entry."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tfx import types
from tfx.dsl.components.base import base_component, base_executor, executor_spec
from tfx.types import artifact_utils, component_spec, standard_artifacts
from tfx.types.experimental import simple_artifacts

from components.dataset.declaration import Declaration
from components.drift.component import DayFigures
from components.errors import GateError, InputError
from components.pusher.atomic import PUSHED_FACTS, read_pushed
from components.transform.component import BehaviourStateArtifact
from kubeflow.close_run import Sources, decided, runs_of
from kubeflow.compat import ABSENT
from kubeflow.day import Day, read_absence, read_day
from kubeflow.resolve_day import COMMAND
from pipeline.daily.book import Book
from pipeline.daily.history import write_history
from pipeline.daily.ledger import now, write_durably
from pipeline.daily.outcome import Refusal, outcome
from pipeline.events import NodeRun
from pipeline.layout import RunLayout
from pipeline.root_lock import root_lock

# Input of the task -> component and output that it is, in the order in which they refuse.
SOURCES: Sources = {
    "examples": ("DeclaredExampleGen", "examples", standard_artifacts.Examples),
    "anomalies": ("StrictExampleValidator", "anomalies", standard_artifacts.ExampleAnomalies),
    "figures": ("DataGates", "figures", DayFigures),
    "judged": ("Progressive", "evaluation", standard_artifacts.ModelEvaluation),
    "verdict": ("ProgressiveGate", "verdict", simple_artifacts.File),
    "state": ("Transform", "state", BehaviourStateArtifact),
    "transformed_examples": ("Transform", "transformed_examples", standard_artifacts.Examples),
    "transform_graph": ("Transform", "transform_graph", standard_artifacts.TransformGraph),
    "candidate_run": ("Candidate", "model_run", standard_artifacts.ModelRun),
    "evaluation": ("Evaluator", "evaluation", standard_artifacts.ModelEvaluation),
    "model": ("Trainer", "model", standard_artifacts.Model),
    "model_run": ("Trainer", "model_run", standard_artifacts.ModelRun),
    "checks": ("SignatureCheck", "blessing", standard_artifacts.InfraBlessing),
    "pushed": ("AtomicPusher", "pushed_model", standard_artifacts.PushedModel),
}
_KEPT = ("figures", "judged", "state", "transformed_examples", "transform_graph", "model", "model_run")


class CloseDaySpec(component_spec.ComponentSpec):
    """Inputs and output of `CloseDay`."""

    PARAMETERS: dict[str, Any] = {}  # noqa: RUF012
    INPUTS = {  # noqa: RUF012
        "day": component_spec.ChannelParameter(type=simple_artifacts.File),
        **{name: component_spec.ChannelParameter(type=kind) for name, (_, _, kind) in SOURCES.items()},
    }
    OUTPUTS = {"entry": component_spec.ChannelParameter(type=simple_artifacts.File)}  # noqa: RUF012


class CloseDayExecutor(base_executor.BaseExecutor):
    """Writes the day's entry, and ends with exit code 1 where somebody should look."""

    def Do(  # noqa: N802 - the name is TFX's
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Closes the day.

        Raises:
          InputError: another run has written the ledger meanwhile.
          GateError: the day was refused, or one before it is missing; the entry is written.
        """
        self._log_startup(input_dict, output_dict, exec_properties)
        entry = artifact_utils.get_single_instance(output_dict["entry"])
        Path(entry.uri).mkdir(parents=True, exist_ok=True)
        told = artifact_utils.get_single_uri(input_dict["day"])
        if read_absence(told) is not None:
            (Path(entry.uri) / "nothing is due").touch()
            entry.set_int_custom_property(ABSENT, 1)
            return
        found = {name: artifact_utils.get_single_instance(input_dict[name]) for name in SOURCES}
        words = close(read_day(told), found, Path(entry.uri))
        if words:
            raise GateError(words)


def close(day: Day, artifacts: Mapping[str, types.Artifact], folder: Path) -> str:
    """Writes the day's entry.

    Args:
      day: what the tasks were told.
      artifacts: their outputs, by the names of `SOURCES`; those that are absent say so.
      folder: the entry is written there too.

    Returns:
      What somebody should look at; empty: nothing.

    Raises:
      InputError: another run has written the ledger meanwhile.
    """
    feed, book = Declaration.from_json(day.feed), Book(RunLayout(Path(day.root)))
    with root_lock(book.layout.lock):
        _require_unchanged(day, book)
        absences = {name: read_absence(artifact.uri) for name, artifact in artifacts.items()}
        there = {name: artifact for name, artifact in artifacts.items() if absences[name] is None}
        refusal = next(
            (
                Refusal(absence.refused, absence.reasons)
                for absence in absences.values()
                if absence is not None and absence.reasons
            ),
            None,
        )
        kept = _keep(there, book.layout.artifacts / "days" / day.entry.day)
        runs = runs_of({**there, **kept}, SOURCES)
        update = outcome(
            day.entry,
            day.carry,
            feed.daily,
            runs,
            Path(day.serving),
            refusal,
            notes=list(day.entry.notes),
            rebased=bool(day.rebase),
            decide=_decision,
        )
        entry = day.entry.model_copy(update={**update, "finished": now()})
        if entry.pushed_to is not None:
            _name_source(Path(entry.pushed_to), kept["model"].uri)
        book.ledger.write(entry)
        write_history(book, feed, Path(day.serving), COMMAND)
    (folder / f"{entry.day}.json").write_text(entry.model_dump_json(indent=1))
    mine = [f"{entry.day} {entry.status}: {' '.join(entry.reasons)}"] if entry.wants_attention else []
    return "\n".join([*day.attention, *mine])


def _require_unchanged(day: Day, book: Book) -> None:
    entries = book.ledger.entries()
    now_held = entries[day.entry.day].identity if day.entry.day in entries else ""
    before = max((name for name in entries if name < day.entry.day), default=None)
    prior = entries[before].identity if before is not None else ""
    if (now_held, prior) != (day.held, day.entry.prior):
        raise InputError(
            f"{book.folder}: another run has written {day.entry.day}, or the day before it, since this one began: one "
            "run at a time (max_concurrency 1); the next one goes on"
        )


def _keep(there: Mapping[str, types.Artifact], days: Path) -> dict[str, types.Artifact]:
    """Copies what later days start from below the root: a run's own artifacts lie where only its launcher reaches."""
    days.mkdir(parents=True, exist_ok=True)
    numbers = [int(path.name) for path in days.iterdir() if path.name.isdigit()]
    final = days / str(max(numbers, default=0) + 1)
    partial = days / f".{final.name}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    kept = {}
    for name in _KEPT:
        if name in there:
            shutil.copytree(there[name].uri, partial / name)
            artifact = type(there[name])()
            artifact.uri = str(final / name)
            kept[name] = artifact
    partial.rename(final)
    return kept


def _decision(runs: Mapping[str, NodeRun], serving: Path) -> tuple[list[str], str | None]:
    """Why the model was refused (empty: it was not), and the version that the Pusher made of it."""
    reasons, version = decided(runs)
    return reasons, str(serving / version) if version is not None else None


def _name_source(version: Path, model: str) -> None:
    """The version says what it was pushed from, by the name that the ledger has for it: `dfei rollback` looks there."""
    told = {**read_pushed(version), "model": model, "version": int(version.name)}
    write_durably(version / PUSHED_FACTS, json.dumps(told))


class CloseDay(base_component.BaseComponent):
    """Keeps what the next day starts from, and writes the ledger's entry.

    Args:
      day: `ResolveDay`'s.
      outputs: of the other components, by the names of `SOURCES`.

    Outputs:
      entry: the ledger's entry, in JSON.
    """

    SPEC_CLASS = CloseDaySpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(CloseDayExecutor)

    def __init__(self, day: types.BaseChannel, outputs: Mapping[str, types.BaseChannel]) -> None:
        super().__init__(CloseDaySpec(day=day, entry=types.Channel(type=simple_artifacts.File), **outputs))
