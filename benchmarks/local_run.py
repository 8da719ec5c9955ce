"""This pipeline beside a stock TFX pipeline on the same logs: `python -m benchmarks.local_run`.

Both run on KuaiRand's part in fresh processes, in turn, several times. The stock pipeline gets the logs already
joined, without duplicates and split, and trains one tower for as many epochs; this one joins, validates, averages
and trains DFEI. Printed: wall and CPU seconds per component (medians) and the ratio of the totals.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import polars as pl
import typer
from rich.console import Console
from rich.table import Table

from components.dataset.declaration import Declaration
from components.dataset.loader import load_declaration
from components.errors import InputError

HOUSE = Path(__file__).resolve().parent.parent
Timings = dict[str, list[float]]


def kuairand_dir() -> Path:
    """`$KUAIRAND_DIR`, else `KuaiRand-Pure` here.

    Raises:
      InputError: it is in neither place.
    """
    path = Path(os.environ.get("KUAIRAND_DIR", "KuaiRand-Pure"))
    if not path.is_dir():
        raise InputError(f"{path}: no such folder; set KUAIRAND_DIR to KuaiRand-Pure as downloaded")
    return path


def write_joined(data: Path, declaration: Declaration, directory: Path) -> None:
    """The stock pipeline's input: joined, without duplicates, split by day, one CSV per split."""
    folder = data / "data"
    log = pl.concat(
        [
            pl.read_csv(path, infer_schema_length=None)
            for path in sorted(folder.glob("log_standard_*_pure.csv"))
        ]
    )
    log = log.unique(maintain_order=True)
    for name, key in (("user_features_pure.csv", "user_id"), ("video_features_basic_pure.csv", "video_id")):
        log = log.join(pl.read_csv(folder / name, infer_schema_length=None), on=key, how="left")
    zone = declaration.time_zone
    day = (
        pl.from_epoch("time_ms", time_unit="ms")
        .dt.replace_time_zone("UTC")
        .dt.convert_time_zone(zone)
        .dt.date()
    )
    log = log.with_columns(day=day)
    last = log["day"].unique().sort()[-declaration.split.eval_days]
    columns = [*declaration.features, declaration.label]
    for split, rows in (
        ("train", log.filter(pl.col("day") < last)),
        ("eval", log.filter(pl.col("day") >= last)),
    ):
        (directory / split).mkdir(parents=True)
        rows.select(*dict.fromkeys(columns)).write_csv(directory / split / "rows.csv")


def _run(command: list[str], log: Path) -> tuple[float, float]:
    begun, times = time.monotonic(), os.times()
    with log.open("wb") as sink:
        done = subprocess.run(command, cwd=HOUSE, stdout=sink, stderr=subprocess.STDOUT, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{log.read_text(errors='replace')[-3000:]}")
    now = os.times()
    return time.monotonic() - begun, now[2] + now[3] - times[2] - times[3]


def run_stock(joined: Path, scratch: Path, declaration: Declaration, epochs: int) -> Timings:
    """One run of the stock pipeline: `[wall, cpu]` seconds by component, and `total`."""
    config = {
        "data": str(joined),
        "root": str(scratch / "stock"),
        "output": str(scratch / "stock.json"),
        "categories": list(declaration.categorical_features()),
        "numbers": list(declaration.numeric_features()),
        "epochs": epochs,
        "domain": declaration.domain,
    }
    path = scratch / "config.json"
    path.write_text(json.dumps(config))
    total = _run([sys.executable, "-m", "benchmarks.stock.run", str(path)], scratch / "stock.log")
    return {**json.loads(Path(str(config["output"])).read_text()), "total": list(total)}


def run_ours(data: Path, scratch: Path, epochs: int) -> Timings:
    """One run of this pipeline: `[wall, cpu]` seconds by component, and `total`."""
    root = scratch / "ours"
    command = [sys.executable, "-m", "pipeline", "run", "--dataset", "kuairand-pure", "--data", str(data)]
    command += [
        "--root",
        str(root),
        "--set",
        f"training.epochs={epochs}",
        "--set",
        f"training.patience={epochs}",
    ]
    total = _run(command, scratch / "ours.log")
    summary = json.loads((root / "run.json").read_text())
    parts = {name: [wall, summary["cpu_seconds"][name]] for name, wall in summary["seconds"].items()}
    return {**parts, "total": list(total)}


def medians(runs: list[Timings]) -> Timings:
    """Median wall and CPU seconds by component."""
    return {
        name: [statistics.median(run[name][figure] for run in runs) for figure in (0, 1)] for name in runs[0]
    }


def show(result: dict[str, Any], console: Console) -> None:
    """Prints both pipelines' components and the ratios of the totals."""
    for who in ("ours", "stock"):
        table = Table("component", "wall s", "CPU s", title=who)
        for name, (wall, cpu) in result[who].items():
            table.add_row(name, f"{wall:.1f}", f"{cpu:.1f}")
        console.print(table)
    console.print(
        f"ours / stock, median of {result['repetitions']} pairs: "
        f"wall {result['wall_ratio']:.2f}, CPU {result['cpu_ratio']:.2f}"
    )


def main(
    repetitions: Annotated[int, typer.Option(help="Pairs of runs.")] = 3,
    epochs: Annotated[int, typer.Option(help="Epochs that both train.")] = 2,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the table here.")] = None,
) -> None:
    """Runs this pipeline and a stock TFX pipeline side by side on KuaiRand's part."""
    data = kuairand_dir()
    declaration = load_declaration("kuairand-pure")
    ours: list[Timings] = []
    stock: list[Timings] = []
    with tempfile.TemporaryDirectory() as base:
        joined = Path(base) / "joined"
        write_joined(data, declaration, joined)
        for repetition in range(repetitions):
            scratch = Path(base) / str(repetition)
            scratch.mkdir()
            ours.append(run_ours(data, scratch, epochs))
            stock.append(run_stock(joined, scratch, declaration, epochs))
    ratios = [[a["total"][f] / b["total"][f] for a, b in zip(ours, stock, strict=True)] for f in (0, 1)]
    result = {
        "repetitions": repetitions,
        "epochs": epochs,
        "ours": medians(ours),
        "stock": medians(stock),
        "wall_ratio": statistics.median(ratios[0]),
        "cpu_ratio": statistics.median(ratios[1]),
    }
    show(result, Console())
    if json_file is not None:
        json_file.write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    typer.run(main)
