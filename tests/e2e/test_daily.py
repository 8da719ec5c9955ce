"""A feed that runs unattended for a month, with every kind of trouble in it; kills at any moment."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from components.pusher.atomic import versions
from pipeline.simulate import simulate
from tests.e2e.conftest import HOUSE, SMALL, dfei, versions_are_whole
from tests.e2e.troubles import CASES, Case, Files

# Two good days between troubles would make two months: every second day is good, and the first three.
DAYS = 3 + 2 * len(CASES)
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
        self._rng = np.random.default_rng(3)

    def name(self, day: int) -> str:
        return f"part-{day:03}.csv"

    def deliver(self, day: int, case: Case | None = None) -> None:
        """Puts a day's file there, or what comes instead of it."""
        files: Files = {self.name(day): self.days[day]}
        if case is not None:
            files = case.files(self.days[day], self.name(day), self._rng)
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


def live(feed: Feed, troubles: dict[int, Case], days: int) -> None:
    """Lives through the days, and holds each against what must become of it."""
    repairs: dict[int, list[int]] = {}
    for day in range(days):
        case = troubles.get(day)
        feed.deliver(day, case)
        for broken in repairs.pop(day, []):
            feed.deliver(broken)
        feed.run()
        found = feed.history()
        if day == 0:
            assert "the first day fills the averages" in found[date(0)]["reasons"][0]
            continue
        if case is None or case.status == "pushed":
            assert found[date(day)]["status"] == "pushed", found[date(day)]
            assert feed.served() == date(day)
        elif case.status == "refused":
            assert found[date(day)]["status"] == "refused", (case.name, found[date(day)])
            assert feed.served() < date(day)
        if case is not None and case.status != "missing":
            said = " ".join([*found[date(day)]["reasons"], *found[date(day)]["notes"]])
            assert re.search(case.words, said), (case.name, said)
        if case is not None and case.repair == "delivered anew":
            repairs.setdefault(day + case.days_later, []).append(day)
        if case is not None and case.repair == "accepted":
            assert feed.run("--accept", date(day)) == 0
            assert feed.history()[date(day)]["status"] == "pushed"
            assert feed.served() == date(day)
        if case is not None and case.status == "missing":
            continue
        for earlier in range(1, day):
            gone = troubles.get(earlier)
            if gone is not None and earlier + gone.days_later > day:
                continue
            assert found[date(earlier)]["status"] == "pushed", (earlier, found[date(earlier)])


@pytest.mark.slow
def test_a_month_with_every_kind_of_trouble(tmp_path: Path) -> None:
    feed = Feed(tmp_path, DAYS, rows=4000 * DAYS)
    troubles = {3 + 2 * n: case for n, case in enumerate(CASES)}
    live(feed, troubles, DAYS)
    judged = [day["progressive"] for day in feed.history().values() if day["progressive"]]
    assert len(judged) >= DAYS - 2
    assert np.mean([day["overall_auc"] for day in judged[5:]]) > 0.65


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1])
def test_killed_at_any_moment_of_a_day(tmp_path: Path, seed: int) -> None:
    """Two days with kills in them: one version a day, and the entries and figures of days without."""
    feed = Feed(tmp_path, 4, rows=16_000)
    for day in (0, 1):
        feed.deliver(day)
    assert feed.run() == 0
    generator = random.Random(seed)
    for day in (2, 3):
        feed.deliver(day)
        before = versions(feed.root / "serving/dfei")
        for _ in range(4):
            _kill_after(feed.command(), generator.uniform(10, 120))
            versions_are_whole(feed.root)
        assert feed.run() == 0
        assert feed.served() == date(day)
        assert len(versions(feed.root / "serving/dfei")) <= len(before) + 1
    assert [day["status"] for day in feed.history().values()] == ["refused", *["pushed"] * 3]


def _kill_after(arguments: Sequence[str], seconds: float) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "pipeline", *arguments],
        cwd=HOUSE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env=dict(os.environ),
    )
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        time.sleep(0.5)
    process.send_signal(signal.SIGKILL)
    process.wait()
