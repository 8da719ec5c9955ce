"""Which components run when: by their inputs, so many at once, some alone, some not at all."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from tfx.proto.orchestration import pipeline_pb2

from pipeline.compare import runner
from pipeline.events import NodeRun, NodeStarted

GRAPH = {
    "gen": [],
    "a": ["gen"],
    "b": ["gen"],
    "c": ["gen"],
    "latency.a": ["a"],
    "latency.b": ["b"],
    "champion": ["a", "b", "c"],
    "check": ["champion"],
    "push": ["champion", "check"],
}


class Launches:
    """Stands for launching: notes what ran beside what."""

    def __init__(self, act: Callable[[str], dict[str, list[Any]]]) -> None:
        self._act = act
        self._lock = threading.Lock()
        self._running: set[str] = set()
        self.beside: dict[str, set[str]] = {}
        self.most = 0

    def launch(self, node: pipeline_pb2.PipelineNode) -> NodeRun:
        name = node.node_info.id
        with self._lock:
            self._running.add(name)
            self.most = max(self.most, len(self._running))
            for other in self._running:
                self.beside.setdefault(other, set()).update(self._running - {other})
                self.beside.setdefault(name, set()).update(self._running - {name})
        time.sleep(0.02)
        try:
            outputs = self._act(name)
        finally:
            with self._lock:
                self._running.discard(name)
        return NodeRun(name, False, 0.0, 0.0, outputs)


def _runner(
    monkeypatch: pytest.MonkeyPatch, act: Callable[[str], dict[str, list[Any]]], jobs: int = 2
) -> tuple[runner.ParallelRunner, Launches, list[str]]:
    launches = Launches(act)
    monkeypatch.setattr(runner, "_Launches", lambda pipeline, pool: launches)
    begun: list[str] = []
    parallel = runner.ParallelRunner(
        None,  # type: ignore[arg-type]
        jobs,
        alone=lambda name: name.startswith("latency"),
        optional=("champion",),
        listener=lambda event: begun.append(event.node) if isinstance(event, NodeStarted) else None,
    )
    return parallel, launches, begun


def _run_graph(parallel: runner.ParallelRunner) -> None:
    pipeline = pipeline_pb2.Pipeline()
    for name, upstream in GRAPH.items():
        node = pipeline.nodes.add().pipeline_node
        node.node_info.id = name
        node.upstream_nodes.extend(upstream)
    parallel.run_with_ir(pipeline)


def test_every_component_runs_once_after_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    parallel, launches, begun = _runner(monkeypatch, lambda name: {"out": [name]})
    _run_graph(parallel)
    assert sorted(begun) == sorted(GRAPH)
    for name, upstream in GRAPH.items():
        assert all(begun.index(other) < begun.index(name) for other in upstream)
        assert not launches.beside.get(name, set()) & set(upstream)
    assert launches.most == 2
    assert launches.beside["latency.a"] == launches.beside["latency.b"] == set()


def test_one_job_runs_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    parallel, launches, _ = _runner(monkeypatch, lambda name: {"out": [name]}, jobs=1)
    _run_graph(parallel)
    assert launches.most == 1


def test_what_hangs_on_a_champion_that_is_not_there_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    parallel, _, begun = _runner(monkeypatch, lambda name: {"out": [] if name == "champion" else [name]})
    _run_graph(parallel)
    assert set(parallel.runs) == set(begun) == set(GRAPH) - {"check", "push"}


def test_after_a_failure_nothing_new_begins_and_what_ran_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    def act(name: str) -> dict[str, list[Any]]:
        if name == "a":
            raise ValueError("broken")
        time.sleep(0.1)
        return {"out": [name]}

    parallel, _, begun = _runner(monkeypatch, act)
    with pytest.raises(ValueError, match="broken"):
        _run_graph(parallel)
    assert set(parallel.runs) == {"gen", "b"}
    assert set(begun) == {"gen", "a", "b"}
