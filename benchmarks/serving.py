"""What serving costs: `python -m benchmarks.serving`.

For DFEI of 5, 21 and 1,000 domains and requests of 1, 32 and 512 rows of mixed domains:

* one request after the other, over gRPC and REST, in turn with a bare loop around the exported `tf.function` in
  another process: median milliseconds, and what gRPC adds to the bare call;
* an open loop at a fixed rate (`--load` of what the bare loop managed): p50, p95, p99 from when a request was due,
  while a new version is pushed in the middle.

A failed request is an error. `benchmarks.serving_switches` holds a pushed model under load over three version switches.
Server, bare loop and client share the machine.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import psutil
import typer
from rich.console import Console
from rich.table import Table

from benchmarks.serving_load import encode, open_loop
from benchmarks.serving_model import feature_columns
from benchmarks.serving_processes import HOUSE, Bare, serving
from pipeline.client import connect

NAME = "dfei"


def one_after_the_other(
    addresses: dict[str, str], bare: Bare, rows: int, domains: int, rounds: int, calls: int
) -> dict[str, float]:
    """Median milliseconds of the bare call, gRPC and REST, measured in turn; and what gRPC adds.

    CPU time is that of all processes that take part: other work on the machine stretches the one, not the other.
    """
    columns = feature_columns(rows, domains)
    medians: dict[str, list[float]] = {"bare": [], "grpc": [], "rest": []}
    used: dict[str, list[float]] = {name: [] for name in medians}
    here, server, limit = (psutil.Process(pid) for pid in (os.getpid(), int(addresses["pid"]), bare.pid))
    with (
        connect(f"grpc://{addresses['grpc']}", NAME, 120.0) as grpc,
        connect(addresses["http"], NAME, 120.0) as rest,
    ):
        bare.seconds(rows, domains, calls)
        for number in range(rounds + 1):
            before = _cpu(limit)
            timed = {"bare": bare.seconds(rows, domains, calls)}
            spent = {"bare": _cpu(limit) - before}
            for name, client in (("grpc", grpc), ("rest", rest)):
                timed[name] = []
                before = _cpu(here, server)
                for _ in range(calls):
                    begun = time.perf_counter()
                    client.predict(columns)
                    timed[name].append(time.perf_counter() - begun)
                spent[name] = _cpu(here, server) - before
            if number:
                for name, seconds in timed.items():
                    medians[name].append(statistics.median(seconds) * 1e3)
                    used[name].append(spent[name] * 1e3 / calls)
    return {
        **{f"{name}_ms": statistics.median(values) for name, values in medians.items()},
        **{f"{name}_cpu_ms": statistics.median(values) for name, values in used.items()},
        "grpc_overhead": _added(medians),
        "grpc_cpu_overhead": _added(used),
    }


def _cpu(*processes: psutil.Process) -> float:
    """Seconds of CPU that processes have used."""
    return sum(sum(process.cpu_times()[:2]) for process in processes)


def _added(values: dict[str, list[float]]) -> float:
    """The median of what gRPC adds to the bare call in each round, as a share."""
    return statistics.median(
        served / limit - 1 for served, limit in zip(values["grpc"], values["bare"], strict=True)
    )


def push(model: Path, base: Path, version: int) -> None:
    """Puts a copy of the model into the served directory as a version, complete at once."""
    unfinished = base / f".unfinished-{version}"
    shutil.copytree(model, unfinished)
    unfinished.rename(base / str(version))


def measure(domains: int, batches: list[int], options: dict[str, Any], scratch: Path) -> list[dict[str, Any]]:
    """The table's lines for one number of domains."""
    model = scratch / f"model-{domains}"
    build = (
        "from pathlib import Path; from benchmarks.serving_model import save_model;"
        f"save_model(Path({str(model)!r}), {domains})"
    )
    subprocess.run([sys.executable, "-c", build], cwd=HOUSE, check=True, capture_output=True)
    base = scratch / f"served-{domains}" / NAME
    base.mkdir(parents=True)
    push(model, base, 1)
    bare = Bare(model)
    lines = []
    version = 1
    try:
        with serving(base, scratch / f"server-{domains}.log", options["batching"]) as addresses:
            for rows in batches:
                paired = one_after_the_other(
                    addresses, bare, rows, domains, options["rounds"], options["calls"]
                )
                version += 1
                rate = options["load"] * 1e3 / paired["bare_ms"]
                requests = [encode(NAME, feature_columns(rows, domains, seed)) for seed in range(8)]
                count = max(int(rate * options["seconds"]), 20)
                at = {count // 2: partial(push, model, base, version)}
                report = open_loop(addresses["grpc"], requests, rows, rate, count, at)
                lines.append({"domains": domains, "rows": rows, **paired, **asdict(report)})
    finally:
        bare.close()
    return lines


def show(lines: list[dict[str, Any]], console: Console) -> None:
    """Prints the tables."""
    paired = Table(
        "domains",
        "rows",
        "bare ms",
        "gRPC ms",
        "added",
        "REST ms",
        "bare CPU ms",
        "gRPC CPU ms",
        "added",
        title="one after the other, medians",
    )
    loaded = Table(
        "domains",
        "rows",
        "requests/s",
        "rows/s",
        "p50 ms",
        "p95 ms",
        "p99 ms",
        "worst ms",
        "failed",
        title="open loop",
    )
    for line in lines:
        paired.add_row(
            str(line["domains"]),
            str(line["rows"]),
            f"{line['bare_ms']:.2f}",
            f"{line['grpc_ms']:.2f}",
            f"{line['grpc_overhead']:+.0%}",
            f"{line['rest_ms']:.2f}",
            f"{line['bare_cpu_ms']:.2f}",
            f"{line['grpc_cpu_ms']:.2f}",
            f"{line['grpc_cpu_overhead']:+.0%}",
        )
        loaded.add_row(
            str(line["domains"]),
            str(line["rows"]),
            f"{line['rate']:.0f}",
            f"{line['rows_per_second']:.0f}",
            *(f"{line[key]:.1f}" for key in ("p50", "p95", "p99", "worst")),
            str(line["failed"]),
        )
    console.print(paired)
    console.print(loaded)


def costs_of_domains(lines: list[dict[str, Any]]) -> dict[str, float]:
    """What a request of the most rows costs with the most domains, as a multiple of the fewest: bare and over gRPC."""
    rows = max(line["rows"] for line in lines)
    of = sorted((line for line in lines if line["rows"] == rows), key=lambda line: line["domains"])
    return {
        name: of[-1][f"{name}_ms"] / of[0][f"{name}_ms"] for name in ("bare", "grpc", "bare_cpu", "grpc_cpu")
    }


def main(
    domains: Annotated[list[int] | None, typer.Option(help="Numbers of domains.")] = None,
    rows: Annotated[list[int] | None, typer.Option(help="Rows of a request.")] = None,
    rounds: Annotated[int, typer.Option(help="Times that bare loop, gRPC and REST take turns.")] = 7,
    calls: Annotated[int, typer.Option(help="Calls in each turn.")] = 60,
    seconds: Annotated[float, typer.Option(help="Length of each open loop.")] = 15.0,
    load: Annotated[float, typer.Option(help="Its rate, as a share of what the bare loop manages.")] = 0.3,
    batching: Annotated[
        Path | None, typer.Option(help="A batching-parameters file, to measure with batching.")
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the table here.")] = None,
) -> None:
    """Measures serving beside a bare loop around the exported function."""
    numbers = domains or [5, 21, 1000]
    options = {
        "rounds": rounds,
        "calls": calls,
        "seconds": seconds,
        "load": load,
        "batching": None if batching is None else batching.resolve(),
    }
    console = Console()
    lines: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as scratch:
        for number in numbers:
            lines += measure(number, rows or [1, 32, 512], options, Path(scratch))
    show(lines, console)
    result: dict[str, Any] = {"cpus": os.cpu_count(), "load_average": os.getloadavg()[0], "table": lines}
    if len(numbers) > 1:
        result["cost_most_domains_over_fewest"] = costs_of_domains(lines)
        console.print(
            f"a request of mixed domains, {max(numbers)} domains over {min(numbers)}: "
            + ", ".join(
                f"{name} {cost:.2f}" for name, cost in result["cost_most_domains_over_fewest"].items()
            )
        )
    if json_file is not None:
        json_file.write_text(json.dumps(result, indent=2, default=_plain))
    failed = sum(line["failed"] for line in lines)
    if failed:
        console.print(
            f"[bold red]{failed} requests failed[/]: {[line['errors'] for line in lines if line['errors']]}"
        )
        raise typer.Exit(1)


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else str(value)


if __name__ == "__main__":
    typer.run(main)
