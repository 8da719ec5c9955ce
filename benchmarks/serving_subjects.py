"""What `benchmarks.serving` measures: a model and requests for it.

Rows of a request are of domains that are drawn

* `feed`: as the traffic of a feed has them, which is very uneven;
* `even`: all with the same chance, so that with many domains nearly every row is of another one.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from benchmarks.serving_model import feature_columns
from benchmarks.serving_processes import HOUSE
from models.arrays import Array

Mix = Literal["feed", "even"]
MIXES: tuple[Mix, ...] = get_args(Mix)
ROWS_OF_A_RUN = 20_000


@dataclass(frozen=True)
class Subject:
    """A model that can be asked.

    Attributes:
        name: for the table.
        domains: how many it knows.
        model: its SavedModel.
        domain: the name of the domain's column.
        columns: a request's columns (rows,) from the number of rows, how domains are mixed, and a seed.
    """

    name: str
    domains: int
    model: Path
    domain: str
    columns: Callable[[int, Mix, int], dict[str, Array]]


def untrained(domains: int, full_kernels: bool, scratch: Path) -> Subject:
    """DFEI with so many domains, made by a process of its own; traffic as the simulated feed's."""
    from pipeline.simulate.world import domain_sizes

    model = scratch / f"model-{domains}"
    build = (
        "from pathlib import Path; from benchmarks.serving_model import save_model;"
        f"save_model(Path({str(model)!r}), {domains}, {full_kernels})"
    )
    subprocess.run([sys.executable, "-c", build], cwd=HOUSE, check=True, capture_output=True)
    sizes = domain_sizes(domains, 1_000 * domains).astype(float)
    shares = {"feed": sizes / sizes.sum(), "even": np.full(domains, 1 / domains)}

    def columns(rows: int, mix: Mix, seed: int) -> dict[str, Array]:
        domain = np.random.default_rng([seed, rows]).choice(domains, rows, p=shares[mix])
        return {**feature_columns(rows, domains, seed), "domain": domain}

    return Subject(f"untrained-{domains}", domains, model, "domain", columns)


def of_run(root: Path) -> Subject:
    """The model that a run pushed, asked for rows of its evaluation days."""
    from components.dataset.loader import load_declaration
    from components.signature_check.real_rows import named_rows, read_serialized
    from components.trainer.raw_inputs import request_features

    metrics = json.loads((root / "metrics.json").read_text())
    declaration = load_declaration(metrics["dataset"])
    examples = (root / "artifacts" / "DeclaredExampleGen" / "examples").iterdir()
    split = max(examples, key=lambda path: int(path.name)) / "Split-eval"
    serialized = read_serialized([str(path) for path in split.iterdir()], ROWS_OF_A_RUN)
    real = named_rows(serialized, request_features(declaration))
    known = np.unique(real[declaration.domain])

    def columns(rows: int, mix: Mix, seed: int) -> dict[str, Array]:
        chance = np.random.default_rng([seed, rows])
        chosen = chance.integers(0, len(serialized), rows)
        request = {name: column[chosen] for name, column in real.items()}
        if mix == "even":
            request[declaration.domain] = chance.choice(known, rows)
        return request

    return Subject(str(root), len(known), Path(metrics["pushed_to"]), declaration.domain, columns)
