"""New versions of a pushed model under load: `python -m benchmarks.serving_switches ROOT`.

ROOT is a finished `dfei run`. Its model is served by `dfei serve`; rows of its evaluation days are sent at a fixed
rate, without retries, over several connections, while three further versions are pushed. Of ten requests eight are one
row of raw features, one is one `tf.Example`, and one ranks 20 candidates. A failed request is an error.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console

from benchmarks.serving import NAME, push
from benchmarks.serving_load import encode, open_loop
from benchmarks.serving_processes import serving
from models.arrays import Array
from pipeline.client import connect

CANDIDATES = 20


def real_requests(root: Path, rows: int) -> list[bytes]:
    """Serialized requests made of the first rows of a run's evaluation days."""
    from components.dataset.loader import load_declaration
    from components.signature_check.real_rows import named_rows, read_serialized
    from components.trainer.raw_inputs import request_features

    examples = (root / "artifacts" / "DeclaredExampleGen" / "examples").iterdir()
    split = max(examples, key=lambda path: int(path.name)) / "Split-eval"
    serialized = read_serialized([str(path) for path in split.iterdir()], rows)
    declaration = load_declaration(json.loads((root / "metrics.json").read_text())["dataset"])
    columns = named_rows(serialized, request_features(declaration))
    return list(_mixed(serialized, columns, declaration.domain))


def _mixed(serialized: list[bytes], columns: dict[str, Array], domain: str) -> Iterator[bytes]:
    for row in range(len(serialized)):
        part = {name: column[row : row + 1] for name, column in columns.items()}
        if row % 10 == 8:
            yield encode(NAME, {"examples": np.array(serialized[row : row + 1], object)}, "examples")
        elif row % 10 == 9:
            start = min(row, len(serialized) - CANDIDATES)
            ranked = {name: column[None, start : start + CANDIDATES] for name, column in columns.items()}
            yield encode(NAME, {**ranked, domain: part[domain][None]}, "rank")
        else:
            yield encode(NAME, part)


def _newest(target: str, expected: int) -> int:
    """The newest version that answers, once it is the expected one or a minute has passed."""
    deadline = time.monotonic() + 60
    with connect(f"grpc://{target}", NAME) as client:
        while (newest := client.wait_until_ready()) != expected and time.monotonic() < deadline:
            time.sleep(0.2)
    return newest


def main(
    root: Annotated[Path, typer.Argument(help="The root of a finished run.")],
    requests: Annotated[int, typer.Option(help="How many.")] = 100_000,
    rate: Annotated[float, typer.Option(help="Requests a second.")] = 250.0,
    batching: Annotated[Path | None, typer.Option(help="A batching-parameters file.")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures here.")] = None,
) -> None:
    """Counts failed requests while new versions of a pushed model are put in place."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    model = Path(json.loads((root / "metrics.json").read_text())["pushed_to"])
    encoded = real_requests(root, min(requests, 5_000))
    with tempfile.TemporaryDirectory() as scratch:
        base = Path(scratch) / NAME
        base.mkdir()
        push(model, base, 1)
        with serving(base, Path(scratch) / "server.log", batching) as addresses:
            at = {requests * step // 4: partial(push, model, base, 1 + step) for step in (1, 2, 3)}
            report = open_loop(addresses["grpc"], encoded, 1, rate, requests, at)
            newest = _newest(addresses["grpc"], 4)
        log = (Path(scratch) / "server.log").read_text()
    console = Console()
    console.print(log, highlight=False, markup=False)
    console.print(
        f"{report.requests:,} requests at {rate:g}/s over 3 switches, version {newest} at the end: "
        f"{report.failed} failed; p50 {report.p50:.1f}, p95 {report.p95:.1f}, p99 {report.p99:.1f}, "
        f"worst {report.worst:.0f} ms"
    )
    if json_file is not None:
        result = {"cpus": os.cpu_count(), "switches": 3, "version_at_end": newest, **asdict(report)}
        json_file.write_text(json.dumps(result, indent=2))
    if report.failed or newest != 4:
        console.print(f"[bold red]{report.failed} requests failed[/]: {report.errors}")
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
