"""Versions: found, loaded, warmed up, switched to, let go; damaged ones passed over and reported."""

from __future__ import annotations

import os
import random
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from pipeline.serving.config_files import VersionPolicy
from pipeline.serving.errors import Code, RequestError
from pipeline.serving.saved_model import LoadedModel
from pipeline.serving.settings import ModelSettings
from pipeline.serving.version_files import VersionFiles, scan, version_number
from pipeline.serving.versions import ModelVersions
from pipeline.serving.warmup import warm_up
from tests.pipeline.serving.conftest import ROWS
from tests.pipeline.serving.models import NAME, copy_version, expected

INPUTS = {
    "user_id": np.array(ROWS["user_id"], np.int64),
    "duration": np.array(ROWS["duration"], np.float32),
    "tag": np.array([tag.encode() for tag in ROWS["tag"]], object),
}


def load(name: str, files: VersionFiles) -> LoadedModel:
    model = LoadedModel(files.path)
    warm_up(model, files.path)
    return model


def versions_of(base: Path, **changes: object) -> ModelVersions:
    return ModelVersions(ModelSettings(NAME, str(base), **changes), load, settle_seconds=0.0)


def score(model: LoadedModel) -> np.ndarray:
    return model.run(model.signature(""), INPUTS)["click_probability"]


@pytest.fixture
def base(saved: Path, tmp_path: Path) -> Path:
    """A directory with version 1."""
    copy_version(saved / "1", tmp_path / NAME, 1)
    return tmp_path / NAME


def test_a_new_version_takes_over_and_the_old_one_finishes_its_requests(saved: Path, base: Path) -> None:
    versions = versions_of(base)
    versions.poll()
    with versions.acquire() as old:
        copy_version(saved / "2", base, 2)
        versions.poll()
        assert versions.available == [2]
        assert versions.states()[1].state == "UNLOADING"
        np.testing.assert_allclose(score(old.model), expected(ROWS, 0.0), rtol=1e-5)
        with versions.acquire() as new:
            assert new.number == 2
            np.testing.assert_allclose(score(new.model), expected(ROWS, 1.0), rtol=1e-5)
        assert not old.model.closed
    versions.poll()
    assert versions.states()[1].state == "END"
    assert old.model.closed
    with pytest.raises(RequestError, match=r"Specific\(clicks, 1\)"), versions.acquire(1):
        pass
    versions.close(1.0)


def test_names_that_are_no_versions_are_passed_over(saved: Path, base: Path) -> None:
    for name in (".unfinished-7", "tmp", "7x", "-7", "+7", "7.0", "\u0667", "99999999999999999999"):
        shutil.copytree(saved / "2", base / name)
    (base / "8").write_text("a file")
    assert list(scan(base)) == [1]
    assert version_number("0007") == 7


def test_a_copy_under_way_is_reported_and_taken_when_it_is_done(saved: Path, base: Path) -> None:
    versions = versions_of(base)
    shutil.copytree(saved / "2" / "variables", base / "2" / "variables")
    versions.poll()
    assert versions.available == [1]
    assert versions.states()[2].state == "START"
    assert "saved_model.pb" in versions.states()[2].message
    shutil.copy(saved / "2" / "saved_model.pb", base / "2")
    versions.poll()
    assert versions.available == [2]
    versions.close(1.0)


def test_files_that_are_being_written_are_left_to_settle(saved: Path, tmp_path: Path) -> None:
    base = tmp_path / NAME
    copy_version(saved / "1", base, 1)
    versions = ModelVersions(ModelSettings(NAME, str(base)), load, settle_seconds=0.3)
    versions.poll()
    assert versions.available == []
    time.sleep(0.35)
    (base / "1" / "assets" / "vocabulary").write_text("still growing")
    versions.poll()
    assert versions.available == []
    time.sleep(0.35)
    versions.poll()
    assert versions.available == [1]
    versions.close(1.0)


def test_a_truncated_version_is_refused_until_its_files_change(saved: Path, base: Path) -> None:
    copy_version(saved / "2", base, 2)
    data = base / "2" / "variables" / "variables.data-00000-of-00001"
    os.truncate(data, 2)
    versions = versions_of(base)
    versions.poll()
    assert versions.available == [1]
    state = versions.states()[2]
    assert (state.state, state.code) != ("AVAILABLE", Code.OK)
    assert state.message
    shutil.copy(saved / "2" / "variables" / data.name, data)
    versions.poll()
    assert versions.available == [2]
    versions.close(1.0)


