"""What a component's hash knows of: an edit that it can reach, and no other."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from models.registry import MODELS
from pipeline import code_hash as module
from pipeline.code_hash import code_hash


@pytest.fixture
def house(tmp_path, monkeypatch) -> Path:
    """A copy of the code, to edit."""
    for folder in ("components", "models"):
        shutil.copytree(
            module.HOUSE / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__")
        )
    monkeypatch.setattr(module, "HOUSE", tmp_path)
    code_hash.cache_clear()
    yield tmp_path
    code_hash.cache_clear()


def edit(file: Path) -> None:
    file.write_text(file.read_text() + "# edited\n")
    code_hash.cache_clear()


def hashes() -> dict[str, str]:
    return {name: code_hash("trainer", name) for name in (*MODELS, "lightgbm")}


def test_a_new_model_leaves_the_trainings_of_all_others_in_the_cache(house, monkeypatch):
    before = hashes()
    (house / "models" / "fm.py").write_text("from models.base import DomainModel\n")
    monkeypatch.setitem(module.MODELS, "fm", "models.fm:FM")
    edit(house / "models" / "registry.py")
    after = hashes()
    assert {name: after[name] for name in before} == before
    assert after["fm"] not in before.values()


def test_an_edit_of_a_model_trains_that_model_again(house):
    before = hashes()
    edit(house / "models" / "mmoe.py")
    assert {name for name, value in hashes().items() if value != before[name]} == {"mmoe"}


def test_what_models_share_trains_all_again(house):
    before = hashes()
    edit(house / "models" / "layers" / "tower.py")
    assert all(value != before[name] for name, value in hashes().items())


def test_the_mlp_of_the_report_belongs_to_every_training(house):
    before = hashes()
    edit(house / "models" / "mlp.py")
    assert all(value != before[name] for name, value in hashes().items())
    other = code_hash("evaluator")
    edit(house / "models" / "dfei.py")
    assert code_hash("evaluator") == other
