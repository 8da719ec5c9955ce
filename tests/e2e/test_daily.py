"""A feed that runs unattended for a month, with every kind of trouble in it; kills at any moment."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from components.pusher.atomic import versions
from pipeline.daily.ledger import Ledger
from pipeline.simulate import simulate
from tests.e2e.conftest import HOUSE, SMALL, dfei, resize, versions_are_whole
from tests.e2e.troubles import CASES, Case, Files

DAYS = 30
# After three good days every second one, but for these, which follow the one before at once.
AT_ONCE = ("half a file", "labels shuffled", "a domain gone", "duplicate rows", "the clock an hour off")
KILLED = ("a day twice", "a new domain", "duplicate rows")
# Folders of artifacts: the component that makes one is at work when it appears.
MOMENTS = (
    "DeclaredExampleGen",
    "DataGates",
    "Progressive",
    "Transform",
    "Candidate",
    "Evaluator",
    "Trainer",
    "AtomicPusher",
)
SETTINGS = (*SMALL, "training.validation_min_rows=50", "daily.gates.min_rows=60")


class Feed:
    """A simulated feed that is delivered day by day.

    Args:
      folder: of the test.
      days: its length.
      rows: impressions, over all days.
    """

    def __init__(self, folder: Path, days: int, rows: int) -> None:
        self.data, self.root = folder / "data", folder / "root"
        whole = folder / "whole"
        simulate(whole, days=days, rows=rows, domains=6)
        (self.data / "impressions").mkdir(parents=True)
        for table in ("users.csv", "items.csv"):
            (self.data / table).write_bytes((whole / table).read_bytes())
        self.days = [pl.read_csv(path) for path in sorted((whole / "impressions").glob("*.csv"))]
        self._changes: list[tuple[Case, int]] = []

    def name(self, day: int) -> str:
        return f"part-{day:03}.csv"

    def deliver(self, day: int, case: Case | None = None) -> None:
        """Puts a day's file there, or what comes instead of it."""
        rows = self.days[day]
        for changed, since in self._changes:
            if day >= since:
                [rows] = changed.files(rows, self.name(day), np.random.default_rng([since, day])).values()
        files: Files = {self.name(day): rows}
        if case is not None:
            files = case.files(rows, self.name(day), np.random.default_rng([day, day]))
            if case.lasting:
                self._changes.append((case, day))
        for name, content in files.items():
            path = self.data / "impressions" / name
            if isinstance(content, bytes):
                path.write_bytes(content)
            else:
                content.write_csv(path)

    def command(self, *options: str) -> list[str]:
        sets = [part for setting in SETTINGS for part in ("--set", setting)]
        return [
            "daily",
            "--dataset",
            "simulated",
            "--data",
            str(self.data),
            "--root",
            str(self.root),
            *sets,
            *options,
        ]

    def run(self, *options: str) -> int:
        done = dfei(*self.command(*options), timeout=7200)
        assert done.code in (0, 1), done.text
        versions_are_whole(self.root)
        return done.code

    def history(self) -> dict[str, dict[str, Any]]:
        document = json.loads((self.root / "history.json").read_text())
        return {day["day"]: day for day in document["days"]}

    def served(self) -> str:
        """The version that a server takes, and the day that it has learned."""
        newest = versions(self.root / "serving/dfei")[-1]
        facts = json.loads((self.root / "history.json").read_text())["in_service"]
        assert Path(facts["version"]).name == str(newest)
        learned: str = facts["day"]
        return learned


def date(day: int) -> str:
    return f"{np.datetime64('2024-01-01') + day}"


def schedule() -> dict[int, Case]:
    """The days that are not as they should be."""
    found, day = {}, 1
    for case in CASES:
        day += 1 if case.name in AT_ONCE else 2
        found[day] = case
    return found


def live(feed: Feed, troubles: dict[int, Case], days: int) -> list[str]:
    """Lives through the days; returns what became of one that must not have, all of it at the end of the month.

    The feed is run on each day of trouble, and then once more with all that has come until the next one.
    """
    wrong: list[str] = []
    waiting: dict[int, int] = {}
    for day in range(days):
        case = troubles.get(day)
        feed.deliver(day, case)
        for broken in [broken for broken, then in waiting.items() if then == day]:
            feed.deliver(broken)
            del waiting[broken]
        if case is not None and case.repair == "delivered anew":
            waiting[day] = day + case.days_later
        if case is not None and case.name in KILLED:
            _kill_when(feed, random.Random(day).choice(MOMENTS))
        missed = case is not None and case.status == "missing"
        if (case is not None and not missed) or day == days - 1:
            feed.run()
            wrong += _wrong(feed, troubles, day, set(waiting))
        if (
            case is not None
            and case.repair == "accepted"
            and feed.history()[date(day)]["status"] == "refused"
        ):
            feed.run("--accept", date(day))
            accepted = feed.history()[date(day)]
            wrong += _unlike(accepted, "pushed", case.words, f"{case.name}, accepted")
            wrong += [] if accepted["accepted"] else [f"{date(day)} is not marked as accepted"]
    return list(dict.fromkeys(wrong))


