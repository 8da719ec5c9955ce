"""`docs/extend.md`, followed to the letter: in a copy of the product, with the files as they stand on the page."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from components.dataset.loader import load_declaration
from tests.components.example_gen.small import run_ingest
from tests.docs.blocks import DOCS, HOUSE, Block, blocks, commands

PAGE = DOCS / "extend.md"
FILES = {block.notes["title"]: block for block in blocks(PAGE) if "title" in block.notes}


def write(block: Block, root: Path) -> None:
    """Writes a block's file, or adds its lines to the table that the block names."""
    path = root / block.notes["title"]
    if "add" not in block.notes:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block.text)
        return
    text = path.read_text()
    begin = text.index(f"{block.notes['add']}: ")
    end = text.index("\n}", begin)
    path.write_text(text[: end + 1] + block.text + text[end + 1 :])


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the product with everything on the page written into it."""
    copy = tmp_path_factory.mktemp("house")
    for folder in ("models", "components", "pipeline", "schemas", "kubeflow", "tests"):
        shutil.copytree(HOUSE / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(HOUSE / "pyproject.toml", copy)
    for block in FILES.values():
        write(block, copy)
    return copy


def python(house: Path, *arguments: str | Path, timeout: float = 600) -> subprocess.CompletedProcess[str]:
    """Python in the copy, whose packages come first."""
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=house,
        env={**os.environ, "PYTHONPATH": str(house), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def test_the_new_model_keeps_every_models_promises(house: Path) -> None:
    listed = python(house, "-c", "import models.registry as r; print(r.__file__, r.model_class('fm'))")
    assert listed.returncode == 0, listed.stderr
    assert str(house) in listed.stdout
    done = python(
        house, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/models/test_contracts.py", "-k", "fm"
    )
    assert done.returncode == 0, done.stdout[-3000:]
    passed = int(done.stdout.rsplit(" passed", 1)[0].split()[-1])
    assert passed > 5


def test_the_new_data_set_is_read(house: Path, tmp_path: Path) -> None:
    declaration = load_declaration(str(house / "shop.yaml"), [])
    report = run_ingest(declaration, house / "shop", tmp_path)
    assert (report["train"], report["eval"]) == (4, 2)
    assert report["first_day"] == "2024-03-01"


@pytest.mark.slow
def test_the_new_model_goes_from_logs_to_a_served_version(house: Path, tmp_path: Path) -> None:
    [command, *_] = [command for command in commands(PAGE) if "--model fm" in command]
    words = command.split()[1:]
    root = Path(words[words.index("--root") + 1])
    settings = ["evaluation.thresholds={}", "evaluation.min_rows=50", "training.epochs=1"]
    done = python(
        house,
        "-m",
        "pipeline",
        *words,
        "--json",
        *(part for s in settings for part in ("--set", s)),
        timeout=1200,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["model"] == "fm"
    assert list((house / root / "serving" / "fm").iterdir())


@pytest.mark.slow
def test_six_rows_are_refused_and_it_is_said_why(house: Path) -> None:
    [command] = [command for command in commands(PAGE) if "shop.yaml" in command]
    done = python(house, "-m", "pipeline", *command.split()[1:], timeout=1200)
    assert done.returncode in (1, 2), done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert not list((house / "out" / "shop" / "serving").glob("*/*"))
