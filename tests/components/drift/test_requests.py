"""What the server was asked, and how it is held against the day's training rows."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
import tensorflow_data_validation as tfdv
from tensorflow_data_validation.statistics import stats_impl
from tensorflow_serving.apis import prediction_log_pb2

from components.drift import requests
from components.drift.figures import Counts, FeatureFigures, Measured
from components.drift.requests import asked
from components.drift.skew import skew
from tests.components.transform.helpers import declaration, schema_of

DAY = "2024-01-05"
NOON = int(datetime.datetime(2024, 1, 5, 12, tzinfo=datetime.timezone.utc).timestamp())
DECLARED = declaration(time_zone="UTC")


def predict(moment: int = NOON, signature: str = "serving_default", **inputs: Any) -> bytes:
    log = prediction_log_pb2.PredictionLog()
    log.log_metadata.timestamp_secs = moment
    log.predict_log.request.model_spec.signature_name = signature
    for name, values in inputs.items():
        log.predict_log.request.inputs[name].CopyFrom(tf.make_tensor_proto(values))
    return log.SerializeToString()


def write(folder: Path, *records: bytes) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / f"requests-{len(list(folder.iterdir()))}.tfrecord"
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in records:
            writer.write(record)
    return path


def rows(folder: Path) -> dict[str, list[Any]]:
    found = asked(folder, DECLARED, DAY)
    return found.to_pydict() if found is not None else {}


def test_the_rows_of_predictions_and_rankings_missing_values_left_out(tmp_path: Path) -> None:
    plain = predict(
        tab=np.array([-1, 2]), user=np.array([-1, 7]), item=["", "a"], age=np.float32([np.nan, 3])
    )
    ranking = predict(
        signature="rank", tab=[[0]], user=np.array([[7]]), item=[["a", "b", "c"]], tag=[["x,y", "x\x1f", ""]]
    )
    yesterday = predict(NOON - 86_400, tab=np.array([9]))
    write(tmp_path, plain, ranking, yesterday)
    found = rows(tmp_path)
    assert found["tab"] == [[-1], [2], [0], [0], [0]]
    assert found["user"] == [None, [7], [7], [7], [7]]
    assert found["item"] == [None, [b"a"], [b"a"], [b"b"], [b"c"]]
    assert found["age"] == [None, [3.0], None, None, None]
    assert found["tag"] == [None, None, [b"x", b"y"], [b"x"], None]


def test_examples_in_each_of_their_forms(tmp_path: Path) -> None:
    context, example = tf.train.Example(), tf.train.Example()
    context.features.feature["tab"].int64_list.value.append(2)
    example.features.feature["item"].bytes_list.value.append(b"a")
    whole = tf.train.Example.FromString(context.SerializeToString() + example.SerializeToString())
    classify, regress = prediction_log_pb2.PredictionLog(), prediction_log_pb2.PredictionLog()
    for log in (classify, regress):
        log.log_metadata.timestamp_secs = NOON
    given = classify.classify_log.request.input.example_list_with_context
    given.context.CopyFrom(context)
    given.examples.add().CopyFrom(example)
    regress.regress_log.request.input.example_list.examples.add().CopyFrom(whole)
    packed = predict(examples=np.array([whole.SerializeToString()], object))
    write(tmp_path, classify.SerializeToString(), regress.SerializeToString(), packed)
    assert [rows(tmp_path)[name] for name in ("tab", "item", "age")] == [[[2]] * 3, [[b"a"]] * 3, [None] * 3]


def test_a_file_that_is_still_written_is_read_up_to_its_last_whole_record(tmp_path: Path) -> None:
    path = write(tmp_path, predict(tab=np.array([1])), predict(tab=np.array([2])))
    path.write_bytes(path.read_bytes()[:-3])
    write(tmp_path, predict(tab=np.array([3])))
    assert rows(tmp_path)["tab"] == [[1], [3]]
    assert asked(tmp_path / "nowhere", DECLARED, DAY) is None


def test_of_many_rows_a_sample_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "MOST_ROWS", 100)
    write(tmp_path, *(predict(tab=np.array([number])) for number in range(1000)))
    found = np.array(rows(tmp_path)["tab"])[:, 0]
    assert len(found) == 100
    assert 300 < found.mean() < 700


@pytest.fixture(scope="module")
def training() -> Iterator[tuple[Any, Measured]]:
    """A day's statistics and figures: ages around 30, two items, a tag in nine rows of ten."""
    rng = np.random.default_rng(0)
    count = 2_000
    columns = {
        "age": pa.array(
            [[age] for age in rng.normal(30, 5, count).astype(np.float32)], pa.large_list(pa.float32())
        ),
        "item": pa.array([[b"a"], [b"b"]] * (count // 2), pa.large_list(pa.large_binary())),
    }
    statistics = stats_impl.generate_statistics_in_memory(
        pa.RecordBatch.from_pydict(columns), tfdv.StatsOptions()
    )
    figures = {
        "age": FeatureFigures(values=count),
        "item": FeatureFigures(values=count),
        "tag": FeatureFigures(missing=count // 10),
    }
    yield statistics, Measured(day=DAY, overall=Counts(rows=count), features=figures)


def serving(
    age: float = 30.0, items: tuple[bytes, ...] = (b"a", b"b"), tagged: float = 0.9
) -> pa.RecordBatch:
    rng, count = np.random.default_rng(1), 1_000
    tags = [[b"x"] if one else None for one in rng.random(count) < tagged]
    return pa.RecordBatch.from_pydict(
        {
            "age": pa.array(
                [[v] for v in rng.normal(age, 5, count).astype(np.float32)], pa.large_list(pa.float32())
            ),
            "item": pa.array([[item] for item in rng.choice(items, count)], pa.large_list(pa.large_binary())),
            "tag": pa.array(tags, pa.large_list(pa.large_binary())),
        }
    )


@pytest.mark.parametrize(
    ("asked_for", "columns"),
    [
        (serving(), []),
        (serving(age=60), ["age"]),
        (serving(items=(b"c",)), ["item"]),
        (serving(tagged=0.5), ["tag"]),
    ],
)
def test_what_training_and_serving_do_not_have_alike(
    training: tuple[Any, Measured], asked_for: pa.RecordBatch, columns: list[str]
) -> None:
    found = list(skew(DECLARED, schema_of(DECLARED), *training, asked_for))
    assert [one.words.split()[1].rstrip(":") for one in found] == columns
    assert all(one.refuses and "1,000 rows" in one.words and one.words.endswith("?") for one in found)


def test_few_requests_are_said_and_a_setting_switches_it_off(training: tuple[Any, Measured]) -> None:
    few = serving(age=60).slice(0, 20)
    [said] = skew(DECLARED, schema_of(DECLARED), *training, few)
    assert not said.refuses and "20 rows" in said.words
    off = declaration(daily={"gates": {"skew": None}})
    assert not list(skew(off, schema_of(off), *training, serving(age=60)))
