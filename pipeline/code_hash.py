"""Hashes of the code behind each component, so that the cache sees code edits.

TFX's cache compares a component's inputs and parameters. Components of an installed package are named by their
dotted path, which says nothing of what the code does; so each component gets a hash of its files as a parameter.
"""

from __future__ import annotations

import ast
import functools
import hashlib
from pathlib import Path

from models.registry import MODELS

HOUSE = Path(__file__).resolve().parent.parent

_SHARED = (
    "components/dataset",
    "components/errors.py",
    "components/worker_errors.py",
    "components/beam_jobs.py",
    "components/example_bytes.py",
    "components/example_files.py",
)
_SOURCES: dict[str, tuple[str, ...]] = {
    "example_gen": ("components/example_gen",),
    "statistics_gen": ("components/statistics_gen",),
    "transform": ("components/transform",),
    "trainer": (
        "components/trainer",
        "components/baseline/target.py",
        "components/transform",
        "components/study",
        "components/evaluator/score_tables.py",
        "models",
    ),
    "evaluator": ("components/evaluator", "models/metrics.py"),
    "drift": ("components/drift", "components/evaluator", "components/trainer/replay.py"),
    "signature_check": ("components/signature_check", "components/trainer", "components/transform"),
    "rows": ("components/decoded_rows", "components/trainer", "components/transform", "models/features.py"),
    "tuner": (
        "components/tuner",
        "components/comparison",
        "components/trainer",
        "components/transform",
        "models",
    ),
    "latency": ("components/latency", "components/signature_check", "components/trainer"),
}


# Those of a single run; the others are a comparison's.
COMPONENTS = ("example_gen", "statistics_gen", "transform", "trainer", "evaluator", "signature_check")


REGISTRY = "models/registry.py"
# The study of every training has an MLP beside the model; the trees' files import each other.
_OF_ALL = ("mlp",)


@functools.cache
def code_hash(component: str, model: str | None = None) -> str:
    """Hash of the Python files that a component runs.

    Args:
      component: one of `COMPONENTS`, or `rows`, `tuner` or `latency`.
      model: the registered model that it trains: other models' files, and their lines in the registry, then change
        nothing. `None`: it may train any.
    """
    digest = hashlib.blake2b(digest_size=12)
    left_out = set() if model is None else _other_models(model)
    for source in sorted({*_SHARED, *_SOURCES[component]}):
        path = HOUSE / source
        files = sorted(path.rglob("*.py")) if path.is_dir() else [path]
        for file in files:
            name = file.relative_to(HOUSE).as_posix()
            if name not in left_out:
                digest.update(name.encode())
                digest.update(file.read_bytes())
    if model is not None:
        digest.update(f"{model} {MODELS.get(model)}".encode())
    return digest.hexdigest()


def _other_models(model: str) -> set[str]:
    """The registry, and the files of the registered models that neither this one's file nor the study imports."""
    files = {name: f"{target.partition(':')[0].replace('.', '/')}.py" for name, target in MODELS.items()}
    reached = {files[name] for name in (model, *_OF_ALL) if name in files}
    for file in list(reached):
        reached |= _imported(file) & set(files.values())
    return {REGISTRY, *files.values()} - reached


def _imported(file: str) -> set[str]:
    """The files of the modules that a file imports, itself or through them."""
    found: set[str] = set()
    waiting = [file]
    while waiting:
        tree = ast.parse((HOUSE / waiting.pop()).read_text(encoding="utf-8"))
        modules = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}
        modules |= {
            name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names
        }
        for path in (f"{module.replace('.', '/')}.py" for module in modules):
            if path not in found and (HOUSE / path).is_file():
                found.add(path)
                waiting.append(path)
    return found
