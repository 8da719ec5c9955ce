"""The first task of a day on a cluster: which day is due, and what it starts from.

TFX compiles only "latest artifact" and "latest blessed" for Kubeflow. A feed's next day is neither: it follows from the
files that have arrived and from the ledger below the feed's root, and starts from what the day before handed over.
"""

import shutil
import sys
from pathlib import Path

from google.protobuf import json_format
from rich.console import Console
from tfx import types
from tfx.dsl.component.experimental.annotations import OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.proto import pusher_pb2
from tfx.types import standard_artifacts
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
from pipeline.daily.plan import next_due
from pipeline.daily.request import DailyRequest
from pipeline.daily.run import require_known, today
from pipeline.daily.start import Start, declared_day, rebase_note, rebase_reason, require_state, start
from pipeline.layout import RunLayout
from pipeline.root_lock import root_lock

COMMAND = "dfei compile --recurring"


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


def resolve(
    feed: Declaration, data_dir: str, serving: Path, request: DailyRequest, book: Book
) -> tuple[Start | None, str, list[str]]:
    """The next day that is due.

    Args:
      feed: as declared.
      data_dir: the folder with its files.
      serving: the folder of the model's versions.
      request: which days.
      book: the feed's; days of which nothing usable has arrived are written into it.

    Returns:
      The day as it begins, None: none is due; identity of the entry that the ledger holds of it, empty: none; the days
      that were written, in words.

    Raises:
      InputError: a place or a day is wrong; what the day before handed over is gone.
      GateError: no day can be made, and one is missing or cannot be read.
    """
    wanted = request.wanted
    console = Console(file=sys.stdout, width=200)
    attention: list[str] = []
    with root_lock(book.layout.lock):
        entries = book.ledger.entries()
        arrived = read_deliveries(feed, data_dir, book.memory)
        for note in arrived.notes:
            console.print(note, markup=False)
        if not arrived.days and not entries:
            raise InputError(f"{data_dir}: no file of {', '.join(feed.impressions.files)} holds a day")
        require_known(arrived, entries, request)
        done: set[str] = set()
        while True:
            entries = book.ledger.entries()
            due, said = next_due(
                arrived, entries, today(feed), feed.daily.late_share, wanted, frozenset(done)
            )
            for text in said if not done else ():
                console.print(text, markup=False)
            if due is None:
                break
            begins = start(due, entries, wanted.accepted, feed.daily, arrived.days, book, serving)
            console.print(f"{due.day}: {due.cause}", markup=False)
            if begins.delivery is not None:
                held = entries[due.day].identity if due.day in entries else ""
                return begins, held, attention
            book.ledger.write(begins.entry)
            write_history(book, feed, serving, COMMAND)
            done.add(due.day)
            attention.append(f"{due.day} {begins.entry.status}: {' '.join(begins.entry.reasons)}")
    if attention:
        raise GateError("\n".join(attention))
    CutFiles(book.cut).clear()
    console.print("nothing is due")
    return None, "", []


@component
def ResolveDay(  # noqa: N802 - the component's name
    day: OutputArtifact[simple_artifacts.File],
    service: OutputArtifact[standard_artifacts.Model],
    earlier_run: OutputArtifact[standard_artifacts.ModelRun],
    state: OutputArtifact[BehaviourStateArtifact],
    declaration: Parameter[str],
    data_dir: Parameter[str],
    push_destination: Parameter[str],
    schema_file: Parameter[str],
    root: Parameter[str],
    accept: Parameter[str],
    first_day: Parameter[str],
) -> None:
    """Which day is due, and what it starts from; writes down the days of which nothing usable has arrived.

    Its parameters come from the run (`kubeflow.overrides`).

    Args:
      day: gets what the other tasks are told (`kubeflow.day.Day`).
      service, earlier_run, state: get what an earlier day made, from below the feed's root.
      declaration: of the feed, as JSON.
      data_dir: the folder with its files.
      push_destination: the Pusher's.
      schema_file: the curated schema.
      root: the feed's.
      accept, first_day: as `dfei daily --accept` and `--from`; empty for none.

    Raises:
      InputError: a place is wrong; what the day before handed over is gone.
      GateError: no day can be made, and one is missing or cannot be read.
    """
    feed, book = Declaration.from_json(declaration), Book(RunLayout(feed_root(root)))
    pushed = json_format.Parse(push_destination, pusher_pb2.PushDestination())
    accepted = tuple(day.strip() for day in accept.split(",") if day.strip())
    request = DailyRequest(
        feed.name, Path(data_dir), book.layout.root, first=first_day or None, accept=accepted
    )
    serving = Path(pushed.filesystem.base_directory)
    found, held, attention = resolve(feed, data_dir, serving, request, book)
    if found is None or found.delivery is None:
        for artifact in (day, service, earlier_run, state):
            _absent(artifact)
        return
    carry, entry = found.carry, found.entry
    declared = declared_day(feed, found.delivery, Path(data_dir), book)
    require_state(carry, declared)
    rebase = rebase_reason(feed, declared, carry)
    if rebase and carry.service is not None:
        entry = entry.model_copy(update={"notes": [*entry.notes, rebase_note(feed, carry, rebase)]})
    _give(service, carry.judge)
    _give(earlier_run, carry.service.model_run if carry.service is not None and not rebase else "")
    _give(state, carry.state)
    write_day(
        day.uri,
        Day(
            feed=feed.to_json(),
            declaration=declared.to_json(),
            schema_text=Path(schema_file).read_text(),
            data_dir=data_dir,
            root=str(book.layout.root),
            serving=str(serving),
            entry=entry,
            held=held,
            carry=carry,
            rebase=rebase,
            attention=attention,
        ),
    )


def _give(artifact: types.Artifact, source: str) -> None:
    if source:
        shutil.copytree(source, artifact.uri, dirs_exist_ok=True)
    else:
        _absent(artifact)


def _absent(artifact: types.Artifact) -> None:
    write_absence(artifact.uri, Absence())
    artifact.set_int_custom_property(ABSENT, 1)
