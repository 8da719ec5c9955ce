"""The containers' command, on the smallest component: the look-up of what is being served."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from components.errors import InputError
from kubeflow import baseline, compat, entrypoint, mounts

TYPE = {"instanceSchema": "title: tfx.Model\ntype: object\n"}


def _arguments(tmp_path: Path, serving: Path, *beam: str) -> list[str]:
    invocation = {
        "inputs": {
            "parameterValues": {"runtime_push_destination": str(serving), "runtime_model": "dfei"},
        },
        "outputs": {
            "artifacts": {"model": {"artifacts": [{"uri": "minio://b/run/baseline/model", "type": TYPE}]}},
            "outputFile": str(tmp_path / "kfp_outputs" / "output_metadata.json"),
        },
    }
    return [
        "--executor_class_path",
        "kubeflow.baseline.Baseline_Executor",
        "--json_serialized_invocation_args",
        json.dumps(invocation),
        "--json_serialized_inputs_spec_args",
        json.dumps({"parameters": {"runtime_model": {"parameterType": "STRING"}}}),
        *beam,
    ]


def _output(tmp_path: Path) -> dict[str, Any]:
    document = json.loads((tmp_path / "kfp_outputs" / "output_metadata.json").read_text())
    [artifact] = document["artifacts"]["model"]["artifacts"]
    return dict(artifact)


@pytest.fixture(autouse=True)
def _mounts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(mounts.ROOT_VARIABLE, str(tmp_path / "mounts"))


def test_without_a_served_model_the_artifact_says_so(tmp_path: Path) -> None:
    entrypoint.run(_arguments(tmp_path, tmp_path / "serving"))
    artifact = _output(tmp_path)
    assert artifact["uri"] == "minio://b/run/baseline/model"
    assert artifact["metadata"][compat.ABSENT] == 1
    assert (tmp_path / "mounts" / "minio" / "b" / "run" / "baseline" / "model" / baseline.NOTE).is_file()


def test_the_newest_complete_version_is_the_baseline(tmp_path: Path) -> None:
    for version, complete in (("9", True), ("10", True), ("11", False)):
        folder = tmp_path / "serving" / "dfei" / version
        (folder / "variables").mkdir(parents=True)
        (folder / "variables" / "data").write_text(version)
        if complete:
            (folder / "saved_model.pb").write_text("")
    entrypoint.run(_arguments(tmp_path, tmp_path / "serving"))
    artifact = _output(tmp_path)
    assert compat.ABSENT not in artifact["metadata"]
    assert artifact["metadata"]["served_version"] == "10"
    model = tmp_path / "mounts" / "minio" / "b" / "run" / "baseline" / "model" / "Format-Serving"
    assert (model / "variables" / "data").read_text() == "10"


def test_workers_elsewhere_need_a_store_that_they_reach(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="minio://b/run/baseline/model"):
        entrypoint.run(_arguments(tmp_path, tmp_path / "serving", "--runner=FlinkRunner"))


def test_a_wrong_parameter_ends_with_code_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = _arguments(tmp_path, tmp_path / "serving")
    invocation = json.loads(arguments[3])
    invocation["inputs"]["parameterValues"]["runtime_push_destination"] = ""
    arguments[3] = json.dumps(invocation)
    codes: list[int] = []
    monkeypatch.setattr(entrypoint, "leave", codes.append)
    monkeypatch.setattr(sys, "argv", ["entrypoint", *arguments])
    entrypoint.main()
    assert codes == [2]
    assert "error: push_destination is empty" in capsys.readouterr().err
    assert not (tmp_path / "kfp_outputs").exists()


def test_the_process_ends_without_the_interpreters_shutdown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    codes: list[int] = []
    monkeypatch.setattr(entrypoint.os, "_exit", codes.append)
    monkeypatch.setattr(sys, "argv", ["entrypoint", *_arguments(tmp_path, tmp_path / "serving")])
    entrypoint.main()
    assert codes == [0]
    assert _output(tmp_path)["metadata"][compat.ABSENT] == 1
