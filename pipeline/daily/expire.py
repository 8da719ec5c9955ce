"""`dfei expire`: what no day, no baseline and no rollback needs any more leaves the disk."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from ml_metadata.proto import metadata_store_pb2

from components.errors import InputError
from components.pusher.atomic import PUSHED_FACTS, versions
from pipeline.daily.book import Book
from pipeline.daily.ledger import DayEntry
from pipeline.metadata_texts import open_metadata


@dataclasses.dataclass(frozen=True)
class Expired:
    """What left the disk.

    Attributes:
      artifacts: folders of artifacts.
      versions: of the serving directory.
      bytes: in all.
    """

    artifacts: list[str]
    versions: list[str]
    bytes: int


def expire(
    book: Book, serving: Path, connection: Any, *, keep_days: int, keep_versions: int, dry_run: bool = False
) -> Expired:
    """Removes what is older than the days to keep and needed by none of them.

    Kept are all artifacts of the last `keep_days` days of the ledger, what each of them hands on and what the day
    before the first of them handed on (so each can be made again), the last `keep_versions` versions with the models
    that they were pushed from, and the entries of the ledger themselves. What killed executions left goes, however new.

    Args:
      book: of the feed; locked.
      serving: the directory that TF Serving watches for the model.
      connection: the metadata store's.
      keep_days, keep_versions: at least 1.
      dry_run: say what would go, and leave it.

    Raises:
      InputError: a number below 1.
    """
    for name, value in (("--keep-days", keep_days), ("--keep-versions", keep_versions)):
        if value < 1:
            raise InputError(f"{name} {value}: give a number of at least 1")
    entries = book.ledger.entries()
    if not entries:
        return Expired([], [], 0)
    old_versions = _old_versions(entries, serving, keep_versions)
    kept_models = _models(serving, old_versions)
    kept = sorted(entries)[-keep_days - 1 :]
    needed = {uri for day in kept for uri in entries[day].carry.uris()} | kept_models
    needed |= _runs_of(entries, kept_models)
    needed |= {uri for one in book.ledger.taken_back().values() for uri in (one.model, one.model_run)}
    before = entries[kept[0]].finished if len(entries) > keep_days else ""
    artifacts: list[str] = []
    total = 0
    with open_metadata(connection) as handle:
        store = handle.store
        known = store.get_artifacts()
        gone = [
            artifact
            for artifact in known
            if artifact.state != metadata_store_pb2.Artifact.DELETED
            and artifact.uri not in needed
            and _inside(artifact.uri, book.layout.artifacts)
            and artifact.create_time_since_epoch / 1000 < _moment(before)
        ]
        for artifact in gone:
            path = Path(artifact.uri)
            if path.exists() and str(path) not in artifacts:
                artifacts.append(str(path))
                total += _size(path)
        if not dry_run:
            for artifact in gone:
                artifact.state = metadata_store_pb2.Artifact.DELETED
            if gone:
                store.put_artifacts(gone)
    unknown = _of_killed_runs(book.layout.artifacts, {artifact.uri for artifact in known})
    for folder in [*_of_a_cluster(book, needed, _moment(before)), *unknown]:
        artifacts.append(str(folder))
        total += _size(folder)
    total += sum(_size(Path(version)) for version in old_versions)
    if not dry_run:
        for path_text in [*artifacts, *old_versions]:
            _remove(Path(path_text))
        book.ledger.note("expire", artifacts=len(artifacts), versions=old_versions, bytes=total)
    return Expired(artifacts, old_versions, total)


def _of_killed_runs(artifacts: Path, known: set[str]) -> list[Path]:
    """Outputs of executions that were killed: `COMPONENT/OUTPUT/EXECUTION` that the store has never heard of."""
    return [
        folder
        for folder in sorted(artifacts.glob("[A-Z]*/[!.]*/*"))
        if folder.name.isdecimal() and folder.is_dir() and str(folder) not in known
    ]


def _old_versions(entries: Mapping[str, DayEntry], serving: Path, keep: int) -> list[str]:
    service = entries[max(entries)].carry.service
    found = [str(serving / str(version)) for version in versions(serving)[:-keep]]
    return [version for version in found if service is None or version != service.version]


def _models(serving: Path, old: list[str]) -> set[str]:
    """The model artifacts of the versions that stay."""
    found = set()
    for version in versions(serving):
        facts = serving / str(version) / PUSHED_FACTS
        if str(serving / str(version)) not in old and facts.is_file():
            found.add(str(json.loads(facts.read_text())["model"]))
    return found


def _runs_of(entries: Mapping[str, DayEntry], models: set[str]) -> set[str]:
    """What a training that goes on from these models starts from."""
    services = [entry.carry.service for entry in entries.values()]
    return {service.model_run for service in services if service is not None and service.model in models}


def _of_a_cluster(book: Book, needed: set[str], before: float) -> list[Path]:
    """What a cluster's runs kept of a day and nobody needs: `artifacts/days/<day>/<run>/<name>`, in no store."""
    return [
        folder
        for folder in sorted((book.layout.artifacts / "days").glob("*/*/*"))
        if folder.stat().st_mtime < before and not any(Path(uri).is_relative_to(folder) for uri in needed)
    ]


def _inside(uri: str, folder: Path) -> bool:
    return "://" not in uri and Path(uri).is_relative_to(folder)


def _moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp() if text else 0.0


def _size(path: Path) -> int:
    files = [path] if path.is_file() else path.rglob("*")
    return sum(file.lstat().st_size for file in files if file.is_file())


def _remove(path: Path) -> None:
    """Renames first: what is half removed has no name that anybody looks for."""
    if path.is_file():
        path.unlink()
        return
    grave = path.with_name(f".expired-{path.name}")
    if path.exists():
        path.rename(grave)
    shutil.rmtree(grave, ignore_errors=True)
