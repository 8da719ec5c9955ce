"""Metadata on a database server: addresses are checked early, and real servers keep what a run says."""

from __future__ import annotations

import os
import string
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ml_metadata import metadata_store
from ml_metadata.proto import metadata_store_pb2, metadata_store_service_pb2

from components.errors import InputError
from pipeline.metadata_store import (
    MetadataServer,
    check_metadata,
    connection_config,
    open_store,
    parse_metadata,
)
from pipeline.metadata_texts import change_texts, marked, open_metadata, unmarked
from tests.e2e.conftest import HOUSE, SMALL, metrics
from tests.pipeline.database_servers import PASSWORD, SERVERS

ENVIRONMENT = {"DFEI_METADATA_PASSWORD": PASSWORD}


def test_an_address_with_defaults_from_the_environment() -> None:
    environment = {**ENVIRONMENT, "DFEI_METADATA_USER": "ann"}
    server = parse_metadata("mariadb://db.example/meta", environment)
    assert (server.kind, server.host, server.port, server.database) == ("mysql", "db.example", 3306, "meta")
    assert (server.user, server.password) == ("ann", PASSWORD)
    assert PASSWORD not in repr(server) + str(server)
    config = connection_config(server)
    assert (config.mysql.port, config.mysql.skip_db_creation) == (3306, True)