def _wrong(feed: Feed, troubles: dict[int, Case], today: int, waiting: set[int]) -> list[str]:
    """What is not as it must be on a day, of this day and all before it."""
    found = feed.history()
    wrong = _unlike(found[date(0)], "refused", "the first day fills the averages", "the first day")
    newest = ""
    for day in range(1, today + 1):
        case = troubles.get(day)
        status, words = "pushed", ""
        if case is not None and (day in waiting or day == today):
            status, words = case.status, case.words
            if status == "said":
                status = "refused" if found[date(day)]["reasons"] else "pushed"
        name = case.name if case is not None else "a good day"
        wrong += _unlike(found[date(day)], status, words, f"{name}, on {date(today)}")
        newest = date(day) if status == "pushed" else newest
    if feed.served() != newest:
        wrong.append(f"{date(today)}: {feed.served()} is in service, where {newest} is right")
    return wrong


def _unlike(entry: dict[str, Any], status: str, words: str, name: str) -> list[str]:
    """What of an entry is not as it must be."""
    said = " ".join([*entry["reasons"], *entry["notes"]])
    if entry["status"] == status and re.search(words, said):
        return []
    return [f"{entry['day']} ({name}): {entry['status']}, {said!r}, where {status}, {words!r} is right"]


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_a_month_with_every_kind_of_trouble(tmp_path: Path) -> None:
    feed = Feed(tmp_path, DAYS, rows=6000 * DAYS)
    wrong = live(feed, schedule(), DAYS)
    assert not wrong, "\n".join(wrong)
    judged = [day["progressive"] for day in feed.history().values() if day["progressive"]]
    assert len(judged) >= DAYS - 3
    assert np.mean([day["overall_auc"] for day in judged[5:]]) > 0.65


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_killed_at_any_moment_made_again_and_expired(tmp_path: Path) -> None:
    """Killed in every component of a day; the same day made anew is the same, byte for byte; and the feed goes on."""
    feed = Feed(tmp_path, 4, rows=12_000)
    for day in (0, 1):
        feed.deliver(day)
    assert feed.run() == 0
    before = versions(feed.root / "serving/dfei")
    feed.deliver(2)
    for moment in MOMENTS:
        _kill_when(feed, moment)
        versions_are_whole(feed.root)
        assert len(versions(feed.root / "serving/dfei")) <= len(before) + 1
    assert feed.run() == 0
    assert feed.served() == date(2)
    assert len(versions(feed.root / "serving/dfei")) == len(before) + 1
    assert [day["status"] for day in feed.history().values()] == ["refused", "pushed", "pushed"]
    once, first = feed.history()[date(2)], _made(feed, date(2))
    assert feed.run("--from", date(2), "--to", date(2)) == 0
    again = feed.history()[date(2)]
    assert again["cause"] == "asked for"
    assert [again[key] for key in ("rows", "progressive")] == [once[key] for key in ("rows", "progressive")]
    assert _made(feed, date(2)) == first
    keep = ("--keep-days", "1", "--keep-versions", "2")
    done = dfei("expire", "--dataset", "simulated", "--root", feed.root, *keep)
    assert done.code == 0, done.text
    # The models of both days, and of the version before that one can go back to; none of killed executions.
    assert len(list((feed.root / "artifacts/Trainer/model").iterdir())) <= 3
    feed.deliver(3)
    assert feed.run() == 0
    assert feed.served() == date(3)
    assert dfei("rollback", "--dataset", "simulated", "--root", feed.root).code == 0
    assert feed.served() == date(2)


def _made(feed: Feed, day: str) -> dict[str, str]:
    """Hashes of what a day hands on: its state, its rows, its weights and their optimiser's, its calibration."""
    carry = Ledger(feed.root / "daily").entries()[day].carry
    assert carry.service is not None
    assert carry.service.day == day
    folders = (carry.state, carry.learned[0].examples, carry.service.model_run)
    return {
        f"{number} {path.relative_to(folder)}": hashlib.sha256(path.read_bytes()).hexdigest()
        for number, folder in enumerate(folders)
        for path in sorted(Path(folder).rglob("*"))
        # Speeds and times of day.
        if path.is_file() and path.name != "training.json" and "tfevents" not in path.name
    }


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_disk_that_runs_full_in_the_middle_of_a_day(
    disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(disk))
    feed = Feed(tmp_path, 3, rows=9000)
    feed.root = disk / "root"
    resize(disk, 400_000)
    feed.deliver(0)
    feed.deliver(1)
    assert feed.run() == 0
    feed.deliver(2)
    ledger = Ledger(feed.root / "daily").entries()
    used = (shutil.disk_usage(disk).used + 1023) // 1024
    for room in (40, 600, 1_500, 4_000, 9_000):
        resize(disk, used + room)
        done = dfei(*feed.command(), timeout=3600)
        versions_are_whole(feed.root)
        if done.code == 0:
            break
        assert done.code == 2, (room, done.text)
        assert re.search(r"disk is full|no space left", done.text, re.IGNORECASE), (room, done.text)
        assert "Traceback" not in done.text, (room, done.text)
        assert Ledger(feed.root / "daily").entries() == ledger
        assert feed.served() == date(1)
    resize(disk, 400_000)
    assert feed.run() == 0
    assert feed.served() == date(2)


def _kill_when(feed: Feed, folder: str) -> None:
    """Kills a run at once when a component's next artifact begins; lets it end where none does."""
    place = feed.root / "artifacts" / folder
    before = set(place.glob("*/*"))
    process = subprocess.Popen(
        [sys.executable, "-m", "pipeline", *feed.command()],
        cwd=HOUSE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    while process.poll() is None and set(place.glob("*/*")) <= before:
        time.sleep(0.05)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
