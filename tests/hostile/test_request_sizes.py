"""Small requests that ask a server for a great deal: refused with the bound, alone and together."""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.client import NO_RETRIES, CallError, Code, connect
from pipeline.client.messages import PREDICTION_SERVICE, SERVING
from pipeline.serving.batching import Batcher
from pipeline.serving.config_files import BatchingParameters
from pipeline.serving.metrics import Metrics
from pipeline.serving.saved_model import Port, ServedSignature
from pipeline.serving.server import ModelServer
from pipeline.serving.settings import Limits
from tests.pipeline.serving.conftest import ROWS, settings_for
from tests.pipeline.serving.models import NAME
from tests.pipeline.serving.test_limits import wait_for

MOST = Limits().predictions
BATCHING = BatchingParameters(
    max_batch_size=512,
    max_execution_batch_size=512,
    allowed_batch_sizes=(1, 32, 512),
    batch_timeout_seconds=0.001,
)


@pytest.fixture(scope="module", params=["direct", "batching"])
def server(request: pytest.FixtureRequest, pushed: Path) -> Iterator[ModelServer]:
    batching = BATCHING if request.param == "batching" else None
    with ModelServer(settings_for(pushed, batching=batching)) as server:
        yield server


def predict(server: ModelServer, message: Any, timeout: float = 20.0) -> Any:
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        return channel.unary_unary(f"/{PREDICTION_SERVICE}/Predict")(
            message.SerializeToString(), timeout=timeout
        )


def tensor(message: Any, name: str, shape: list[int], kind: int = 9, **values: Any) -> None:
    message.inputs[name].dtype = kind
    for size in shape:
        message.inputs[name].tensor_shape.dim.add().size = size
    for field, items in values.items():
        getattr(message.inputs[name], field).extend(items)


def asking(signature: str) -> Any:
    message = SERVING["PredictRequest"]()
    message.model_spec.name = NAME
    message.model_spec.signature_name = signature
    return message


def refused(server: ModelServer, message: Any, *words: str) -> None:
    memory = psutil.Process().memory_info().rss
    with pytest.raises(grpc.RpcError) as error:
        predict(server, message)
    assert error.value.code() == grpc.StatusCode.INVALID_ARGUMENT, error.value.details()
    for word in words:
        assert word in error.value.details()
    assert psutil.Process().memory_info().rss - memory < 64 << 20


@pytest.mark.parametrize("size", [1 << 24, (1 << 24) + 1, 1 << 40, (1 << 63) - 1, MOST + 1])
def test_one_value_that_stands_for_millions(server: ModelServer, size: int) -> None:
    message = asking("serving_default")
    tensor(message, "user_id", [size], int64_val=[7])
    assert message.ByteSize() < 100
    refused(server, message, str(size), str(MOST))


@pytest.mark.parametrize("name", ["user_id", "tag", "duration"])
def test_a_long_column_beside_short_ones(server: ModelServer, name: str) -> None:
    message = asking("serving_default")
    kinds = {
        "user_id": (9, "int64_val", [7]),
        "duration": (1, "float_val", [0.5]),
        "tag": (7, "string_val", [b"a"]),
    }
    for other, (kind, field, values) in kinds.items():
        tensor(message, other, [100_000] if other == name else [1], kind, **{field: values})
    refused(server, message, "100000", str(MOST))


@pytest.mark.parametrize(("tabs", "videos"), [(3_000, 3_000), (500, 500), (1, MOST + 1), (1 << 30, 1 << 30)])
def test_every_candidate_in_every_domain(server: ModelServer, tabs: int, videos: int) -> None:
    message = asking("candidates")
    tensor(message, "tab", [1, tabs], int64_val=[1])
    tensor(message, "video_id", [1, videos], int64_val=[1])
    refused(server, message, str(tabs * videos), str(MOST))


def test_a_long_text_that_stands_for_many(server: ModelServer) -> None:
    message = asking("serving_default")
    tensor(message, "tag", [60_000], 7, string_val=[b"x" * 1_000_000])
    refused(server, message, "tag", "repeated")


@pytest.mark.parametrize("rank", [9, 200_000])
def test_a_shape_of_many_dimensions(server: ModelServer, rank: int) -> None:
    message = asking("serving_default")
    tensor(message, "user_id", [1] * rank, int64_val=[7])
    refused(server, message, str(rank), "dimensions")


def test_a_context_for_many_examples(server: ModelServer) -> None:
    message = SERVING["RegressionRequest"]()
    message.model_spec.name = NAME
    message.model_spec.signature_name = "examples"
    examples = message.input.example_list_with_context
    examples.context = b"\x0a\x02\x0a\x00" * 250_000
    examples.examples.extend([b""] * 60_000)
    memory = psutil.Process().memory_info().rss
    with (
        grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel,
        pytest.raises(grpc.RpcError) as error,
    ):
        channel.unary_unary(f"/{PREDICTION_SERVICE}/Regress")(message.SerializeToString(), timeout=20)
    assert error.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "context of 1000000 bytes" in error.value.details()
    assert psutil.Process().memory_info().rss - memory < 64 << 20


def post(server: ModelServer, verb: str, document: Any) -> tuple[int, str]:
    url = f"http://127.0.0.1:{server.rest_port}/v1/models/{NAME}:{verb}"
    request = urllib.request.Request(url, json.dumps(document).encode())
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


