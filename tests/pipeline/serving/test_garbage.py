"""Garbage requests: answered with an error, and the server goes on as before."""

from __future__ import annotations

import json
import random
import socket
import urllib.parse
from collections.abc import Iterator
from typing import Any

import grpc
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.client import CallError, Code, connect
from tests.pipeline.serving.conftest import ROWS, Served
from tests.pipeline.serving.models import NAME, expected, predict_request
from tests.pipeline.serving.test_rest_conformance import ask

PREDICT = "/tensorflow.serving.PredictionService/Predict"
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
NAMES = st.sampled_from(["user_id", "duration", "tag", "tab", "video_id", "b64", "x", "y", ""])
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=12,
)
BODIES = st.fixed_dictionaries(
    {},
    optional={
        "signature_name": st.sampled_from(
            ["serving_default", "examples", "rank", "echo", "total", "optional", "candidates"]
        )
        | VALUES,
        "instances": VALUES,
        "inputs": VALUES | st.fixed_dictionaries(dict.fromkeys(ROWS, VALUES)),
        "examples": VALUES,
        "context": VALUES,
    },
)


@pytest.fixture(autouse=True)
def goes_on(ours: Served) -> Iterator[None]:
    """After every test the server answers as before, over both protocols."""
    yield
    for url in (ours.rest, f"grpc://{ours.grpc}"):
        with connect(url, NAME) as client:
            scores = client.predict(ROWS)["click_probability"]
            np.testing.assert_allclose(scores, expected(ROWS, 1.0), rtol=1e-5)


@settings(max_examples=150)
@given(body=BODIES, verb=st.sampled_from(["predict", "classify", "regress"]))
def test_json_of_any_shape(ours: Served, body: Any, verb: str) -> None:
    text = json.dumps(body).encode("utf-8", "surrogatepass")
    status, answer = ask(ours, f"/v1/models/{NAME}:{verb}", text)
    assert status in (200, 400)
    assert list(answer) == ["error"] or status == 200


@settings(max_examples=60)
@given(body=st.binary(max_size=200))
def test_bytes_that_are_no_json(ours: Served, body: bytes) -> None:
    status, answer = ask(ours, f"/v1/models/{NAME}:predict", body)
    assert status == 400
    assert list(answer) == ["error"]


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b'{"instances": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"inputs": ' + b'{"tag":' * 50_000,
        b'{"inputs": {"user_id": [1' + b"0" * 10_000 + b'], "duration": [1.0], "tag": ["a"]}}',
        b'{"inputs": {"user_id": [1], "duration": [1e999], "tag": ["a"], "duration": ["a"]}}',
        b'{"instances": [{"user_id": 1, "duration": 1.0, "tag": "\\ud800"}]}',
        b'{"signature_name": "\\ud800", "inputs": []}',
        b"\xef\xbb\xbf{}",
        b'{"inputs": {"user_id": [[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]], "duration": [1.0], "tag": ["a"]}}',
    ],
)
def test_json_made_to_hurt(ours: Served, body: bytes) -> None:
    status, answer = ask(ours, f"/v1/models/{NAME}:predict", body)
    assert status == 400
    assert list(answer) == ["error"] and len(answer["error"]) < 2000


@settings(max_examples=60)
@given(path=st.text(max_size=30))
def test_paths_of_any_kind(ours: Served, path: str) -> None:
    quoted = urllib.parse.quote(path.encode("utf-8", "surrogatepass"))
    status, _ = ask_any(ours, f"/v1/models/{quoted}")
    assert status in (200, 400, 404)


def ask_any(server: Served, path: str) -> tuple[int, bytes]:
    host, port = server.rest.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    return int(answer.split()[1]), answer


def test_bytes_that_are_no_http(ours: Served) -> None:
    chance = random.Random(3)
    for address in (ours.rest.removeprefix("http://"), ours.grpc):
        host, port = address.split(":")
        for size in (1, 10, 1000, 100_000):
            with socket.create_connection((host, int(port)), timeout=10) as connection:
                try:
                    connection.sendall(chance.randbytes(size))
                    connection.shutdown(socket.SHUT_WR)
                    connection.recv(65536)
                except OSError:
                    continue


def call(channel: grpc.Channel, data: bytes, method: str = PREDICT) -> grpc.StatusCode:
    try:
        channel.unary_unary(method)(data, timeout=20)
    except grpc.RpcError as error:
        return error.code()
    return grpc.StatusCode.OK


@settings(max_examples=100)
@given(data=st.binary(max_size=300))
def test_bytes_that_are_no_message(ours: Served, data: bytes) -> None:
    with grpc.insecure_channel(ours.grpc) as channel:
        for method in ("Predict", "Classify", "Regress", "GetModelMetadata"):
            code = call(channel, data, f"/tensorflow.serving.PredictionService/{method}")
            assert code in (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND)


def test_messages_with_flipped_bits(ours: Served) -> None:
    chance = random.Random(5)
    valid = predict_request(ROWS).SerializeToString()
    fine = {
        grpc.StatusCode.OK,
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.FAILED_PRECONDITION,
    }
    with grpc.insecure_channel(ours.grpc) as channel:
        seen = set()
        for _ in range(400):
            data = bytearray(valid)
            for _ in range(chance.choice([1, 1, 2, 8])):
                data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
            seen.add(call(channel, bytes(data)))
    assert seen <= fine
    assert grpc.StatusCode.INVALID_ARGUMENT in seen


@pytest.mark.parametrize(
    ("sizes", "values"),
    [
        ([1 << 40], 1),
        ([1 << 31, 1 << 31, 1 << 31], 1),
        ([-1], 1),
        ([3, -1], 3),
        ([2], 3),
        ([3], 0),
        ([1 << 62] * 9, 1),
    ],
)
def test_shapes_made_to_hurt(ours: Served, sizes: list[int], values: int) -> None:
    request = predict_request(ROWS)
    tensor = request.inputs["user_id"]
    tensor.Clear()
    tensor.dtype = 9
    for size in sizes:
        tensor.tensor_shape.dim.add().size = size
    tensor.int64_val.extend([1] * values)
    with grpc.insecure_channel(ours.grpc) as channel:
        assert call(channel, request.SerializeToString()) == grpc.StatusCode.INVALID_ARGUMENT


def test_data_types_of_any_number(ours: Served) -> None:
    with grpc.insecure_channel(ours.grpc) as channel:
        for dtype in [*range(-1, 40), 101, 1 << 30]:
            request = predict_request(ROWS)
            request.inputs["user_id"].dtype = dtype
            wanted = grpc.StatusCode.OK if dtype == 9 else grpc.StatusCode.INVALID_ARGUMENT
            assert call(channel, request.SerializeToString()) == wanted


def test_methods_that_do_not_exist(ours: Served) -> None:
    with grpc.insecure_channel(ours.grpc) as channel:
        code = call(channel, b"", "/tensorflow.serving.PredictionService/Guess")
        assert code == grpc.StatusCode.UNIMPLEMENTED
        code = call(channel, b"", "/tensorflow.serving.PredictionService/MultiInference")
        assert code == grpc.StatusCode.UNIMPLEMENTED


def test_a_closed_port_is_unavailable() -> None:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    for scheme in ("http", "grpc"):
        with connect(f"{scheme}://127.0.0.1:{port}", NAME, timeout=0.5) as client:
            with pytest.raises(CallError) as caught:
                client.predict(ROWS)
            assert caught.value.code in (Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED)
