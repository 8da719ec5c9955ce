"""Hashes of the code behind each component, so that the cache sees code edits.

TFX's cache compares a component's inputs and parameters. Components of an installed package are named by their
dotted path, which says nothing of what the code does; so each component gets a hash of its files as a parameter.
"""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path

HOUSE = Path(__file__).resolve().parent.parent

_SHARED = ("components/dataset", "components/errors.py")
_SOURCES: dict[str, tuple[str, ...]] = {
    "example_gen": ("components/example_gen",),
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
COMPONENTS = ("example_gen", "transform", "trainer", "evaluator", "signature_check")


@functools.cache
def code_hash(component: str) -> str:
    """Hash of the Python files that a component runs.

    Args:
      component: one of `COMPONENTS`, or `rows`, `tuner` or `latency`.
    """
    digest = hashlib.blake2b(digest_size=12)
    for source in sorted({*_SHARED, *_SOURCES[component]}):
        path = HOUSE / source
        files = sorted(path.rglob("*.py")) if path.is_dir() else [path]
        for file in files:
            digest.update(str(file.relative_to(HOUSE)).encode())
            digest.update(file.read_bytes())
    return digest.hexdigest()
