"""The log of requests: what is in it, and that no request waits for it."""

from __future__ import annotations

import errno
import logging
import threading
import urllib.request
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from components.errors import InputError
from pipeline.client import CallError, connect
from pipeline.serving import request_log
from pipeline.serving.request_log import Answered, RequestLog
from pipeline.serving.saved_model import LoadedModel
from pipeline.serving.server import ModelServer
from pipeline.serving.warmup import REQUESTS, warm_up
from tests.pipeline.serving.conftest import ROWS, served, settings_for
from tests.pipeline.serving.models import NAME, save_version


def read(folder: Path) -> list[prediction_log_pb2.PredictionLog]:
    files = [str(path) for path in sorted(folder.iterdir())]
    records = tf.data.TFRecordDataset(files).as_numpy_iterator() if files else []
    return [prediction_log_pb2.PredictionLog.FromString(record) for record in records]


def answered(moment: float = 1.7e9, rows: int = 3) -> Answered:
    return Answered(
        NAME,
        2,
        "serving_default",
        {"user_id": np.arange(rows)},
        {"click": np.zeros(rows, np.float32)},
        moment,
    )


def test_answered_requests_are_logged_as_tensorflow_serving_does(saved: Path, tmp_path: Path) -> None:
    settings = settings_for(saved, log_requests=str(tmp_path / "log"), log_share=1.0)
    with ModelServer(settings) as server:
        where = served(server)
        with connect(f"grpc://{where.grpc}", model=NAME) as client:
            scores = client.predict(ROWS)["click_probability"]
        with connect(where.rest, model=NAME) as client:
            client.predict({"user_id": [5], "duration": [1.0], "tag": ["a"]})
            with pytest.raises(CallError, match="INVALID_ARGUMENT"):
                client.predict({"nobody": [5]})
        server._requests.close()  # type: ignore[union-attr]
        page = (
            urllib.request.urlopen(f"{where.rest}/monitoring/prometheus/metrics", timeout=20).read().decode()
        )
    first, second = read(tmp_path / "log")
    assert 'dfei_request_log{status="written"} 2.0' in page
    request, response = first.predict_log.request, first.predict_log.response
    assert tf.make_ndarray(request.inputs["tag"]).tolist() == [b"a", b"bb", b""]
    np.testing.assert_array_equal(tf.make_ndarray(request.inputs["user_id"]), ROWS["user_id"])
    np.testing.assert_array_equal(tf.make_ndarray(response.outputs["click_probability"]), scores)
    assert (request.model_spec.name, request.model_spec.version.value) == (NAME, 2)
    assert first.log_metadata.sampling_config.sampling_rate == 1.0
    assert first.log_metadata.timestamp_secs > 1_700_000_000
    assert tf.make_ndarray(second.predict_log.request.inputs["user_id"]).tolist() == [5]


def test_a_log_warms_a_version_up(tmp_path: Path) -> None:
    """As TensorFlow Serving reads its own: the file is one of warm-up requests."""
    save_version(tmp_path / NAME, 1, 0.0)
    requests = RequestLog(tmp_path / "log", 1.0, lambda status: None)
    inputs = {
        "user_id": np.array([1]),
        "duration": np.array([1.0], np.float32),
        "tag": np.array([b"a"], object),
    }
    requests.offer(Answered(NAME, 1, "serving_default", inputs, {}, 1.7e9))
    requests.close()
    [file] = (tmp_path / "log").iterdir()
    version = tmp_path / NAME / "1"
    (version / REQUESTS).parent.mkdir(exist_ok=True)
    file.rename(version / REQUESTS)
    model = LoadedModel(version, 0)
    assert warm_up(model, version) == 1
    model.close()


def test_a_share_is_logged(tmp_path: Path) -> None:
    requests = RequestLog(tmp_path, 0.25, lambda status: None)
    drawn = sum(requests.sampled() for _ in range(10_000))
    requests.close()
    # Six standard deviations.
    assert abs(drawn - 2_500) < 6 * (10_000 * 0.25 * 0.75) ** 0.5


def test_what_comes_faster_than_it_is_written_is_dropped_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held, counts = threading.Event(), Counter[str]()
    write = RequestLog._write

    def slow(self: RequestLog, one: Answered) -> None:
        held.wait()
        write(self, one)

    monkeypatch.setattr(RequestLog, "_write", slow)
    one = answered()
    requests = RequestLog(tmp_path, 1.0, lambda status: counts.update([status]), waiting_bytes=3 * one.size)
    for _ in range(10):
        requests.offer(one)
    assert counts == {"dropped": 7}
    held.set()
    requests.close()
    assert counts == {"dropped": 7, "written": 3}
    assert len(read(tmp_path)) == 3
    assert requests._bytes == 0


@pytest.fixture()
def full(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    """Says whether the disk is full; the log tries again at once."""
    state = {"full": True}
    real = tf.io.TFRecordWriter

    class Writer(real):  # type: ignore[misc, valid-type]
        """Of a disk that may be full."""

        def write(self, record: bytes) -> None:
            if state["full"]:
                raise OSError(errno.ENOSPC, "No space left on device")
            super().write(record)

    monkeypatch.setattr(tf.io, "TFRecordWriter", Writer)
    monkeypatch.setattr(request_log, "_RETRY_SECONDS", 0.0)
    return lambda value: state.update(full=value)


def test_a_full_disk_is_said_once_and_the_log_goes_on_when_there_is_room(
    tmp_path: Path, full: Callable[[bool], None], caplog: pytest.LogCaptureFixture
) -> None:
    counts = Counter[str]()
    done = threading.Semaphore(0)

    def count(status: str) -> None:
        counts[status] += 1
        done.release()

    requests = RequestLog(tmp_path, 1.0, count)
    with caplog.at_level(logging.INFO, "pipeline.serving"):
        for number in range(4):
            full(number < 3)
            requests.offer(answered())
            assert done.acquire(timeout=30)
        requests.close()
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 2
    assert "No space left on device" in said[0] and "answered all the same" in said[0]
    assert "again" in said[1]
    assert counts == {"failed": 3, "written": 1}
    assert len(read(tmp_path)) == 1


def test_every_hour_has_a_file_of_its_own(tmp_path: Path) -> None:
    requests = RequestLog(tmp_path, 1.0, lambda status: None)
    for moment in (1.7e9, 1.7e9 + 1, 1.7e9 + 3600):
        requests.offer(answered(moment))
    requests.close()
    assert len(list(tmp_path.iterdir())) == 2


def test_a_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "log").touch()
    with pytest.raises(InputError, match="--log-requests"):
        RequestLog(tmp_path / "log", 1.0, lambda status: None)
