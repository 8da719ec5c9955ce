"""Each stack goes on with what the other has left: days of a feed, a killed run, a model in service, half a training.

The current stack runs in the root of Debian 13 of `make test-current`: `$CURRENT_ROOT`, made where it is not there.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from components import stack
from components.pusher.atomic import versions
from pipeline.daily.ledger import Ledger
from tests.e2e.conftest import HOUSE, SMALL, dfei, metrics, versions_are_whole
from tests.e2e.test_daily import Feed, date

ROOT = Path(os.environ.get("CURRENT_ROOT") or "/var/tmp/dfei-debian-13")
# What to put before Python's arguments, on each stack.
BEFORE = (sys.executable,)
CURRENT = ("sh", "tools/current_root.sh", str(ROOT), ".venv/bin/python")
BOTH_WAYS = [(BEFORE, CURRENT), (CURRENT, BEFORE)]
KILLED_AT = "SignatureCheck"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(3000),
    pytest.mark.skipif(os.getuid() != 0, reason="a root is made and entered as root"),
    pytest.mark.skipif(
        shutil.which("debootstrap") is None, reason="debootstrap is not here: apt-get install debootstrap"
    ),
    pytest.mark.skipif(
        sys.version_info >= (3, 12), reason="this is the current stack: run on the one before"
    ),
]


@pytest.fixture(scope="module", autouse=True)
def current_environment() -> None:
    """The environment of the current stack, brought up to its lock."""
    done = subprocess.run(
        [*CURRENT[:-1], "make", "env"], cwd=HOUSE, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].startswith("TFX 1.21"), done.stdout


@pytest.fixture(autouse=True)
def seen_by_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both stacks see the test's folder at the same path, as the metadata store has whole paths in it."""
    monkeypatch.setenv("SHARED", str(tmp_path))


def _dfei(which: tuple[str, ...], *arguments: str | Path) -> str:
    """A command on one of the stacks; what it printed."""
    done = dfei(*arguments, through=which[:-1], python=which[-1])
    assert done.code == 0, (which, done.text)
    return done.text


def test_days_of_a_feed(tmp_path: Path) -> None:
    feed = Feed(tmp_path, 4, rows=12_000)
    feed.deliver(0)
    feed.deliver(1)
    _dfei(BEFORE, *feed.command())
    rows = tmp_path / "rows.csv"
    feed.days[3].head(300).write_csv(rows)
    for day, which, other in ((2, CURRENT, BEFORE), (3, BEFORE, CURRENT)):
        feed.deliver(day)
        _dfei(which, *feed.command())
        versions_are_whole(feed.root)
        assert feed.served() == date(day)
        entries = Ledger(feed.root / "daily").entries()
        assert [entry.status for entry in entries.values()] == ["refused", *["pushed"] * day]
        # None began from nothing but the first model.
        assert entries[date(day)].carry.trained == day - 1
        pushed = feed.root / "serving" / "dfei"
        own = _scores(which, rows, tmp_path / f"own-{day}.csv", "--model-dir", pushed)
        read = _scores(other, rows, tmp_path / f"read-{day}.csv", "--model-dir", pushed)
        with _served(other, pushed, tmp_path / f"log-{day}") as urls:
            answers = [_scores(BEFORE, rows, tmp_path / f"answer-{day}.csv", "--url", url) for url in urls]
        for scores in (read, *answers):
            np.testing.assert_allclose(scores, own, rtol=0, atol=1e-6)


def _scores(which: tuple[str, ...], rows: Path, output: Path, *model: str | Path) -> np.ndarray:
    _dfei(which, "predict", rows, "--model", "dfei", "--output", output, *model)
    scores: np.ndarray = pl.read_csv(output)["click_probability"].to_numpy()
    assert len(scores) == 300
    assert scores.std() > 0
    return scores


@contextlib.contextmanager
def _served(which: tuple[str, ...], pushed: Path, log: Path) -> Iterator[tuple[str, str]]:
    """A server on one of the stacks; its addresses for REST and gRPC."""
    with log.open("wb") as sink:
        process = subprocess.Popen(
            [*which, "-m", "pipeline", "serve", str(pushed), "--rest-port", "0", "--grpc-port", "0"],
            cwd=HOUSE,
            stdout=sink,
            stderr=sink,
        )
    try:
        while "gRPC" not in log.read_text() and process.poll() is None:
            time.sleep(0.2)
        rest = re.search(r"REST  (http://\S+)/v1", log.read_text())
        grpc = re.search(r"gRPC  (\S+), model", log.read_text())
        assert rest and grpc, log.read_text()
        yield rest[1], f"grpc://{grpc[1]}"
        process.terminate()
        assert process.wait(60) == 0
    finally:
        process.kill()
    assert "Traceback" not in log.read_text()


@pytest.mark.parametrize(("first", "second"), BOTH_WAYS, ids=["before-current", "current-before"])
def test_a_killed_run(
    small_feed: Path, tmp_path: Path, first: tuple[str, ...], second: tuple[str, ...]
) -> None:
    data, root = tmp_path / "data", tmp_path / "root"
    shutil.copytree(small_feed, data)
    sets = [part for setting in SMALL for part in ("--set", setting)]
    command = ["run", "--dataset", "simulated", "--data", str(data), "--root", str(root), *sets]
    process = subprocess.Popen(
        [*first, "-m", "pipeline", *command],
        cwd=HOUSE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    while process.poll() is None and not list(root.glob(f"artifacts/{KILLED_AT}/*/*")):
        time.sleep(0.05)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    _dfei(second, *command)
    versions_are_whole(root)
    cached = set(json.loads((root / "run.json").read_text())["cached"])
    assert cached >= {"ExampleGen", "StatisticsGen", "Schema", "ExampleValidator", "Transform", "Trainer"}
    pushed = metrics(root)["pushed_to"]
    _dfei(first, *command)
    assert metrics(root)["pushed_to"] == pushed
    assert versions(root / "serving" / "dfei") == [int(Path(pushed).name)]


@pytest.mark.parametrize(("first", "second"), BOTH_WAYS, ids=["before-current", "current-before"])
def test_half_a_training(tmp_path: Path, first: tuple[str, ...], second: tuple[str, ...]) -> None:
    """Where it was killed the other takes it up, to the weights that it would have had, but for roundings."""
    for which, how in ((first, "half"), (second, "rest"), (BEFORE, "whole")):
        done = subprocess.run(
            [*which, "-m", "tests.e2e.train_half", how, str(tmp_path)],
            cwd=HOUSE,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    [rest], [whole] = tmp_path.glob("rest-*.npz"), tmp_path.glob("whole-*.npz")
    assert (stack.label() in rest.name) == (second is BEFORE)
    with np.load(rest, allow_pickle=False) as found, np.load(whole, allow_pickle=False) as expected:
        assert set(found) == set(expected)
        for name in expected:
            np.testing.assert_allclose(found[name], expected[name], rtol=0, atol=1e-5, err_msg=name)
