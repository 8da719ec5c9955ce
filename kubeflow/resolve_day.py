"""The first task of a day on a cluster: which day is due, and what it starts from.

TFX compiles only "latest artifact" and "latest blessed" for Kubeflow. A feed's next day is neither: it follows from the
files that have arrived and from the ledger below the feed's root, and starts from what the day before handed over.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

from google.protobuf import json_format
from rich.console import Console
from tfx import types
from tfx.dsl.components.base import base_component, base_executor, executor_spec
from tfx.proto import pusher_pb2
from tfx.types import artifact_utils, component_spec, standard_artifacts
from tfx.types.experimental import simple_artifacts

from components.dataset.declaration import Declaration
from components.errors import GateError, InputError
from components.transform.component import BehaviourStateArtifact
from kubeflow import mounts
from kubeflow.compat import ABSENT
from kubeflow.day import Absence, Day, write_absence, write_day
from pipeline.daily.book import Book
from pipeline.daily.cut import CutFiles
from pipeline.daily.days import read_deliveries
from pipeline.daily.history import write_history
from pipeline.daily.ledger import Carry
from pipeline.daily.plan import next_due
from pipeline.daily.request import DailyRequest
from pipeline.daily.run import require_known, today
from pipeline.daily.start import Start, declared_day, rebase_note, rebase_reason, require_state, start
from pipeline.layout import RunLayout
from pipeline.root_lock import root_lock

COMMAND = "dfei compile --recurring"


class ResolveDaySpec(component_spec.ComponentSpec):
    """Parameters and outputs of `ResolveDay`."""

    PARAMETERS = {  # noqa: RUF012
        name: component_spec.ExecutionParameter(type=str)
        for name in (
            "declaration",
            "data_dir",
            "push_destination",
            "schema_file",
            "root",
            "accept",
            "first_day",
        )
    }
    INPUTS: dict[str, component_spec.ChannelParameter] = {}  # noqa: RUF012
    OUTPUTS = {  # noqa: RUF012
        "day": component_spec.ChannelParameter(type=simple_artifacts.File),
        "service": component_spec.ChannelParameter(type=standard_artifacts.Model),
        "earlier_run": component_spec.ChannelParameter(type=standard_artifacts.ModelRun),
        "state": component_spec.ChannelParameter(type=BehaviourStateArtifact),
    }


class ResolveDayExecutor(base_executor.BaseExecutor):
    """Looks what has arrived, and writes down the days of which nothing usable has."""

    def Do(  # noqa: N802 - the name is TFX's
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Resolves the day.

        Raises:
          InputError: a place is wrong; what the day before handed over is gone.
          GateError: no day can be made, and one is missing or cannot be read.
        """
        self._log_startup(input_dict, output_dict, exec_properties)
        day = resolve(exec_properties)
        folders = {name: artifact_utils.get_single_instance(found) for name, found in output_dict.items()}
        carry = day.carry if day is not None else Carry()
        service = carry.service
        given = {
            "service": service.model if service is not None else "",
            "earlier_run": service.model_run if service is not None and day and not day.rebase else "",
            "state": carry.state,
        }
        for name, source in given.items():
            if source:
                shutil.copytree(source, folders[name].uri, dirs_exist_ok=True)
            else:
                _absent(folders[name])
        if day is not None:
            write_day(folders["day"].uri, day)
        else:
            _absent(folders["day"])


def _absent(artifact: types.Artifact) -> None:
    write_absence(artifact.uri, Absence())
    artifact.set_int_custom_property(ABSENT, 1)


def feed_root(text: str) -> Path:
    """The folder with the ledger.

    Raises:
      InputError: it is none that the containers mount.
    """
    if not text:
        raise InputError(
            "root is empty: give the feed's root, a folder of a mounted volume, as dfei daily --root"
        )
    local = Path(mounts.to_local(text))
    if mounts.is_address(text) and not local.parent.is_dir():
        raise InputError(
            f"root={text}: this container has no folder {local.parent}: a feed keeps its book between runs, so its "
            "root must be a folder of a volume, or of a bucket that is mounted"
        )
    return local


