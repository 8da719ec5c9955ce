"""The requests that `docs/serving.md` gives to copy are answered by a pushed model of the simulated feed."""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Iterator
from typing import Any

import grpc
import numpy as np
import pytest
from google.protobuf import json_format

from pipeline.client.messages import SERVING
from pipeline.serving.server import ModelServer
from pipeline.serving.settings import ModelSettings
from tests.docs.blocks import DOCS, blocks
from tests.e2e.conftest import Run
from tests.pipeline.serving.conftest import Served, served, settings_for

PAGE = (DOCS / "serving.md").read_text(encoding="utf-8")
POSTS = re.findall(r"curl -s localhost:8501(/\S+) -d '(.*?)'", PAGE, re.DOTALL)
CALLS = re.findall(r"grpcurl [^']*-d '(.*?)'\s*(?:\\\n)?\s*localhost:8500 (\S+)", PAGE, re.DOTALL)


@pytest.fixture(scope="module")
def server(small_run: Run) -> Iterator[Served]:
    base = small_run.root / "serving" / "dfei"
    with ModelServer(settings_for(base, model=ModelSettings("dfei", str(base)))) as running:
        yield served(running)


def test_the_page_has_requests_of_every_kind() -> None:
    assert [path.rpartition(":")[2] for path, _ in POSTS] == ["predict", "predict", "regress"]
    assert [method.rpartition("/")[2] for _, method in CALLS] == ["Predict", "Predict", "GetModelStatus"]


@pytest.mark.parametrize(("number", "shape"), [(0, (3,)), (1, (1, 2, 3)), (2, (2,))])
def test_curl(server: Served, number: int, shape: tuple[int, ...]) -> None:
    path, body = POSTS[number]
    with urllib.request.urlopen(server.rest + path, body.encode(), timeout=60) as response:
        [scores] = json.loads(response.read()).values()
    assert np.shape(scores) == shape
    assert ((np.array(scores) > 0) & (np.array(scores) < 1)).all()


@pytest.mark.parametrize(("number", "shape"), [(0, [1]), (1, [1, 2, 3])])
def test_grpcurl(server: Served, number: int, shape: list[int]) -> None:
    body, method = CALLS[number]
    request = json_format.Parse(body, SERVING["PredictRequest"]())
    with grpc.insecure_channel(server.grpc) as channel:
        answer = channel.unary_unary(f"/{method}")(request.SerializeToString(), timeout=60)
    scores = SERVING["PredictResponse"].FromString(answer).outputs["click_probability"]
    assert [dim.size for dim in scores.tensor_shape.dim] == shape


def test_grpcurl_asks_for_the_state(server: Served) -> None:
    body, method = CALLS[2]
    request = json_format.Parse(body, SERVING["GetModelStatusRequest"]())
    with grpc.insecure_channel(server.grpc) as channel:
        answer = channel.unary_unary(f"/{method}")(request.SerializeToString(), timeout=60)
    assert len(SERVING["GetModelStatusResponse"].FromString(answer).model_version_status) == 1


def test_python(server: Served) -> None:
    [block] = [block.text for block in blocks(DOCS / "serving.md") if block.language == "python"]
    for url in (f"grpc://{server.grpc}", server.rest):
        names: dict[str, Any] = {}
        exec(block.replace("grpc://localhost:8500", url), names)  # the page's own code
        assert names["scores"].shape == (2,)
        assert names["weights"].shape[0] == 2
        assert names["ranked"].shape == (2, 3)
