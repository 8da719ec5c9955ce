"""Who trains together is checked before anything starts, and what a training process says reaches the run."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from components import progress
from components.errors import GateError, InputError
from components.trainer import multi_worker
from components.trainer.multi_worker import cluster_of

TWO = ["a:5000", "b:5000"]


def _told(**document: object) -> dict[str, str]:
    return {"TF_CONFIG": json.dumps(document)}


def test_the_place_of_a_worker() -> None:
    here = cluster_of(_told(cluster={"worker": TWO}, task={"type": "worker", "index": 1}))
    assert here.workers == ("a:5000", "b:5000")
    assert here.index == 1


def test_a_chief_comes_before_the_workers() -> None:
    jobs = {"worker": TWO, "chief": ["c:1"]}
    assert cluster_of(_told(cluster=jobs, task={"type": "chief", "index": 0})).index == 0
    second = cluster_of(_told(cluster=jobs, task={"type": "worker", "index": 0}))
    assert (second.workers, second.index) == (("c:1", "a:5000", "b:5000"), 1)


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({}, "TF_CONFIG is not set"),
        ({"TF_CONFIG": "{"}, "expected JSON such as"),
        ({"TF_CONFIG": "[]"}, "expected JSON such as"),
        (_told(cluster={"worker": TWO}), "'task'"),
        (_told(cluster={"worker": TWO, "ps": TWO}, task={"type": "worker", "index": 0}), "'ps'"),
        (
            _told(cluster={"worker": ["a", "b:1"]}, task={"type": "worker", "index": 0}),
            "'a': expected HOST:PORT",
        ),
        (
            _told(cluster={"worker": TWO}, task={"type": "worker", "index": 2}),
            "worker 2 is not in the cluster",
        ),
        (_told(cluster={"worker": TWO}, task={"type": "chief", "index": 0}), "chief 0 is not in the cluster"),
        (_told(cluster={"worker": ["a:1"]}, task={"type": "worker", "index": 0}), "at least two"),
    ],
)
def test_a_wrong_configuration_is_refused(environment: dict[str, str], words: str) -> None:
    with pytest.raises(InputError) as caught:
        cluster_of(environment)
    assert words in str(caught.value)


def test_only_worker_0_runs_the_pipeline_and_only_others_join(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for index in (0, 1):
        told = _told(cluster={"worker": TWO}, task={"type": "worker", "index": index})
        monkeypatch.setenv("TF_CONFIG", told["TF_CONFIG"])
        if index == 0:
            multi_worker.check_chief()
            with pytest.raises(InputError, match="start `dfei run` here"):
                multi_worker.join(tmp_path, 0)
        else:
            with pytest.raises(InputError, match="start `dfei worker"):
                multi_worker.check_chief()
            with pytest.raises(InputError, match="no training began within 0 s"):
                multi_worker.join(tmp_path, 0)


def _says(*lines: object, code: int) -> list[str]:
    text = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
    return [sys.executable, "-c", f"import sys; print({text!r}); sys.exit({code})"]


def test_progress_and_chatter_of_a_training_process() -> None:
    heard: list[progress.Progress] = []
    report = {"step": "training", "done": 3, "total": 9, "unit": "rows", "note": ""}
    with progress.listening(heard.append):
        multi_worker._watch(_says("chatter", {"progress": report}, "7", code=0))
    assert heard == [progress.Progress("training", 3, 9)]


def test_how_a_training_process_ended() -> None:
    with pytest.raises(InputError, match="no rows"):
        multi_worker._watch(_says({"problem": {"text": "no rows", "code": 2}}, code=2))
    with pytest.raises(GateError, match="diverged"):
        multi_worker._watch(_says({"problem": {"text": "diverged", "code": 1}}, code=1))
    with pytest.raises(RuntimeError, match="ended with code 7"):
        multi_worker._watch(_says("chatter", code=7))