def resolve(properties: dict[str, Any]) -> Day | None:
    """The next day that is due; None: none is.

    Raises:
      InputError: a place or a day is wrong; what the day before handed over is gone.
      GateError: no day can be made, and one is missing or cannot be read.
    """
    feed = Declaration.from_json(properties["declaration"])
    data, root = properties["data_dir"], feed_root(properties["root"])
    serving = pusher_pb2.PushDestination()
    json_format.Parse(properties["push_destination"], serving)
    request = DailyRequest(
        feed.name,
        Path(data),
        root,
        first=properties["first_day"] or None,
        accept=properties["accept"] or None,
    )
    wanted = request.wanted
    book = Book(RunLayout(root))
    console = Console(file=sys.stdout, width=200)
    attention: list[str] = []
    with root_lock(book.layout.lock):
        entries = book.ledger.entries()
        arrived = read_deliveries(feed, data, book.memory)
        for note in arrived.notes:
            console.print(note, markup=False)
        if not arrived.days and not entries:
            raise InputError(f"{data}: no file of {', '.join(feed.impressions.files)} holds a day")
        require_known(arrived, entries, request)
        done: set[str] = set()
        found: Start | None = None
        while found is None:
            entries = book.ledger.entries()
            due, said = next_due(
                arrived, entries, today(feed), feed.daily.late_share, wanted, frozenset(done)
            )
            for text in said if not done else ():
                console.print(text, markup=False)
            if due is None:
                break
            begins = start(due, entries, wanted.accepted, feed.daily, arrived.days)
            console.print(f"{due.day}: {due.cause}", markup=False)
            if begins.delivery is not None:
                found = begins
                break
            book.ledger.write(begins.entry)
            write_history(book, feed, COMMAND)
            done.add(due.day)
            attention.append(f"{due.day} {begins.entry.status}: {' '.join(begins.entry.reasons)}")
    if found is None:
        if attention:
            raise GateError("\n".join(attention))
        CutFiles(book.cut).clear()
        console.print("nothing is due")
        return None
    return _day(feed, found, properties, root, serving.filesystem.base_directory, attention, entries)


def _day(
    feed: Declaration,
    found: Start,
    properties: dict[str, Any],
    root: Path,
    serving: str,
    attention: list[str],
    entries: dict[str, Any],
) -> Day:
    assert found.delivery is not None
    carry, entry = found.carry, found.entry
    declaration = declared_day(feed, found.delivery, Path(properties["data_dir"]), Book(RunLayout(root)))
    require_state(carry, declaration)
    reason = rebase_reason(feed, declaration, carry)
    if reason and carry.service is not None:
        entry = entry.model_copy(update={"notes": [*entry.notes, rebase_note(feed, carry, reason)]})
    held = entries.get(entry.day)
    return Day(
        feed=feed.to_json(),
        declaration=declaration.to_json(),
        schema_text=Path(properties["schema_file"]).read_text(),
        data_dir=properties["data_dir"],
        root=str(root),
        serving=serving,
        entry=entry,
        held=held.identity if held is not None else "",
        carry=carry,
        rebase=reason,
        attention=attention,
    )


class ResolveDay(base_component.BaseComponent):
    """Which day is due, and what it starts from.

    Its parameters come from the run (`kubeflow.overrides`).

    Args:
      declaration: of the feed, as JSON.

    Outputs:
      day: what the other tasks are told (`kubeflow.day.Day`).
      service, earlier_run, state: what an earlier day made, from below the feed's root.
    """

    SPEC_CLASS = ResolveDaySpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(ResolveDayExecutor)

    def __init__(self, declaration: str) -> None:
        empty = dict.fromkeys((*ResolveDaySpec.PARAMETERS,), "")
        super().__init__(
            ResolveDaySpec(
                **{**empty, "declaration": declaration, "push_destination": json.dumps({})},
                day=types.Channel(type=simple_artifacts.File),
                service=types.Channel(type=standard_artifacts.Model),
                earlier_run=types.Channel(type=standard_artifacts.ModelRun),
                state=types.Channel(type=BehaviourStateArtifact),
            )
        )
