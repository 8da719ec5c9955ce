"""New versions under load: no request fails, none waits for the switch, memory is given back."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np
import pytest

from pipeline.client import NO_RETRIES, connect
from pipeline.serving.config_files import BatchingParameters
from pipeline.serving.server import ModelServer
from tests.pipeline.serving.conftest import ROWS, settings_for
from tests.pipeline.serving.models import NAME, copy_version, expected


class Load:
    """Threads that ask without pause and without retries, until told to stop."""

    def __init__(self, server: ModelServer, protocols: list[str]) -> None:
        self.stop = threading.Event()
        self.answered = 0
        self.failures: list[str] = []
        self.seen: set[int] = set()
        self._server = server
        self._lock = threading.Lock()
        self._right = {
            round(float(expected(ROWS, bias)[0]), 4): number for number, bias in ((1, 0.0), (2, 1.0))
        }
        self._threads = [threading.Thread(target=self._ask, args=(protocol,)) for protocol in protocols]
        for thread in self._threads:
            thread.start()

    def _ask(self, protocol: str) -> None:
        port = self._server.grpc_port if protocol == "grpc" else self._server.rest_port
        with connect(f"{protocol}://127.0.0.1:{port}", NAME, 30.0, NO_RETRIES) as client:
            while not self.stop.is_set():
                try:
                    score = round(float(client.predict(ROWS)["click_probability"][0]), 4)
                    number = self._right[score]
                except Exception as error:  # any failure at all is what this test is about
                    with self._lock:
                        self.failures.append(repr(error))
                    continue
                with self._lock:
                    self.answered += 1
                    self.seen.add(number)

    def wait_for(self, requests: int, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while self.answered < requests and not self.failures and time.monotonic() < deadline:
            time.sleep(0.01)

    def end(self) -> None:
        self.stop.set()
        for thread in self._threads:
            thread.join()


def switch_under_load(
    server: ModelServer, saved: Path, base: Path, protocols: list[str], requests: int, seconds: float
) -> Load:
    """Pushes the versions 2, 3 and 4 while `requests` are answered; returns what became of them."""
    load = Load(server, protocols)
    try:
        for step, number in enumerate((2, 3, 4), 1):
            load.wait_for(requests * step // 4, seconds)
            copy_version(saved / str(2 - number % 2), base, number)
            deadline = time.monotonic() + seconds
            while server.engine.models[NAME].available != [number] and time.monotonic() < deadline:
                time.sleep(0.01)
        load.wait_for(requests, seconds)
    finally:
        load.end()
    return load


@pytest.mark.parametrize(
    "batching", [None, BatchingParameters(max_batch_size=16, batch_timeout_seconds=0.001)]
)
def test_no_request_fails_across_three_switches(
    saved: Path, tmp_path: Path, batching: BatchingParameters | None
) -> None:
    base = tmp_path / NAME
    copy_version(saved / "1", base, 1)
    with ModelServer(settings_for(base, batching=batching)) as server:
        load = switch_under_load(server, saved, base, ["grpc", "grpc", "http"], 400, 60)
        deadline = time.monotonic() + 10
        while "UNLOADING" in _states(server) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert _states(server) == ["AVAILABLE", "END", "END", "END"]
    assert load.failures == []
    assert load.answered >= 400
    assert load.seen == {1, 2}


def _states(server: ModelServer) -> list[str]:
    return [state.state for state in server.engine.models[NAME].states().values()]


@pytest.mark.slow
def test_no_request_of_100000_fails_across_three_switches(saved: Path, tmp_path: Path) -> None:
    base = tmp_path / NAME
    copy_version(saved / "1", base, 1)
    with ModelServer(settings_for(base)) as server:
        load = switch_under_load(server, saved, base, ["grpc"] * 6 + ["http"] * 2, 100_000, 800)
    assert load.failures == []
    assert load.answered >= 100_000


def test_a_broken_push_under_load_changes_nothing(saved: Path, tmp_path: Path) -> None:
    base = tmp_path / NAME
    copy_version(saved / "1", base, 1)
    with ModelServer(settings_for(base)) as server:
        load = Load(server, ["grpc", "http"])
        try:
            load.wait_for(50, 30)
            path = copy_version(saved / "2", tmp_path / "aside", 2)
            (path / "saved_model.pb").write_bytes(b"not a graph")
            path.rename(base / "2")
            deadline = time.monotonic() + 30
            while 2 not in server.engine.models[NAME].states() and time.monotonic() < deadline:
                time.sleep(0.01)
            load.wait_for(load.answered + 50, 30)
        finally:
            load.end()
        state = server.engine.models[NAME].states()[2]
    assert load.failures == []
    assert load.seen == {1}
    assert (state.state, bool(state.message)) == ("END", True)


def test_scores_do_not_depend_on_what_they_are_computed_with(saved: Path) -> None:
    chance = np.random.default_rng(7)
    rows = {
        "user_id": chance.integers(0, 50, 300),
        "duration": chance.random(300, np.float32),
        "tag": chance.choice(["", "a", "bb"], 300),
    }
    batching = BatchingParameters(
        max_batch_size=64,
        batch_timeout_seconds=0.002,
        allowed_batch_sizes=(8, 64),
        max_execution_batch_size=64,
    )
    wanted = expected(rows, 1.0)
    got = np.zeros(300, np.float32)
    with ModelServer(settings_for(saved, batching=batching)) as server:

        def ask(first: int) -> None:
            with connect(f"grpc://127.0.0.1:{server.grpc_port}", NAME) as client:
                for start in range(first, 300, 60):
                    part = slice(start, start + first % 7 + 1)
                    got[part] = client.predict({k: v[part] for k, v in rows.items()})["click_probability"]

        starts = range(60)
        threads = [threading.Thread(target=ask, args=(first,)) for first in starts]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    np.testing.assert_allclose(got, wanted, rtol=1e-5)
