"""Whatever the REST interface's own OpenAPI page lets a client send, the answer is one that the page has."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from pipeline.serving.openapi import document
from pipeline.serving.server import ModelServer
from tests.pipeline.serving.conftest import ROWS, settings_for
from tests.pipeline.serving.models import NAME

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
schema = schemathesis.openapi.from_dict(document())


@pytest.fixture(scope="module")
def server(pushed: Path) -> Iterator[ModelServer]:
    with ModelServer(settings_for(pushed)) as server:
        yield server


@schema.parametrize()
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_operation(server: ModelServer, case: Any) -> None:
    # Half of the requests are for the model that is there.
    if "model" in (case.path_parameters or {}) and len(case.path_parameters["model"]) % 2:
        case.path_parameters["model"] = NAME
    response = case.call(base_url=f"http://127.0.0.1:{server.rest_port}", timeout=30)
    case.validate_response(response, checks=CHECKS)


def test_what_is_right_by_the_page_is_answered(server: ModelServer) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.rest_port, timeout=20)
    connection.request("GET", "/openapi.json")
    page = json.loads(connection.getresponse().read())
    assert page == document()
    for path, ask in (
        (f"/v1/models/{NAME}", None),
        (f"/v1/models/{NAME}/metadata", None),
        (f"/v1/models/{NAME}:predict", {"inputs": ROWS}),
    ):
        assert path.replace(NAME, "{model}") in page["paths"]
        connection.request("GET" if ask is None else "POST", path, None if ask is None else json.dumps(ask))
        answer = connection.getresponse()
        assert (answer.status, bool(answer.read())) == (200, True)
