"""Memory stays level over hundreds of versions, and one version at a time is enough where a gap is allowed."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from pipeline.client.errors import Code
from pipeline.serving.errors import RequestError
from pipeline.serving.saved_model import LoadedModel
from pipeline.serving.settings import ModelSettings
from pipeline.serving.version_files import VersionFiles
from pipeline.serving.versions import ModelVersions
from tests.e2e.conftest import HOUSE
from tests.pipeline.serving.models import NAME, copy_version

SWITCHES = """
import shutil, sys
from pathlib import Path
import numpy as np, psutil, tensorflow as tf
from pipeline.serving.freed_memory import keep_what_is_there
from pipeline.serving.saved_model import LoadedModel
from pipeline.serving.settings import ModelSettings
from pipeline.serving.versions import ModelVersions
from tests.pipeline.serving.models import copy_version

base, switches = Path(sys.argv[1]), int(sys.argv[2])

class Wide(tf.Module):
    def __init__(self):
        super().__init__()
        self.layers = [tf.Variable(tf.random.normal([256, 256])) for _ in range(12)]
    @tf.function(input_signature=[tf.TensorSpec([None, 256], tf.float32, name="x")])
    def __call__(self, x):
        for layer in self.layers:
            x = tf.nn.relu(x @ layer)
        return {"y": tf.reduce_sum(x, 1)}

wide = Wide()
tf.saved_model.save(wide, str(base / "source"), signatures={"serving_default": wide.__call__})
del wide
keep_what_is_there()
model = ModelVersions(ModelSettings("wide", str(base / "models")), lambda name, files: LoadedModel(files.path), 0.0)
x = np.ones((64, 256), np.float32)
for number in range(1, switches + 2):
    copy_version(base / "source", base / "models", number)
    model.poll()
    with model.acquire() as serving:
        assert serving.number == number
        serving.model.run(serving.model.signature(""), {"x": x})
    if number > 1:
        shutil.rmtree(base / "models" / str(number - 1))
    if number - 1 in (5, switches):
        print(psutil.Process().memory_info().rss, flush=True)
"""


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_two_hundred_switches_leave_no_more_than_five(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SWITCHES, str(tmp_path), "200"],
        capture_output=True,
        text=True,
        cwd=HOUSE,
        check=True,
    )
    after_5, after_200 = map(int, done.stdout.split())
    assert after_200 < 1.1 * after_5, (after_5, after_200)


def load(name: str, files: VersionFiles) -> LoadedModel:
    return LoadedModel(files.path)


def test_unload_before_load_has_one_version_in_memory(pushed: Path, tmp_path: Path) -> None:
    base = tmp_path / NAME
    copy_version(pushed / "1", base, 1)
    at_once: list[int] = []
    alive: set[int] = set()

    def counted(name: str, files: VersionFiles) -> LoadedModel:
        alive.add(files.number)
        at_once.append(len(alive))
        return load(name, files)

    model = ModelVersions(
        ModelSettings(NAME, str(base)),
        counted,
        0.0,
        closed=lambda closed: alive.pop() and None,
        unload_first=True,
    )
    model.poll()
    with model.acquire() as serving:
        copy_version(pushed / "1", base, 2)
        polling = threading.Thread(target=model.poll)
        polling.start()
        # The version in use is not closed, nor the next one loaded, before the request is done.
        polling.join(0.5)
        assert polling.is_alive()
        assert model.available == []
        with pytest.raises(RequestError) as error, model.acquire():
            raise AssertionError("a version was given out")
        assert error.value.code == Code.UNAVAILABLE
        assert not serving.model.closed
    polling.join(30)
    assert model.available == [2]
    assert at_once == [1, 1]


def test_unload_before_load_comes_back_to_what_loads(pushed: Path, tmp_path: Path) -> None:
    base = tmp_path / NAME
    copy_version(pushed / "1", base, 1)
    model = ModelVersions(ModelSettings(NAME, str(base)), load, 0.0, unload_first=True)
    model.poll()
    (copy_version(pushed / "1", base, 2) / "saved_model.pb").write_bytes(b"no")
    model.poll()
    assert model.available == [1]
