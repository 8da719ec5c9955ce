"""Whole runs through the command line, shared by the tests that look at what they left."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

HOUSE = Path(__file__).resolve().parents[2]
SMALL = (
    "training.epochs=2",
    "evaluation.min_rows=50",
    "evaluation.thresholds.average_auc.min=0.2",
    "evaluation.thresholds.overall_auc.min=0.4",
    "training.validation_min_rows=50",
)


@dataclasses.dataclass(frozen=True)
class Finished:
    """A finished `dfei` command: its exit code and what it printed."""

    code: int
    out: str
    err: str

    @property
    def text(self) -> str:
        """Both streams with white space folded, so that wrapped lines compare."""
        return " ".join((self.out + " " + self.err).split())


def dfei(
    *arguments: str | Path,
    timeout: float = 900,
    through: Sequence[str] = (),
    python: str | Path = sys.executable,
) -> Finished:
    """Runs `python -m pipeline` with these arguments in a process of its own, `through` another command if given."""
    done = subprocess.run(
        [*through, str(python), "-m", "pipeline", *map(str, arguments)],
        cwd=HOUSE,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        env={**os.environ, "COLUMNS": "200"},
    )
    return Finished(done.returncode, done.stdout, done.stderr)


def run_dfei(
    data: Path,
    root: Path,
    settings: Sequence[str] = SMALL,
    dataset: str = "simulated",
    through: Sequence[str] = (),
) -> Finished:
    """`dfei run` with every setting as a `--set`."""
    sets = [part for setting in settings for part in ("--set", setting)]
    return dfei("run", "--dataset", dataset, "--data", data, "--root", root, *sets, through=through)


def metrics(root: Path) -> dict[str, Any]:
    """The run's `metrics.json`."""
    content: dict[str, Any] = json.loads((root / "metrics.json").read_text())
    return content


def versions_are_whole(root: Path) -> None:
    """Whatever looks like a version in the serving directory is one."""
    for version in root.glob("serving/dfei/*"):
        if version.name.isdigit():
            assert (version / "saved_model.pb").stat().st_size > 0
            assert (version / "variables" / "variables.index").stat().st_size > 0
            assert (version / "assets.extra" / "tf_serving_warmup_requests").is_file()


@pytest.fixture(scope="session")
def small_feed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A simulated feed of 6 domains and 12,000 impressions."""
    directory = tmp_path_factory.mktemp("feed") / "data"
    done = dfei("simulate", directory, "--domains", "6", "--rows", "12000", "--seed", "3")
    assert done.code == 0, done.text
    return directory


@dataclasses.dataclass(frozen=True)
class Run:
    """A finished run: its data, its root, what it printed."""

    data: Path
    root: Path
    finished: Finished


@pytest.fixture(scope="session")
def small_run(small_feed: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The pipeline on the small feed."""
    root = tmp_path_factory.mktemp("run") / "root"
    finished = run_dfei(small_feed, root)
    assert finished.code == 0, finished.text + (_log_tail(root))
    return Run(small_feed, root, finished)


def _log_tail(root: Path) -> str:
    logs = sorted((root / "logs").glob("*.log"))
    return logs[-1].read_text(errors="replace")[-5000:] if logs else ""


@pytest.fixture(scope="session")
def kuairand() -> Path:
    """KuaiRand's shared part, or a skip that says where it was looked for."""
    path = Path(os.environ.get("KUAIRAND_DIR", "KuaiRand-Pure"))
    if not path.is_dir():
        pytest.skip(f"no KuaiRand-Pure at {path}; set KUAIRAND_DIR")
    return path


@pytest.fixture(scope="session")
def kuairand_root(kuairand: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run on KuaiRand's shared part; the one named by `$KUAIRAND_RUN` where there is one."""
    if "KUAIRAND_RUN" in os.environ:
        return Path(os.environ["KUAIRAND_RUN"])
    directory = tmp_path_factory.mktemp("kuairand") / "root"
    finished = run_dfei(kuairand, directory, (), dataset="kuairand-pure")
    assert finished.code == 0, finished.text
    return directory


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own, of 100 kB; needs the right to mount."""
    disk = tmp_path / "disk"
    disk.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=100k", "tmpfs", str(disk)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"this user may not mount a disk: {done.stderr.strip()}")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def resize(disk: Path, kilobytes: int) -> None:
    """Makes a mounted disk larger or smaller."""
    subprocess.run(["mount", "-o", f"remount,size={kilobytes}k", str(disk)], check=True)
