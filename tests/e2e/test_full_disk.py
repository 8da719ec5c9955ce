"""A disk that runs full, wherever that happens: exit code 2, one message, and with more room the run goes on."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

import pytest

from tests.e2e.conftest import metrics, resize, run_dfei, versions_are_whole

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]
# Room in kB, run after run: fine where the data are written, coarse where the models are.
ROOM = (100, 800, 2_200, 4_300, *range(8_000, 200_000, 6_000))


def test_wherever_the_disk_runs_full_it_says_so_and_goes_on_with_more_room(
    small_feed: Path, disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(disk))
    root = disk / "root"
    _fill(disk)
    done = run_dfei(small_feed, root)
    assert done.code == 2, done.text
    assert "Traceback" not in done.text
    (disk / "full").unlink()
    broken_in: list[str] = []
    for room in ROOM:
        resize(disk, room)
        done = run_dfei(small_feed, root)
        versions_are_whole(root)
        if done.code == 0:
            break
        assert done.code == 2, (room, done.code, done.text)
        assert "Traceback" not in done.text, (room, done.text)
        errors = re.findall(r"error:.*", done.err)
        assert len(errors) == 1, (room, done.text)
        assert re.search(r"disk is full|no space left on the device", errors[0]), (room, done.text)
        broken_in.append(_running(done.out))
        print(f"{room} kB: {broken_in[-1]}: {errors[0]}")
    else:
        raise AssertionError(f"never enough: {broken_in}")
    assert Path(metrics(root)["pushed_to"]).is_dir()
    assert {"DeclaredExampleGen", "Transform", "Trainer"} <= {
        path.name for path in (root / "artifacts").iterdir()
    }
    assert len(set(broken_in)) >= 3, broken_in


def _fill(disk: Path) -> None:
    """Leaves no room at all."""
    with contextlib.suppress(OSError), (disk / "full").open("wb", buffering=0) as handle:
        while handle.write(bytes(4096)):
            pass


def _running(out: str) -> str:
    """The last component that had ended."""
    ended = re.findall(r"^[=✓] (\w+)", out, re.MULTILINE)
    return ended[-1] if ended else "nothing"
