"""Training speed and memory by number of domains: `python -m benchmarks.training --domains 5 1000 --json F`.

The same number of made-up rows (40 categorical features, two numbers) is trained on by DFEI with the product's training
loop, and by a plain one-tower MLP in a `tf.function` with Keras' Adam on batches of as many rows. Every configuration
runs in a process of its own, in turn, several times; the ratios are medians of repetitions side by side.
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

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

HOUSE = Path(__file__).resolve().parent.parent
SIZES = (100_000, 20_000, 5_000, *([1_000, 200, 50, 20, 10] * 8)[:37])
MLP = "mlp"


def make_rows(rows: int, domains: int) -> Any:
    """Made-up rows: Zipf-distributed ids, uneven domains, two numbers, 40 % clicks."""
    from models.rows import ArrayRows

    generator = np.random.default_rng(0)
    columns = [
        np.minimum(generator.zipf(1.3, rows) - 1, size - 1)
        if size > 1000
        else generator.integers(0, size, rows)
        for size in SIZES
    ]
    share = 1.0 / np.arange(1, domains + 1) ** 0.5
    return ArrayRows(
        {
            "categorical": np.stack(columns, axis=1).astype(np.int64),
            "numeric": generator.normal(size=(rows, 2)).astype(np.float32),
        },
        generator.choice(domains, rows, p=share / share.sum()).astype(np.int32),
        (generator.random(rows) < 0.4).astype(np.float32),
    )


class ProcessorClock:
    """Processor seconds of the last epoch, for `models.training.train` to tell.

    It runs while the loop's own clock runs: what comes between epochs, such as writing the weights, is not training.
    """

    def __init__(self) -> None:
        self._begun = time.process_time()
        self.seconds = 0.0

    def on_step(self, rows_done: int, rows_total: int, loss: float) -> None:
        """Some steps are done."""
        self.seconds = time.process_time() - self._begun

    def on_epoch(self, record: Any) -> None:
        """An epoch is done and validated; the next one begins."""
        self._begun = time.process_time()


def train_dfei(rows: int, domains: int, batch: int, together: int, full_kernels: bool) -> dict[str, float]:
    """Two epochs of the product's training; the second one's speed, the first one's extra time as build time."""
    from models.features import CategoricalFeature, FeatureLayout
    from models.registry import build_model
    from models.settings import ModelSettings, TrainingSettings
    from models.training import train

    layout = FeatureLayout(
        tuple(CategoricalFeature(f"feature_{index}", size) for index, size in enumerate(SIZES)),
        numeric=("first", "second"),
        domains=tuple(map(str, range(domains))),
    )
    source = make_rows(rows, domains)
    begun = time.monotonic()
    model = build_model(layout, ModelSettings(common_base=False if full_kernels else None))
    built = time.monotonic() - begun
    clock = ProcessorClock()
    settings = TrainingSettings(epochs=2, batch_size=batch, domains_per_step=together)
    first, second = train(model, source, None, settings, progress=clock).history
    return {
        "rows_per_second": second.rows_per_second,
        "rows_per_cpu_second": rows / clock.seconds,
        "build_seconds": built + max(first.seconds - second.seconds, 0.0),
    }


def train_mlp(rows: int, batch: int) -> dict[str, float]:
    """The peer: one tower, Keras' Adam, one `tf.function` step, batches from memory."""
    import tensorflow as tf
    import tf_keras as keras

    source = make_rows(rows, 5)
    offsets = np.cumsum([0, *SIZES[:-1]])
    begun = time.monotonic()
    embedding = keras.layers.Embedding(sum(SIZES), 16)
    tower = keras.Sequential(
        [*(keras.layers.Dense(units, "relu") for units in (128, 64, 32)), keras.layers.Dense(1)]
    )
    optimizer = keras.optimizers.Adam(1e-3, jit_compile=False)

    @tf.function(autograph=False)
    def step(categorical: tf.Tensor, numeric: tf.Tensor, label: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            embedded = tf.reshape(embedding(categorical + offsets), [-1, len(SIZES) * 16])
            logit = tower(tf.concat([embedded, numeric], 1))[:, 0]
            loss = tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(label, logit))
        variables = [*embedding.trainable_variables, *tower.trainable_variables]
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return loss

    embedding.build(None)
    tower.build((None, len(SIZES) * 16 + 2))
    optimizer.build([*embedding.trainable_variables, *tower.trainable_variables])
    generator = np.random.default_rng(1)

    def epoch() -> None:
        order = generator.permutation(rows)
        for start in range(0, rows - batch + 1, batch):
            part = source.gather(order[start : start + batch])
            step(part["categorical"], part["numeric"], source.label[order[start : start + batch]])

    first = time.monotonic()
    epoch()
    second, cpu = time.monotonic(), time.process_time()
    epoch()
    wall = time.monotonic() - second
    return {
        "rows_per_second": rows / wall,
        "rows_per_cpu_second": rows / (time.process_time() - cpu),
        "build_seconds": (first - begun) + max(second - first - wall, 0.0),
    }


