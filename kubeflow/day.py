"""A day of a feed on a cluster: what its tasks are told, and how a task knows that it has nothing to do.

The first task (`kubeflow.resolve_day`) writes a `Day`; every other task has it among its inputs. Kubeflow has no
optional artifacts and no gates: a task without what it needs leaves outputs that are marked `absent`, a task that a
gate refused too, with the reasons, and the tasks after it do nothing. So the last task (`kubeflow.close_day`) always
runs.
"""

from __future__ import annotations

import dataclasses
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2 as pipeline_pb2
from pydantic import BaseModel, Field

from components.dataset.declaration import Declaration
from kubeflow import compat, mounts
from kubeflow import runtime_parameters as names
from pipeline.daily.ledger import Carry, DayEntry

DAY_FILE = "day.json"
ABSENT_FILE = "absent.json"
# TFX's name for what the Evaluator leaves of a model that it refuses.
NOT_BLESSED_FILE = "NOT_BLESSED"


class Day(BaseModel):
    """What the tasks of a day are told.

    Attributes:
      feed, declaration: of the feed, and of this day, as JSON.
      schema_text: the curated schema.
      data_dir: the folder with the impression files.
      root: the feed's root, with the ledger.
      serving: the folder of the model's versions.
      entry: as it begins.
      held: identity of the ledger's entry of this day when the run began; empty: there was none.
      carry: what the day before handed over.
      rebase: why the training begins from nothing; empty: it goes on from the weights in service.
      attention: days before this one that are missing or could not be read, in words.
    """

    feed: str
    declaration: str
    schema_text: str
    data_dir: str
    root: str
    serving: str
    entry: DayEntry
    held: str = ""
    carry: Carry
    rebase: str = ""
    attention: list[str] = Field(default_factory=list)

    @property
    def parsed(self) -> Declaration:
        """The declaration of the day."""
        return Declaration.from_json(self.declaration)


class Absence(BaseModel):
    """Why an output is not there.

    Attributes:
      refused: `data` or `model`, what a gate refused; empty: nothing was, the day has no such thing.
      reasons: the gate's words; empty where another task refused.
    """

    refused: str = ""
    reasons: str = ""


def write_day(folder: str, day: Day) -> None:
    """Writes what the tasks are told."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    (Path(folder) / DAY_FILE).write_text(day.model_dump_json())


def read_day(folder: str) -> Day:
    """What `write_day` wrote."""
    return Day.model_validate_json((Path(folder) / DAY_FILE).read_text())


def write_absence(folder: str, absence: Absence) -> None:
    """Says in an artifact's folder why it is absent: without any file the launcher of the next task would fail."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    (Path(folder) / ABSENT_FILE).write_text(absence.model_dump_json())


def read_absence(folder: str | Path) -> Absence | None:
    """Why an artifact is absent; None: it is there."""
    path = Path(folder) / ABSENT_FILE
    return Absence.model_validate_json(path.read_text()) if path.is_file() else None


@dataclasses.dataclass(frozen=True)
class Told:
    """A task of a day.

    Attributes:
      task: its name.
      day: what it is told; None: no day is due.
      absence: why it has nothing to do; None: it runs.
    """

    task: str
    day: Day | None
    absence: Absence | None


def take(executor_input: Any) -> Told | None:
    """Takes what a task of a day is told out of its inputs; None for a task of another pipeline.

    Args:
      executor_input: the launcher's `ExecutorInput`; the inputs that are the compiler's leave it.
    """
    parameters, artifacts = executor_input.inputs.parameter_values, executor_input.inputs.artifacts
    if names.DAY not in artifacts:
        return None
    task = parameters[names.TASK].string_value
    optional = set(parameters[names.OPTIONAL].string_value.split())
    for name in (names.TASK, names.OPTIONAL):
        del parameters[name]
    absences: dict[str, Absence] = {}
    for name in list(artifacts):
        [artifact] = artifacts[name].artifacts
        folder = mounts.to_local(artifact.uri)
        found = read_absence(folder)
        if name == names.NEEDS + "blessing" and Path(folder, NOT_BLESSED_FILE).exists():
            # Why is for the last task to read in the evaluation.
            found = Absence()
        if found is not None:
            absences[name] = found
    absent_day = names.DAY in absences
    day = None if absent_day else read_day(mounts.to_local(artifacts[names.DAY].artifacts[0].uri))
    for name in [name for name in artifacts if name.startswith(names.PREFIX)]:
        del artifacts[name]
    refused = next((found.refused for found in absences.values() if found.refused), "")
    missing = [name for name in absences if name not in optional and not name.startswith(names.AFTER)]
    absence = Absence(refused=refused) if absent_day or refused or missing else None
    return Told(task, day, absence)


