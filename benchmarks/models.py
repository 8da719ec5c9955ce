"""Training speed of every model side by side: `python -m benchmarks.models --domains 15 --json F`.

The same made-up rows as in `benchmarks.training` (40 categorical features, two numbers) go through the product's
training loop with every model of the comparison, and through gradient-boosted trees. Each measurement is a process of
its own; the models take turns, and the ratios to the MLP are medians over the turns.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from benchmarks.training import HOUSE, SIZES, ProcessorClock, make_rows
from models.registry import MODELS

TREES = "lightgbm"
PEER = "mlp"
EVERYTHING = (*MODELS, TREES)


def train_network(
    name: str, rows: int, domains: int, batch: int, together: int, schedule: str
) -> dict[str, float]:
    """Two epochs; the second one's speed, the first one's extra time as build time."""
    from models.registry import build_model
    from models.settings import ModelSettings, TrainingSettings
    from models.training import train

    source = make_rows(rows, domains)
    begun = time.monotonic()
    model = build_model(_layout(domains), ModelSettings(name=name))
    built = time.monotonic() - begun
    clock = ProcessorClock()
    settings = TrainingSettings(epochs=2, batch_size=batch, domains_per_step=together, schedule=schedule)
    first, second = train(model, source, None, settings, progress=clock).history
    return {
        "rows_per_second": second.rows_per_second,
        "rows_per_cpu_second": rows / clock.seconds,
        "build_seconds": built + max(first.seconds - second.seconds, 0.0),
        "parameters": float(
            sum(int(variable.shape.num_elements()) for variable in model.trainable_variables)
        ),
    }


def train_trees(rows: int, domains: int) -> dict[str, float]:
    """All trees, rows over the whole time: trees have no epochs."""
    from models.gbdt import fit
    from models.settings import ModelSettings, TrainingSettings

    source = make_rows(rows, domains)
    cpu, begun = time.process_time(), time.monotonic()
    trees = fit(
        source,
        None,
        _layout(domains),
        ModelSettings(name=TREES, options={"rounds": 100}),
        TrainingSettings(),
        threads=len(os.sched_getaffinity(0)),
    )
    return {
        "rows_per_second": rows / (time.monotonic() - begun),
        "rows_per_cpu_second": rows / (time.process_time() - cpu),
        "build_seconds": 0.0,
        "parameters": float(trees.parameters),
    }


def _layout(domains: int) -> Any:
    from models.features import CategoricalFeature, FeatureLayout

    return FeatureLayout(
        tuple(CategoricalFeature(f"feature_{index}", size) for index, size in enumerate(SIZES)),
        numeric=("first", "second"),
        domains=tuple(map(str, range(domains))),
    )


def measure(name: str, rows: int, domains: int, batch: int, together: int, schedule: str) -> dict[str, float]:
    """One model in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.models", "--worker", name, "--rows", str(rows)]
    command += ["--domains", str(domains), "--batch-size", str(batch), "--domains-per-step", str(together)]
    command += ["--schedule", schedule]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(command, cwd=HOUSE, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr[-3000:]}")
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def table(runs: dict[str, list[dict[str, float]]]) -> list[dict[str, float | str]]:
    """Medians by model, and the medians of the ratios to the MLP where it is among them; fastest first."""
    rows: list[dict[str, float | str]] = []
    for name, measured in runs.items():
        row: dict[str, float | str] = {"model": name}
        for figure in measured[0]:
            row[figure] = statistics.median(run[figure] for run in measured)
        for figure, key in (("rows_per_second", "ratio_to_mlp"), ("rows_per_cpu_second", "ratio_to_mlp_cpu")):
            if PEER in runs:
                pairs = zip(measured, runs[PEER], strict=True)
                row[key] = statistics.median(mine[figure] / peer[figure] for mine, peer in pairs)
        rows.append(row)
    return sorted(rows, key=lambda row: -float(row["rows_per_second"]))


def show(rows: list[dict[str, float | str]], console: Console) -> None:
    """Prints the table."""
    shown = Table("model", "rows/s", "rows/CPU s", "of MLP (CPU)", "peak MB", "build s", "trained numbers")
    for row in rows:
        ratio = f"{row['ratio_to_mlp']:.2f} ({row['ratio_to_mlp_cpu']:.2f})" if "ratio_to_mlp" in row else ""
        shown.add_row(
            str(row["model"]),
            f"{row['rows_per_second']:,.0f}",
            f"{row['rows_per_cpu_second']:,.0f}",
            ratio,
            f"{row['peak_memory_mb']:,.0f}",
            f"{row['build_seconds']:.1f}",
            f"{row['parameters']:,.0f}",
        )
    console.print(shown)


def main(
    models: Annotated[
        str, typer.Option("--models", help="Separated by commas; default: all, and lightgbm.")
    ] = ",".join(EVERYTHING),
    domains: Annotated[int, typer.Option(help="Number of domains.")] = 15,
    rows: Annotated[int, typer.Option(help="Rows of an epoch.")] = 131_072,
    repetitions: Annotated[int, typer.Option(help="Measurements of each model.")] = 3,
    batch_size: Annotated[int, typer.Option(help="Rows of one domain in a mini-batch.")] = 128,
    domains_per_step: Annotated[int, typer.Option(help="Mini-batches in a step.")] = 8,
    schedule: Annotated[str, typer.Option(help="`training.schedule` of the networks.")] = "fused",
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the table here.")] = None,
    worker: Annotated[str | None, typer.Option(hidden=True)] = None,
) -> None:
    """Measures the training of every model of the comparison, and of gradient-boosted trees."""
    if worker is not None:
        result = (
            train_trees(rows, domains)
            if worker == TREES
            else train_network(worker, rows, domains, batch_size, domains_per_step, schedule)
        )
        result["peak_memory_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps(result), flush=True)
        os._exit(0)
    names = [name.strip() for name in models.split(",") if name.strip()]
    unknown = [name for name in names if name not in EVERYTHING]
    if unknown:
        raise typer.BadParameter(f"{unknown[0]}: choose from {', '.join(EVERYTHING)}", param_hint="--models")
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    for _ in range(repetitions):
        for name in names:
            runs[name].append(measure(name, rows, domains, batch_size, domains_per_step, schedule))
    result_rows = table(runs)
    show(result_rows, Console())
    if json_file is not None:
        document = {
            "repetitions": repetitions,
            "rows_per_epoch": rows,
            "domains": domains,
            "schedule": schedule,
            "rows": result_rows,
        }
        json_file.write_text(json.dumps(document, indent=1))


if __name__ == "__main__":
    typer.run(main)
