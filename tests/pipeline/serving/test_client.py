"""The client: without TensorFlow, over both protocols, with retries and deadlines."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from tensorflow.core.framework import tensor_pb2
from tensorflow_serving.apis import predict_pb2

from pipeline.client import (
    CallError,
    Code,
    Retries,
    ServingClient,
    Which,
    connect,
    serialize_example,
    tensors,
    with_missing,
)
from pipeline.client.grpc_transport import GrpcTransport
from pipeline.client.messages import SERVING
from pipeline.client.ranking import ranking_inputs
from pipeline.client.retries import NO_RETRIES
from tests.pipeline.serving.conftest import ROWS, Served
from tests.pipeline.serving.models import DOMAINS, NAME, example, expected


@pytest.fixture(params=["grpc", "http"])
def client(ours: Served, request: pytest.FixtureRequest) -> Iterator[ServingClient]:
    url = f"grpc://{ours.grpc}" if request.param == "grpc" else ours.rest
    with connect(url, NAME) as client:
        yield client


def test_it_imports_no_tensorflow() -> None:
    code = (
        "import sys, pipeline.client, pipeline.client.grpc_transport, pipeline.client.rest_transport;"
        "print([name for name in sys.modules if name.partition('.')[0] in ('tensorflow', 'tensorflow_serving')])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_predict(client: ServingClient) -> None:
    scores = client.predict(ROWS)["click_probability"]
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, expected(ROWS, 1.0), rtol=1e-6)
    arrays = {name: np.asarray(values) for name, values in ROWS.items()}
    arrays["duration"] = arrays["duration"].astype(np.float32)
    np.testing.assert_array_equal(client.predict(arrays)["click_probability"], scores)


def test_which_version_answers(client: ServingClient) -> None:
    for which in (Which(version=1), Which(label="stable")):
        scores = client.predict(ROWS, which=which)["click_probability"]
        np.testing.assert_allclose(scores, expected(ROWS, 0.0), rtol=1e-6)
    with pytest.raises(ValueError, match="not both"):
        Which(1, "stable")


def test_other_signatures(client: ServingClient) -> None:
    assert client.predict(ROWS, signature="explain")["weights"].shape == (3, DOMAINS)
    ranked = client.predict({"user_id": [5], "video_id": [[1, 2, 3]]}, signature="rank", outputs=["video_id"])
    assert {name: array.tolist() for name, array in ranked.items()} == {"video_id": [[1, 2, 3]]}
    echo = {"text_bytes": [b"\xff", b"a"], "flag": [True, False], "half": np.array([0.1, np.nan])}
    answer = client.predict(echo, signature="echo")
    assert answer["text_bytes"].tolist() == [b"\xff", b"a"]
    assert answer["flag"].tolist() == [True, False]
    np.testing.assert_array_equal(answer["half"], echo["half"])
    total = client.predict({"x": np.array([1, 2], np.int32)}, signature="total")["sum"]
    assert (total.shape, int(total)) == ((), 3)


def test_zero_bytes_at_the_end_of_a_string_are_kept(client: ServingClient) -> None:
    for texts in ([b"a\0\0", b""], ["x\0"], np.array([b"\0", b"b\0"], object)):
        rows = {"text_bytes": texts, "flag": [True] * len(texts), "half": np.zeros(len(texts))}
        answer = client.predict(rows, signature="echo")["text_bytes"].tolist()
        assert answer == [text if isinstance(text, bytes) else text.encode() for text in texts]


def test_zero_bytes_at_the_end_of_an_example_feature_are_kept() -> None:
    message = SERVING["Example"].FromString(serialize_example({"tag": [b"a\0", b"b"]}))
    assert list(message.features.feature["tag"].bytes_list.value) == [b"a\0", b"b"]


def test_examples(client: ServingClient) -> None:
    rows = {"user_id": [3, 7], "duration": [0.5, 1.5], "tag": ["a", "bb"]}
    examples = [
        serialize_example(dict(zip(rows, row, strict=True))) for row in zip(*rows.values(), strict=True)
    ]
    scores = expected(rows, 1.0)
    answer = client.predict({"examples": examples}, signature="examples")
    np.testing.assert_allclose(answer["click_probability"], scores, rtol=1e-6)
    classes = client.classify(examples, signature="classify")
    assert [[label for label, _ in row] for row in classes] == [["no", "yes"]] * 2
    np.testing.assert_allclose([row[1][1] for row in classes], scores, rtol=1e-6)
    for signature in ("regress", "examples"):
        np.testing.assert_allclose(client.regress(examples, signature=signature), scores, rtol=1e-6)


def test_metadata_and_status(client: ServingClient) -> None:
    metadata = client.metadata()
    assert (metadata.name, metadata.version) == (NAME, 2)
    inputs = metadata.signature("serving_default").inputs
    assert {name: (tensors.dtype_name(spec.dtype), spec.shape) for name, spec in inputs.items()} == {
        "user_id": ("int64", (-1,)),
        "duration": ("float32", (-1,)),
        "tag": ("string", (-1,)),
    }
    with pytest.raises(CallError, match="there are"):
        metadata.signature("nothing")
    assert [(state.version, state.state, state.code) for state in client.status()] == [
        (2, "AVAILABLE", Code.OK),
        (1, "AVAILABLE", Code.OK),
    ]
    assert client.wait_until_ready(5.0) == 2


def test_ranking(client: ServingClient) -> None:
    scores = client.rank({"tag": "a"}, {"video_id": [1, 2, 3]}, {"tab": [0, 2]}, signature="candidates")
    logits = np.array([[1, 2, 3], [3, 4, 5]]) / 10
    assert (scores.shape, scores.dtype) == ((2, 3), np.float32)
    np.testing.assert_allclose(scores, 1 / (1 + np.exp(-logits)), rtol=1e-5)
    signature = client.metadata().signature("candidates")
    assert {name for name, spec in signature.inputs.items() if spec.optional} == {"tag", "video_id"}
    assert with_missing({"tab": [[0]], "video_id": [[1, 2]]}, signature)["tag"].tolist() == [[b""]]


@pytest.mark.parametrize(
    ("user", "items", "domains", "message"),
    [
        (
            {"tag": ["a", "b"]},
            {"video_id": [1, 2]},
            {"tab": [0]},
            "'tag' is the user's: expected one value, got 2",
        ),
        ({}, {"video_id": [1, 2], "tag": ["a"]}, {"tab": [0]}, "'tag' has 1 values for 2 candidates"),
        (
            {},
            {"video_id": [[1, 2]]},
            {"tab": [0]},
            r"'video_id': expected a list of values, got the shape \(1, 2\)",
        ),
        ({"tag": "a"}, {}, {"tab": [0]}, "there is no candidate"),
        ({"tag": "a"}, {"tag": ["a"]}, {"tab": [0]}, "given twice: tag"),
        ({}, {"video_id": [1]}, {}, "domains is the domain's column alone, got nothing"),
    ],
)
def test_ranking_requests_that_cannot_be(user: Any, items: Any, domains: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ranking_inputs(user, items, domains)


def test_a_padded_ranking_is_cut() -> None:
    class Padding(GrpcTransport):
        def predict(self, *_: Any) -> dict[str, np.ndarray]:
            return {"click_probability": np.arange(12, dtype=np.float32).reshape(1, 3, 4)}

    with ServingClient(Padding("localhost:1", NAME), NAME) as client:
        scores = client.rank({"tag": "a"}, {"video_id": [1, 2]}, {"tab": [0]})
    assert scores.tolist() == [[0.0, 1.0]]


def test_features_that_are_left_out(client: ServingClient) -> None:
    signature = client.metadata().signature("serving_default")
    inputs = with_missing({"user_id": [3, 7], "duration": [0.5, 1.5]}, signature)
    assert inputs["tag"].tolist() == [b"", b""]
    scores = client.predict(inputs)["click_probability"]
    wanted = expected({"user_id": [3, 7], "duration": [0.5, 1.5], "tag": ["", ""]}, 1.0)
    np.testing.assert_allclose(scores, wanted, rtol=1e-6)
    others = with_missing({"tag": ["a"]}, signature)
    assert others["user_id"].tolist() == [-1] and np.isnan(others["duration"]).all()
    with pytest.raises(ValueError, match="not inputs: colour; there are duration, tag, user_id"):
        with_missing({"colour": ["red"]}, signature)


def test_errors_carry_their_code(client: ServingClient) -> None:
    for call, code in (
        (lambda: client.predict({**ROWS, "tag": [1, 2, 3]}), Code.INVALID_ARGUMENT),
        (lambda: client.predict(ROWS, which=Which(version=9)), Code.NOT_FOUND),
        (lambda: client.metadata(Which(version=9)), Code.NOT_FOUND),
    ):
        with pytest.raises(CallError) as caught:
            call()
        assert caught.value.code == code
    with pytest.raises(ValueError, match="complex128 cannot be sent"):
        client.predict({"user_id": [1j]})


def test_many_threads_share_a_client(client: ServingClient) -> None:
    rows = [{"user_id": [number], "duration": [0.5], "tag": ["a"]} for number in range(40)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(client.predict, rows))
    scores = np.concatenate([answer["click_probability"] for answer in answers])
    wanted = np.concatenate([expected(row, 1.0) for row in rows])
    np.testing.assert_allclose(scores, wanted, rtol=1e-6)


def test_retries_go_on_until_an_answer_or_the_deadline() -> None:
    calls: list[float] = []

    def third_time_lucky(left: float) -> str:
        calls.append(left)
        if len(calls) < 3:
            raise CallError(Code.UNAVAILABLE, "not yet")
        return "answer"

    retries = Retries(attempts=5, first_wait=0.01)
    assert retries.call(third_time_lucky, 5.0) == "answer"
    assert len(calls) == 3 and calls[0] > calls[2]

    def never(left: float) -> str:
        calls.append(left)
        raise CallError(Code.UNAVAILABLE, "no")

    calls.clear()
    with pytest.raises(CallError):
        retries.call(never, 5.0)
    assert len(calls) == 5
    begun = time.monotonic()
    with pytest.raises(CallError):
        Retries(attempts=1000, first_wait=0.05).call(never, 0.3)
    assert time.monotonic() - begun < 0.35

    def wrong(left: float) -> str:
        calls.append(left)
        raise CallError(Code.INVALID_ARGUMENT, "no")

    calls.clear()
    with pytest.raises(CallError):
        retries.call(wrong, 5.0)
    assert len(calls) == 1
    calls.clear()
    with pytest.raises(CallError):
        NO_RETRIES.call(never, 5.0)
    assert len(calls) == 1


def test_waiting_for_a_server_that_never_comes() -> None:
    with connect("grpc://127.0.0.1:1", NAME) as client, pytest.raises(CallError) as caught:
        client.wait_until_ready(0.3)
    assert caught.value.code == Code.DEADLINE_EXCEEDED


def test_addresses() -> None:
    for url in ("localhost:8500", "ftp://localhost", "http://"):
        with pytest.raises(ValueError, match=r"expected|not an address"):
            connect(url, NAME)


def test_tensors_are_what_tensorflow_reads() -> None:
    import tensorflow as tf

    for array in (
        np.arange(6, dtype=np.int64).reshape(2, 3),
        np.array([0.1, np.inf], np.float32),
        np.array([[True], [False]]),
        np.array([1, 2], np.uint8),
        np.array([1.5], np.float16),
        np.arange(3, dtype=">i4"),
        np.arange(8, dtype=np.int32)[::2],
        np.array(3.0),
        np.array(["é", "b"]),
        np.array([b"\x00", "ü"], object),
    ):
        message = SERVING["Tensor"]()
        tensors.fill(message, array)
        read = tf.make_ndarray(tensor_pb2.TensorProto.FromString(message.SerializeToString()))
        if tensors.type_code(array) == tensors.STRING:
            wanted = [item.encode() if isinstance(item, str) else item for item in array.tolist()]
            assert read.tolist() == wanted
        else:
            np.testing.assert_array_equal(read, array)
        for written in (tf.make_tensor_proto(read), _as_lists(read)):
            np.testing.assert_array_equal(tensors.to_array(written), read)


def _as_lists(array: np.ndarray) -> object:
    import tensorflow as tf

    proto = tf.make_tensor_proto(array.tolist(), tf.as_dtype(array.dtype), array.shape)
    return SERVING["Tensor"].FromString(proto.SerializeToString())


def test_values_that_do_not_fit_a_type() -> None:
    assert tensors.as_array([1, 2], 1).dtype == np.float32
    assert tensors.as_array([True, False], 9).dtype == np.int64
    for values, code in (([0.5], 9), (["a"], 1), ([300], 4), ([1], tensors.STRING)):
        with pytest.raises(ValueError, match=r"expected|does not fit"):
            tensors.as_array(values, code)


def test_requests_are_what_tensorflow_serving_reads() -> None:
    request = SERVING["PredictRequest"]()
    request.model_spec.name = "m"
    request.model_spec.version.value = 7
    request.model_spec.signature_name = "s"
    tensors.fill(request.inputs["x"], np.array([1.0], np.float32))
    request.output_filter.append("y")
    read = predict_pb2.PredictRequest.FromString(request.SerializeToString())
    assert (read.model_spec.name, read.model_spec.version.value) == ("m", 7)
    assert (read.model_spec.signature_name, list(read.output_filter)) == ("s", ["y"])
    assert list(read.inputs) == ["x"]


def test_examples_are_what_tensorflow_reads() -> None:
    import tensorflow as tf

    serialized = serialize_example({"user_id": 3, "duration": [0.5], "tag": "a", "none": None, "empty": []})
    read = tf.train.Example.FromString(serialized)
    assert read.features.feature["none"].WhichOneof("kind") is None
    for name in ("none", "empty"):
        del read.features.feature[name]
    assert read == example(user_id=3, duration=0.5, tag="a")
    with pytest.raises(ValueError, match=r"fits no tf\.Example"):
        serialize_example({"x": 1j})