def measure(what: str, rows: int, batch: int, together: int, full_kernels: bool) -> dict[str, float]:
    """One configuration in a process of its own: `mlp`, or a number of domains."""
    command = [sys.executable, "-m", "benchmarks.training", "--worker", what, "--rows", str(rows)]
    command += ["--batch-size", str(batch), "--domains-per-step", str(together)]
    command += ["--full-kernels"] if full_kernels else []
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(command, cwd=HOUSE, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr[-3000:]}")
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def table(runs: dict[str, list[dict[str, float]]], order: list[str]) -> list[dict[str, float | str]]:
    """Medians by configuration, and the medians of the ratios to the MLP and to the fewest domains."""
    rows: list[dict[str, float | str]] = []
    fewest = min((name for name in order if name != MLP), key=int)
    for name in order:
        row: dict[str, float | str] = {
            "model": MLP if name == MLP else "dfei",
            "domains": 1 if name == MLP else int(name),
        }
        for figure in runs[name][0]:
            row[figure] = statistics.median(run[figure] for run in runs[name])
        for peer, key in ((MLP, "ratio_to_mlp"), (fewest, "ratio_to_fewest_domains")):
            for figure, suffix in (("rows_per_second", ""), ("rows_per_cpu_second", "_cpu")):
                pairs = zip(runs[name], runs[peer], strict=True)
                row[key + suffix] = statistics.median(mine[figure] / theirs[figure] for mine, theirs in pairs)
        rows.append(row)
    return rows


def show(rows: list[dict[str, float | str]], console: Console) -> None:
    """Prints the table."""
    shown = Table(
        "model", "domains", "rows/s", "rows/CPU s", "of MLP (CPU)", "of fewest (CPU)", "peak MB", "build s"
    )
    for row in rows:
        shown.add_row(
            str(row["model"]),
            f"{row['domains']:,}",
            f"{row['rows_per_second']:,.0f}",
            f"{row['rows_per_cpu_second']:,.0f}",
            f"{row['ratio_to_mlp']:.2f} ({row['ratio_to_mlp_cpu']:.2f})",
            f"{row['ratio_to_fewest_domains']:.2f} ({row['ratio_to_fewest_domains_cpu']:.2f})",
            f"{row['peak_memory_mb']:,.0f}",
            f"{row['build_seconds']:.1f}",
        )
    console.print(shown)


def main(
    domains: Annotated[
        list[int] | None, typer.Option("--domains", help="Numbers of domains; repeatable.")
    ] = None,
    more: Annotated[list[int] | None, typer.Argument(help="Further numbers of domains.")] = None,
    rows: Annotated[int, typer.Option(help="Rows of an epoch.")] = 262_144,
    repetitions: Annotated[int, typer.Option(help="Runs of each configuration.")] = 3,
    batch_size: Annotated[int, typer.Option(help="Rows of one domain in a mini-batch.")] = 128,
    domains_per_step: Annotated[int, typer.Option(help="Mini-batches in a step.")] = 8,
    full_kernels: Annotated[
        bool, typer.Option("--full-kernels", help="The paper's towers at any number of domains.")
    ] = False,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the table here.")] = None,
    worker: Annotated[str | None, typer.Option(hidden=True)] = None,
) -> None:
    """Measures DFEI's training for several numbers of domains beside a plain MLP."""
    if worker is not None:
        batch = batch_size * domains_per_step
        result = (
            train_mlp(rows, batch)
            if worker == MLP
            else train_dfei(rows, int(worker), batch_size, domains_per_step, full_kernels)
        )
        result["peak_memory_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps(result), flush=True)
        os._exit(0)
    asked = sorted({*(domains or []), *(more or [])}) or [5, 21, 100, 1000]
    order = [MLP, *map(str, asked)]
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in order}
    for _ in range(repetitions):
        for name in order:
            runs[name].append(measure(name, rows, batch_size, domains_per_step, full_kernels))
    result_rows = table(runs, order)
    show(result_rows, Console())
    if json_file is not None:
        document = {"repetitions": repetitions, "rows_per_epoch": rows, "rows": result_rows}
        json_file.write_text(json.dumps(document, indent=1))


if __name__ == "__main__":
    typer.run(main)
