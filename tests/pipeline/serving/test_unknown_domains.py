"""Domains that were not in training: counted, said once, refused where that is wanted."""

from __future__ import annotations

import json
import logging
import shutil
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from components.version_notes import (
    REQUEST,
    read_domains,
    write_domains,
    write_lists,
    write_request,
    write_written,
)
from pipeline.client import CallError, Code, TensorSpec, connect
from pipeline.example_curl import example_curl, how_to_ask
from pipeline.serving.server import ModelServer
from pipeline.signature import _shape, describe, print_signature
from tests.pipeline.serving.conftest import ROWS, settings_for
from tests.pipeline.serving.models import NAME


@pytest.fixture
def noted(saved: Path, tmp_path: Path) -> Path:
    """A model whose `tag` is the domain, of which it knows "a" and the empty one."""
    base = tmp_path / NAME
    shutil.copytree(saved / "1", base / "1")
    write_domains(base / "1", "tag", ["a", ""])
    return base


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    with caplog.at_level(logging.WARNING, "pipeline.serving"):
        yield caplog


def counted(server: ModelServer) -> float:
    url = f"http://127.0.0.1:{server.rest_port}/monitoring/prometheus/metrics"
    page = urllib.request.urlopen(url, timeout=20).read().decode()
    found = [line for line in page.splitlines() if line.startswith("dfei_unknown_domain_rows{")]
    return float(found[0].split()[-1]) if found else 0.0


def test_they_are_scored_counted_and_said_once(noted: Path, said: pytest.LogCaptureFixture) -> None:
    assert read_domains(noted / "1") == ("tag", ("a", ""))
    with ModelServer(settings_for(noted)) as server:
        with connect(f"grpc://127.0.0.1:{server.grpc_port}", NAME) as client:
            for _ in range(3):
                assert client.predict(ROWS)["click_probability"].shape == (3,)
        assert counted(server) == 3
    told = [record.getMessage() for record in said.records if "not in training" in record.getMessage()]
    assert told == [f"{NAME}: tag bb was not in training"]


def test_an_empty_one_is_told_apart_and_said(noted: Path, said: pytest.LogCaptureFixture) -> None:
    write_domains(noted / "1", "tag", ["a", "bb"])
    with ModelServer(settings_for(noted)) as server:
        with connect(f"grpc://127.0.0.1:{server.grpc_port}", NAME) as client:
            client.predict({**ROWS, "tag": ["a", "", ""]})
        assert counted(server) == 2
    told = [record.getMessage() for record in said.records if "not in training" in record.getMessage()]
    assert told == [f"{NAME}: tag '' (empty) was not in training"]


def test_they_are_refused_where_that_is_wanted(noted: Path) -> None:
    with (
        ModelServer(settings_for(noted, refuse_unknown_domains=True)) as server,
        connect(f"grpc://127.0.0.1:{server.grpc_port}", NAME) as client,
    ):
        with pytest.raises(CallError, match="input 'tag': bb was not in training") as refused:
            client.predict(ROWS)
        assert refused.value.code == Code.INVALID_ARGUMENT
        known = {**ROWS, "tag": ["a", "a", ""]}
        assert client.predict(known)["click_probability"].shape == (3,)


def test_a_model_without_a_note_is_served_as_ever(saved: Path) -> None:
    assert read_domains(saved / "1") is None
    with ModelServer(settings_for(saved)) as server:
        with connect(f"grpc://127.0.0.1:{server.grpc_port}", NAME) as client:
            client.predict(ROWS)
        assert counted(server) == 0


def test_the_request_beside_a_version_is_one_that_it_answers(noted: Path) -> None:
    assert example_curl(noted / "1", NAME) is None
    assert how_to_ask(noted / "1") == []
    write_request(noted / "1" / REQUEST, {"user_id": 3, "duration": 0.5, "tag": "it's"})
    curl = example_curl(noted / "1", NAME)
    assert curl is not None
    assert curl.startswith(f"curl -s http://localhost:8501/v1/models/{NAME}:predict -d ")
    assert how_to_ask(noted / "1")[0].startswith(f"ask it: dfei serve {noted}")
    with ModelServer(settings_for(noted)) as server:
        url = f"http://127.0.0.1:{server.rest_port}/v1/models/{NAME}:predict"
        answer = urllib.request.urlopen(url, (noted / "1" / REQUEST).read_bytes(), timeout=20).read()
    assert len(json.loads(answer)["predictions"]) == 1


def test_a_long_request_is_named_by_its_file(noted: Path) -> None:
    write_request(noted / "1" / REQUEST, {f"column_{n}": "a value" for n in range(60)})
    curl = example_curl(noted / "1", NAME)
    assert curl is not None
    assert curl.endswith(f"-d @{noted / '1' / REQUEST}")


def test_the_axes_of_a_ranking_have_letters_of_their_own() -> None:
    output = TensorSpec(1, (-1, -1, -1))
    assert (_shape(output, "rdc"), _shape(output, "n")) == ("[r, d, c]", "[n, n, n]")


def test_a_signature_in_words(noted: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_request(noted / "1" / REQUEST, {"user_id": 3, "duration": 0.5, "tag": "a\x1fb\x1f"})
    told = describe(noted, None)
    assert told.lists == ("tag",)
    assert (told.domain, told.domains) == ("tag", ("a", ""))
    print_signature(told)
    shown = capsys.readouterr().out
    assert "duration   float32   [n]" in shown
    assert "every request has it" in shown
    assert "NaN, or left out" in shown
    assert "tag: 2 values in training" in shown
    assert "curl -s http://localhost:8501" in shown
    assert r'tag: several values are one text, with U+001F behind each; in JSON "one\u001ftwo\u001f"' in shown
    assert not [name for name in told.signatures if name.startswith("__")]
    document = told.document()
    assert document["signatures"]["optional"]["inputs"]["y"]["optional"] is True


def test_a_server_says_what_the_folder_says_but_for_the_real_row(
    noted: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_request(noted / "1" / REQUEST, {"user_id": 3, "duration": 0.5, "tag": "a"})
    write_lists(noted / "1", {"tag": "|"})
    write_written(noted / "1", {"duration": "iso"})
    folder = describe(noted, None).document()
    with ModelServer(settings_for(noted)) as server:
        url = f"http://127.0.0.1:{server.rest_port}"
        told = describe(None, f"{url}/{NAME}")
        with pytest.raises(urllib.error.HTTPError) as refused:
            rows = json.dumps({"inputs": {"user_id": [3], "duration": [1], "tag": [["a", "b"]]}}).encode()
            urllib.request.urlopen(f"{url}/v1/models/{NAME}:predict", rows, timeout=20)
        remedy = json.loads(refused.value.read())["error"]
        over_grpc = describe(None, f"grpc://127.0.0.1:{server.grpc_port}/{NAME}")
    served = told.document()
    for key in ("signatures", "domain", "domains", "lists", "separators", "dates"):
        assert served[key] == folder[key] != [], key
    assert served["curl"] == (
        f"curl -s {url}/v1/models/{NAME}:predict -d '" + '{"instances": [{"tag": "a"}]}' + "'"
    )
    assert r'in JSON "one\u001ftwo\u001f"' in remedy
    print_signature(told)
    shown = capsys.readouterr().out
    assert r'in JSON "one\u001ftwo\u001f"; or with | between them (tag)' in shown
    assert "duration: dates" in shown
    assert "a real one, of a user, lies in the model's folder" in shown
    assert over_grpc.signatures.keys() == told.signatures.keys()
    print_signature(over_grpc)
    assert "`dfei serve` tells them over REST (--url http://...)" in capsys.readouterr().out