def leave_out(executor_input: Any, output_file: str, absence: Absence) -> None:
    """Ends a task that has nothing to do, or that a gate refused: every output is marked absent.

    Args:
      executor_input: with the outputs.
      output_file: where the launcher looks for what the task says of them.
      absence: why.
    """
    written = pipeline_pb2.ExecutorOutput()
    for key, artifacts in executor_input.outputs.artifacts.items():
        artifact = artifacts.artifacts[0]
        write_absence(mounts.to_local(artifact.uri), absence)
        told = written.artifacts[key].artifacts.add()
        told.name, told.uri = artifact.name, mounts.to_address(artifact.uri)
        told.metadata[compat.ABSENT] = 1
    path = Path(mounts.to_local(output_file))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(json_format.MessageToDict(written)))


def apply(properties: Mapping[str, Any], day: Day, view: str) -> dict[str, Any]:
    """The properties of a component as they are on a day.

    Args:
      properties: as they were compiled.
      day: what its task is told.
      view: which part of the declaration it reads, a name in `overrides.VIEWS`; empty: none.
    """
    from components.evaluator.config import eval_config
    from components.transform.component import splits_config
    from kubeflow.overrides import VIEWS
    from pipeline.code_hash import code_hash
    from pipeline.daily.create import how_to_learn, of_a_drop, replay, request_log
    from pipeline.daily.served import pushed_by

    changed, declaration, carry = dict(properties), day.parsed, day.carry
    if "declaration" in changed:
        changed["declaration"] = VIEWS[view](declaration)
    if "custom_config" in changed and view:
        config = json.loads(changed["custom_config"])
        config["declaration"] = VIEWS[view](declaration)
        if "replay" in config:
            config.update(replay(declaration, carry, rebase=bool(day.rebase)))
        if "calibrate" in config:
            config.update(how_to_learn(declaration))
        changed["custom_config"] = json.dumps(config, sort_keys=True)
    if "eval_config" in changed:
        # The model in service is measured; the candidate may be worse by chance.
        deviations = declaration.daily.deviations if view == "evaluation" else 0.0
        config = eval_config(declaration, code_hash("evaluator"), deviations, of_a_drop(carry))
        changed["eval_config"] = json_format.MessageToJson(config, sort_keys=True)
    if "splits_config" in changed:
        # A day may come without events.
        splits = splits_config(analyze_eval=True, events=bool(declaration.events))
        changed["splits_config"] = json_format.MessageToJson(splits)
    told = {
        "data_dir": day.data_dir,
        "day": day.entry.day,
        "accepted": int(day.entry.accepted),
        "known": carry.learned[0].transform_graph if carry.learned else "",
        "requests": request_log(declaration, day.data_dir),
        "drop": declaration.daily.gates.auc_drop,
        # The data's gates are told the figures of earlier days, the ranking's their evaluations.
        "baseline": json.dumps(
            (carry.measured if "known" in changed else carry.progressive)[
                : declaration.daily.gates.baseline_days
            ]
        ),
        "push_destination": json.dumps({"filesystem": {"base_directory": day.serving}}),
    }
    changed.update({name: value for name, value in told.items() if name in changed})
    if "push_destination" in changed:
        changed["custom_config"] = json.dumps(pushed_by(day.entry.day, day.root))
    if "schema_file" in changed:
        path = Path(tempfile.mkdtemp(prefix="schema-")) / "schema.pbtxt"
        path.write_text(day.schema_text)
        changed["schema_file"] = str(path)
    return changed