@pytest.mark.parametrize("seed", range(4))
def test_damaged_versions_are_refused_and_reported(saved: Path, base: Path, seed: int) -> None:
    chance = random.Random(seed)
    names = [
        "saved_model.pb",
        "variables/variables.index",
        "variables/variables.data-00000-of-00001",
        "assets.extra/tf_serving_warmup_requests",
    ]
    for number, name in enumerate(names, 2):
        file = copy_version(saved / "2", base, number) / name
        content = file.read_bytes()
        keep = chance.randrange(1, len(content))
        file.write_bytes(content[:keep] if seed % 2 else content[:keep] + b"\xff" * 40 + content[keep:][::-1])
    versions = versions_of(base)
    versions.poll()
    assert versions.available == [1]
    for number in range(2, 2 + len(names)):
        state = versions.states()[number]
        assert state.state == "END" and state.code != Code.OK and state.message
    with versions.acquire() as serving:
        np.testing.assert_allclose(score(serving.model), expected(ROWS), rtol=1e-5)
    versions.close(1.0)


def test_a_failing_warm_up_request_stops_a_version(saved: Path, base: Path) -> None:
    import tensorflow as tf
    from tensorflow_serving.apis import prediction_log_pb2

    path = copy_version(saved / "2", base, 2) / "assets.extra" / "tf_serving_warmup_requests"
    log = prediction_log_pb2.PredictionLog()
    log.predict_log.request.inputs["user_id"].CopyFrom(tf.make_tensor_proto([1], tf.int64))
    with tf.io.TFRecordWriter(str(path)) as writer:
        writer.write(log.SerializeToString())
    versions = versions_of(base)
    versions.poll()
    assert versions.available == [1]
    assert versions.states()[2].message.startswith("warm-up failed: the inputs do not match")
    versions.close(1.0)


def test_a_warm_up_record_that_is_no_request_stops_a_version_and_nothing_else(
    saved: Path, base: Path
) -> None:
    versions = versions_of(base)
    path = copy_version(saved / "2", base, 2) / "assets.extra" / "tf_serving_warmup_requests"
    with tf.io.TFRecordWriter(str(path)) as writer:
        writer.write(b"\xff\xff garbage")
    versions.poll()
    assert versions.available == [1]
    assert (versions.states()[2].state, versions.states()[2].code) == ("END", Code.DATA_LOSS)
    assert versions.states()[2].message.startswith("DecodeError: ")
    versions.close(1.0)


def test_policies_and_labels(saved: Path, tmp_path: Path) -> None:
    base = tmp_path / NAME
    for number in (1, 2, 3):
        copy_version(saved / "1", base, number)
    cases: list[tuple[dict[str, object], list[int]]] = [
        ({}, [3]),
        ({"policy": VersionPolicy("latest", latest=2)}, [2, 3]),
        ({"policy": VersionPolicy("all")}, [1, 2, 3]),
        ({"policy": VersionPolicy("specific", specific=(1, 2))}, [1, 2]),
        ({"labels": (("stable", 1),)}, [1, 3]),
    ]
    for changes, wanted in cases:
        versions = versions_of(base, **changes)
        versions.poll()
        assert versions.available == wanted
        if "labels" in changes:
            with versions.acquire(label="stable") as serving:
                assert serving.number == 1
            with pytest.raises(RequestError, match="Unrecognized servable version label: canary"):
                versions.labelled("canary")
        versions.close(1.0)


def test_taking_the_newest_version_away_goes_back_to_the_one_before(saved: Path, base: Path) -> None:
    copy_version(saved / "2", base, 2)
    versions = versions_of(base)
    versions.poll()
    shutil.rmtree(base / "2")
    versions.poll()
    assert versions.available == [1]
    assert versions.states()[2].state == "END"
    versions.close(1.0)


def test_what_serves_stays_when_the_directory_is_emptied_or_vanishes(base: Path) -> None:
    versions = versions_of(base)
    versions.poll()
    shutil.rmtree(base / "1")
    versions.poll()
    assert versions.available == [1]
    base.rmdir()
    versions.poll()
    assert versions.available == [1]
    with versions.acquire() as serving:
        np.testing.assert_allclose(score(serving.model), expected(ROWS), rtol=1e-5)
    versions.close(1.0)


def test_closing_waits_for_requests_only_so_long(base: Path) -> None:
    versions = versions_of(base)
    versions.poll()
    with versions.acquire():
        begun = time.monotonic()
        versions.close(0.1)
        assert 0.05 < time.monotonic() - begun < 2.0
        assert versions.states()[1].state == "UNLOADING"
    versions.close(1.0)
    assert versions.states()[1].state == "END"
