"""What leaves the disk, and what never does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ml_metadata.proto import metadata_store_pb2
from tfx.orchestration import metadata

from components.errors import InputError
from components.pusher.atomic import push, versions
from pipeline.daily.book import Book
from pipeline.daily.carry import Made, after
from pipeline.daily.expire import expire
from pipeline.daily.ledger import Carry, DayEntry, Service
from pipeline.daily.start import missing
from pipeline.layout import RunLayout
from pipeline.metadata_texts import open_metadata
from tests.pipeline.daily.test_plan import DAILY

DAYS = [f"2026-03-{day:02}" for day in range(1, 9)]
KINDS = ("model", "run", "state", "rows", "graph", "figures", "unused")


@pytest.fixture()
def feed(tmp_path: Path) -> Book:
    """Eight days on the disk, in the metadata store and in the serving folder; a day apart."""
    layout = RunLayout(tmp_path)
    book = Book(layout)
    carry = Carry()
    with open_metadata(metadata.sqlite_metadata_connection_config(str(layout.metadata))) as handle:
        kind = handle.store.put_artifact_type(metadata_store_pb2.ArtifactType(name="Anything"))
    for day in DAYS:
        folder = layout.artifacts / day
        for name in KINDS:
            (folder / name).mkdir(parents=True)
            (folder / name / "saved_model.pb").write_text(f"{day} {name}")
        version = push(folder / "model", layout.serving / "dfei", str(folder / "model"))
        service = Service(
            day=day, model=str(folder / "model"), model_run=str(folder / "run"), version=str(version)
        )
        made = Made(
            day, *(str(folder / name) for name in ("state", "rows", "graph", "figures")), service=service
        )
        carry = after(carry, made, DAILY)
        # A store notes when an artifact is put there: today, while these days were finished in the future.
        finished = f"2099-01-{DAYS.index(day) + 1:02}T00:00:00+00:00"
        book.ledger.write(DayEntry(day=day, status="pushed", carry=carry, finished=finished))
        with open_metadata(metadata.sqlite_metadata_connection_config(str(layout.metadata))) as handle:
            handle.store.put_artifacts(
                [metadata_store_pb2.Artifact(type_id=kind, uri=str(folder / name)) for name in KINDS]
            )
    return book


def run(book: Book, **options: Any) -> Any:
    layout = book.layout
    connection = metadata.sqlite_metadata_connection_config(str(layout.metadata))
    return expire(book, layout.serving / "dfei", connection, **options)


def test_what_the_kept_days_need_stays(feed: Book) -> None:
    done = run(feed, keep_days=2, keep_versions=3)
    entries = feed.ledger.entries()
    assert list(entries) == DAYS
    assert [missing(entries[day]) for day in DAYS[-3:]] == [[], [], []]
    assert len(versions(feed.layout.serving / "dfei")) == len(done.versions) - 2 == 3
    for day in DAYS[-3:]:
        assert (feed.layout.artifacts / day / "model" / "saved_model.pb").is_file()
        assert (feed.layout.artifacts / day / "run").is_dir()
    # A week's figures are the baseline of the days that stay.
    assert [name for name in KINDS if (feed.layout.artifacts / DAYS[0] / name).exists()] == ["figures"]
    assert done.bytes > 0


def test_the_store_knows_what_is_gone(feed: Book) -> None:
    done = run(feed, keep_days=2, keep_versions=3)
    with open_metadata(metadata.sqlite_metadata_connection_config(str(feed.layout.metadata))) as handle:
        deleted = {
            artifact.uri
            for artifact in handle.store.get_artifacts()
            if artifact.state == metadata_store_pb2.Artifact.DELETED
        }
    assert deleted == set(done.artifacts)
    assert run(feed, keep_days=2, keep_versions=3).artifacts == []


def test_a_dry_run_leaves_everything(feed: Book) -> None:
    before = sorted(feed.layout.root.rglob("*"))
    done = run(feed, keep_days=1, keep_versions=1, dry_run=True)
    assert len(done.versions) == 7
    assert [path for path in sorted(feed.layout.root.rglob("*")) if "sqlite" not in path.name] == [
        path for path in before if "sqlite" not in path.name
    ]


def test_all_days_kept_nothing_goes(feed: Book) -> None:
    done = run(feed, keep_days=8, keep_versions=8)
    assert (done.artifacts, done.versions, done.bytes) == ([], [], 0)


def test_what_killed_executions_left_goes(feed: Book) -> None:
    left = feed.layout.artifacts / "Trainer/model/86"
    (left / "half").mkdir(parents=True)
    system = feed.layout.artifacts / "Trainer/.system/86"
    system.mkdir(parents=True)
    done = run(feed, keep_days=20, keep_versions=20)
    assert str(left) in done.artifacts
    assert not left.exists()
    assert system.exists()
    assert [missing(entry) for entry in feed.ledger.entries().values()] == [[]] * len(DAYS)


def test_what_a_cluster_kept_of_old_days_goes_too(feed: Book) -> None:
    """It is in no metadata store."""
    newest = feed.ledger.entries()[DAYS[-1]]
    kept = feed.layout.artifacts / "days"
    for name in ("state", "model"):
        (kept / DAYS[0] / "1" / name).mkdir(parents=True)
        (kept / DAYS[-1] / "2" / name).mkdir(parents=True)
    carry = newest.carry.model_copy(update={"state": str(kept / DAYS[-1] / "2" / "state")})
    feed.ledger.write(newest.model_copy(update={"carry": carry}))
    done = run(feed, keep_days=2, keep_versions=3)
    left = {str(path.relative_to(kept)) for path in kept.glob("*/*/*")}
    assert left == {f"{DAYS[-1]}/2/state"}
    assert {f"{kept}/{DAYS[0]}/1/state", f"{kept}/{DAYS[-1]}/2/model"} < set(done.artifacts)


@pytest.mark.parametrize(
    "options", [{"keep_days": 0, "keep_versions": 1}, {"keep_days": 1, "keep_versions": 0}]
)
def test_at_least_one(feed: Book, options: dict[str, int]) -> None:
    with pytest.raises(InputError, match="0: give a number of at least 1"):
        run(feed, **options)