@pytest.mark.parametrize(
    ("verb", "document"),
    [
        ("predict", {"instances": [{}] * (MOST + 1)}),
        ("predict", {"inputs": {"user_id": [1] * (MOST + 1), "duration": [0.0], "tag": [""]}}),
        (
            "predict",
            {"signature_name": "candidates", "inputs": {"tab": [[1] * 500], "video_id": [[1] * 500]}},
        ),
        ("regress", {"signature_name": "examples", "examples": [{}] * (MOST + 1)}),
    ],
)
def test_over_rest_too(server: ModelServer, verb: str, document: Any) -> None:
    status, text = post(server, verb, document)
    assert status == 400, text
    assert str(MOST) in text


def test_what_is_allowed_is_answered(server: ModelServer) -> None:
    assert (
        post(server, "predict", {"instances": [{"user_id": 1, "duration": 0.0, "tag": ""}] * 512})[0] == 200
    )
    ranking = {"signature_name": "candidates", "inputs": {"tab": [[1] * 256], "video_id": [[1] * 256]}}
    assert post(server, "predict", ranking)[0] == 200


SIGNATURE = ServedSignature(
    "rank",
    (Port("tab", "t:0", 9, (-1, -1)), Port("user", "u:0", 9, (-1, -1)), Port("video", "v:0", 9, (-1, -1))),
    (Port("y", "y:0", 1, (-1, -1, -1)),),
    {"user": np.full((1, 1), -1), "video": np.full((1, 1), -1)},
)


@given(st.integers(1, 4), st.integers(1, 6), st.integers(1, 6), st.booleans(), st.booleans())
def test_predictions_are_those_of_the_answer(
    requests: int, tabs: int, videos: int, one_user: bool, one_tab: bool
) -> None:
    tab = (1 if one_tab else requests, tabs)
    shapes = {"tab": tab, "user": (requests, 1) if one_user else (1, videos), "video": (requests, videos)}
    assert SIGNATURE.predictions(shapes) == requests * tabs * videos


class Ranker:
    """A model that ranks, and remembers how many predictions each batch asked for."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def run(self, signature: ServedSignature, inputs: Any) -> dict[str, np.ndarray]:
        rows = max(len(array) for array in inputs.values())
        answer = np.zeros((rows, inputs["tab"].shape[1], inputs["video"].shape[1]), np.float32)
        self.batches.append(answer.size)
        return {"y": answer}


def test_a_batch_counts_predictions_not_rows() -> None:
    model = Ranker()
    parameters = BatchingParameters(
        max_batch_size=512,
        max_execution_batch_size=512,
        num_batch_threads=1,
        batch_timeout_seconds=0.2,
        allowed_batch_sizes=(1, 8, 512),
    )
    batcher = Batcher(parameters, 1, Metrics(dict), predictions=1000)
    inputs = {
        "tab": np.ones((1, 10), np.int64),
        "user": SIGNATURE.defaults["user"],
        "video": np.ones((1, 20), np.int64),
    }
    with ThreadPoolExecutor(40) as pool:
        answers = list(pool.map(lambda _: batcher.run(model, SIGNATURE, inputs, None)["y"].shape, range(40)))
    batcher.stop()
    assert answers == [(1, 10, 20)] * 40
    assert sum(model.batches) >= 40 * 200
    assert max(model.batches) <= 1000


def test_what_all_ask_for_together_is_bounded(pushed: Path) -> None:
    limits = Limits(predictions=600, predictions_together=1000, running=4)
    with ModelServer(settings_for(pushed, limits=limits)) as server:
        gate, original = threading.Event(), server.engine._runner

        class Held:
            def run(self, *arguments: Any) -> Any:
                gate.wait(20)
                return original.run(*arguments)

            def stop(self) -> None:
                original.stop()

        server.engine._runner = Held()
        rows = {name: [values[0]] * 500 for name, values in ROWS.items()}
        with connect(f"grpc://127.0.0.1:{server.grpc_port}", NAME, 20.0, NO_RETRIES) as client:
            with ThreadPoolExecutor(2) as pool:
                waiting = [pool.submit(client.predict, rows) for _ in range(2)]
                wait_for(lambda: not server.engine._predictions._left)
                with pytest.raises(CallError) as error:
                    client.predict({name: values[:1] for name, values in rows.items()})
                assert error.value.code == Code.RESOURCE_EXHAUSTED
                assert post(server, "predict", {"inputs": ROWS})[0] == 429
                gate.set()
                assert [len(one.result()["click_probability"]) for one in waiting] == [500, 500]
            assert len(client.predict(ROWS)["click_probability"]) == 3


def test_bytes_of_grpc_requests_count_too(pushed: Path) -> None:
    with (
        ModelServer(settings_for(pushed, limits=Limits(buffered_bytes=1000))) as server,
        connect(f"grpc://127.0.0.1:{server.grpc_port}", NAME, 20.0, NO_RETRIES) as client,
    ):
        rows = {name: [values[0]] * 500 for name, values in ROWS.items()}
        with pytest.raises(CallError) as error:
            client.predict(rows)
        assert error.value.code == Code.UNAVAILABLE
        assert len(client.predict(ROWS)["click_probability"]) == 3


def test_the_server_allows_what_an_exported_model_allows() -> None:
    from components.trainer.request_bounds import MOST_IN_A_BATCH, MOST_PREDICTIONS

    assert Limits().predictions == MOST_PREDICTIONS
    assert Limits().predictions_together == MOST_IN_A_BATCH