def test_options_of_an_encrypted_connection() -> None:
    text = "postgresql://u%40x@h:1/d?sslmode=verify-full&sslrootcert=/etc/ca.pem"
    config = connection_config(parse_metadata(text, ENVIRONMENT))
    assert (config.postgresql.user, config.postgresql.port) == ("u@x", "1")
    assert config.postgresql.ssloption.sslmode == "verify-full"
    assert config.postgresql.ssloption.sslrootcert == "/etc/ca.pem"
    assert connection_config(parse_metadata("mysql://u@h/d?ca=c.pem", {})).mysql.ssl_options.ca == "c.pem"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("metadata.sqlite", "expected postgresql://"),
        ("oracle://u@h/d", "expected postgresql://"),
        ("mysql://u@h", "expected postgresql://"),
        ("mysql://u@h/a/b", "expected postgresql://"),
        ("mysql://u@h:port/d", "expected postgresql://"),
        ("mysql://h/d", "set DFEI_METADATA_USER"),
        ("mysql://u@h/d?sslmode=require", "takes no option 'sslmode', but ca, cert, key"),
        ("mysql://u:hunter2@h/d", "set DFEI_METADATA_PASSWORD"),
    ],
)
def test_a_wrong_address_is_refused(text: str, words: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_metadata(text, {})
    assert words in str(caught.value)
    assert "hunter2" not in str(caught.value)


@given(st.text(alphabet=st.sampled_from("ab\\\ue000mé'")))
def test_texts_without_backslashes_come_back(text: str) -> None:
    assert "\\" not in marked(text)
    assert unmarked(marked(text)) == text


def test_every_text_of_a_message_is_changed() -> None:
    message = metadata_store_service_pb2.PutExecutionsRequest()
    execution = message.executions.add(name="a")
    execution.properties["p"].string_value = "b"
    execution.custom_properties["q"].int_value = 3
    execution.custom_properties["r"].struct_value["s"] = "c"
    change_texts(message, str.upper)
    assert (execution.name, execution.properties["p"].string_value) == ("A", "B")
    assert execution.custom_properties["q"].int_value == 3
    assert execution.custom_properties["r"].struct_value["s"] == "C"


@pytest.mark.parametrize("kind", ["postgresql", "mysql"])
def test_a_server_that_does_not_answer_is_an_error_before_anything_starts(kind: str) -> None:
    with pytest.raises(InputError, match="no connection"):
        check_metadata(MetadataServer(kind, "127.0.0.1", 9, "d", "u", PASSWORD))


@pytest.fixture(scope="module", params=["postgresql", "mysql"])
def address(request: pytest.FixtureRequest) -> Iterator[str]:
    """An empty database on a real server."""
    with SERVERS[request.param]() as url:
        yield url


@pytest.mark.slow
def test_what_the_server_refuses_is_said(address: str) -> None:
    check_metadata(parse_metadata(address, ENVIRONMENT))
    for changed, environment in (
        (address, {"DFEI_METADATA_PASSWORD": "wrong"}),
        (f"{address}2", ENVIRONMENT),
    ):
        with pytest.raises(InputError) as caught:
            check_metadata(parse_metadata(changed, environment))
        assert "no connection" in str(caught.value)
        assert "wrong" not in str(caught.value)


@pytest.mark.slow
def test_a_long_text_of_any_letters_comes_back(address: str) -> None:
    server = parse_metadata(address, ENVIRONMENT)
    # Twice: the second run of a shared store finds tables and indexes.
    config = [open_store(server) for _ in range(2)][1]
    handle = open_metadata(config)
    letters = np.random.default_rng(1).choice(list(string.printable + "é中\ue000"), 60_000)
    text = "".join(letters)
    kind = metadata_store_pb2.ExecutionType(name="kind", properties={"text": metadata_store_pb2.STRING})
    with handle as opened:
        execution = metadata_store_pb2.Execution(type_id=opened.store.put_execution_type(kind))
        execution.properties["text"].string_value = text
        [number] = opened.store.put_executions([execution])
        assert execution.properties["text"].string_value == text
    with open_metadata(config) as again:
        [back] = again.store.get_executions_by_id([number])
        [named] = again.store.get_executions_by_type("kind")
    assert back.properties["text"].string_value == named.properties["text"].string_value == text


@pytest.mark.slow
def test_artifacts_come_in_the_order_of_their_ids(address: str) -> None:
    with open_metadata(open_store(parse_metadata(address, ENVIRONMENT))) as opened:
        store = opened.store
        kind = store.put_artifact_type(metadata_store_pb2.ArtifactType(name="ordered"))
        ids = store.put_artifacts([metadata_store_pb2.Artifact(type_id=kind, uri=uri) for uri in "abc"])
        for number in ids[:2]:
            store.put_artifacts([metadata_store_pb2.Artifact(id=number, type_id=kind, uri=f"later {number}")])
        assert [artifact.id for artifact in store.get_artifacts_by_id(ids)] == sorted(ids)


def _run(data: Path, root: Path, address: str) -> subprocess.CompletedProcess[str]:
    sets = [part for setting in SMALL for part in ("--set", setting)]
    places = ["--dataset", "simulated", "--data", data, "--root", root, "--metadata", address]
    return subprocess.run(
        [sys.executable, "-m", "pipeline", "run", *map(str, places), *sets],
        cwd=HOUSE,
        env={**os.environ, **ENVIRONMENT, "COLUMNS": "200"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_two_roots_share_one_store(address: str, tmp_path: Path) -> None:
    from pipeline.simulate import simulate

    simulate(tmp_path / "data", domains=6, rows=12_000, seed=3)
    first, second = tmp_path / "first", tmp_path / "second"
    done = _run(tmp_path / "data", first, address)
    assert done.returncode == 0, done.stdout
    assert not (first / "metadata.sqlite").exists()
    again = _run(tmp_path / "data", first, address)
    assert again.returncode == 0, again.stdout

    store = metadata_store.MetadataStore(connection_config(parse_metadata(address, ENVIRONMENT)))
    types = {kind.name for kind in store.get_execution_types()}
    trainers = [name for name in types if name.rpartition(".")[2] in ("Trainer", "GenericTrainer")]
    assert trainers, types
    states = [
        metadata_store_pb2.Execution.State.Name(execution.last_known_state)
        for name in trainers
        for execution in store.get_executions_by_type(name)
    ]
    assert sorted(states) == ["CACHED", "COMPLETE"]

    # Another root finds the first one's results, and its model as the baseline.
    other = _run(tmp_path / "data", second, address)
    assert other.returncode == 0, other.stdout
    # The clock sizes the Evaluator's batches, and a prediction's last bit goes with its batch.
    assert metrics(second)["average_auc"] == pytest.approx(metrics(first)["average_auc"], abs=1e-5)
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or PASSWORD.encode() not in path.read_bytes(), path
