"""What serving costs: `python -m benchmarks.serving`.

For DFEI of 5, 21 and 1,000 domains (or, with `--root`, for models that finished runs pushed) and requests of 1, 32 and
512 rows of mixed domains, drawn as a feed has them and, for the most rows, evenly too (`benchmarks.serving_subjects`):

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
from benchmarks.serving_processes import Bare, serving
from benchmarks.serving_subjects import MIXES, Mix, Subject, of_run, untrained
from models.arrays import Array
from pipeline.client import connect

NAME = "dfei"


def one_after_the_other(
    addresses: dict[str, str],
    bare: Bare,
    columns: dict[str, Array],
    scratch: Path,
    rounds: int,
    calls: int,
) -> dict[str, float]:
    """Median milliseconds of the bare call, gRPC and REST, measured in turn; and what gRPC adds.

    CPU time is that of all processes that take part: other work on the machine stretches the one, not the other.
    """
    request = scratch / "request.pb"
    request.write_bytes(encode(NAME, columns))
    medians: dict[str, list[float]] = {"bare": [], "grpc": [], "rest": []}
    used: dict[str, list[float]] = {name: [] for name in medians}
    here, server, limit = (psutil.Process(pid) for pid in (os.getpid(), int(addresses["pid"]), bare.pid))
    with (
        connect(f"grpc://{addresses['grpc']}", NAME, 120.0) as grpc,
        connect(addresses["http"], NAME, 120.0) as rest,
    ):
        bare.seconds(request, calls)
        for number in range(rounds + 1):
            before = _cpu(limit)
            timed = {"bare": bare.seconds(request, calls)}
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


def measure(
    subject: Subject, batches: list[int], mixes: list[Mix], options: dict[str, Any], scratch: Path
) -> list[dict[str, Any]]:
    """The table's lines for one model."""
    base = scratch / f"served-{len(list(scratch.iterdir()))}" / NAME
    base.mkdir(parents=True)
    push(subject.model, base, 1)
    bare = Bare(subject.model)
    lines = []
    version = 1
    try:
        with serving(base, base.parent / "server.log", options["batching"]) as addresses:
            for rows, mix in [(rows, mix) for rows in batches for mix in mixes]:
                if mix != mixes[0] and rows != max(batches):
                    continue
                columns = subject.columns(rows, mix, 1)
                paired = one_after_the_other(
                    addresses, bare, columns, base.parent, options["rounds"], options["calls"]
                )
                version += 1
                rate = options["load"] * 1e3 / paired["bare_ms"]
                requests = [encode(NAME, subject.columns(rows, mix, seed)) for seed in range(8)]
                count = max(int(rate * options["seconds"]), 20)
                at = {count // 2: partial(push, subject.model, base, version)}
                report = open_loop(addresses["grpc"], requests, rows, rate, count, at)
                what = {"model": subject.name, "domains": subject.domains, "rows": rows, "mix": mix}
                distinct = len(set(columns[subject.domain].tolist()))
                lines.append({**what, "distinct": distinct, **paired, **asdict(report)})
    finally:
        bare.close()
    return lines


def show(lines: list[dict[str, Any]], console: Console) -> None:
    """Prints the tables."""
    paired = Table(
        "domains",
        "rows",
        "mix",
        "distinct",
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
        "mix",
        "distinct",
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
            line["mix"],
            str(line["distinct"]),
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
            line["mix"],
            str(line["distinct"]),
            f"{line['rate']:.0f}",
            f"{line['rows_per_second']:.0f}",
            *(f"{line[key]:.1f}" for key in ("p50", "p95", "p99", "worst")),
            str(line["failed"]),
        )
    console.print(paired)
    console.print(loaded)


def costs_of_domains(lines: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """What a request of the most rows costs with the most domains, as a multiple of the fewest: by mix and measure."""
    rows = max(line["rows"] for line in lines)
    costs = {}
    for mix in {line["mix"]: None for line in lines}:
        of = [line for line in lines if line["rows"] == rows and line["mix"] == mix]
        fewest, most = (choose(of, key=lambda line: line["domains"]) for choose in (min, max))
        measures = [f"{name}_{unit}" for name in ("bare", "grpc") for unit in ("ms", "cpu_ms")]
        costs[mix] = {name: most[name] / fewest[name] for name in measures}
    return costs


def main(
    domains: Annotated[list[int] | None, typer.Option(help="Numbers of domains.")] = None,
    root: Annotated[
        list[Path] | None, typer.Option(help="Roots of finished runs, whose models are measured instead.")
    ] = None,
    rows: Annotated[list[int] | None, typer.Option(help="Rows of a request.")] = None,
    mix: Annotated[list[str] | None, typer.Option(help="How domains are drawn: feed, even.")] = None,
    full_kernels: Annotated[
        bool, typer.Option("--full-kernels", help="The paper's towers at any number of domains.")
    ] = False,
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
    mixes = [known for known in MIXES if not mix or known in mix]
    if set(mix or []) - set(MIXES):
        raise typer.BadParameter(f"--mix takes {' or '.join(MIXES)}, got {', '.join(mix or [])}")
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
        subjects = (
            [of_run(path) for path in root]
            if root
            else [untrained(number, full_kernels, Path(scratch)) for number in domains or [5, 21, 1000]]
        )
        for subject in subjects:
            lines += measure(subject, rows or [1, 32, 512], mixes, options, Path(scratch))
    show(lines, console)
    result: dict[str, Any] = {
        "cpus": os.cpu_count(),
        "load_average": os.getloadavg()[0],
        "full_kernels": full_kernels,
        "table": lines,
    }
    if len(subjects) > 1:
        result["cost_most_domains_over_fewest"] = costs_of_domains(lines)
        for how, costs in result["cost_most_domains_over_fewest"].items():
            console.print(
                f"a request of mixed domains ({how}), most domains over fewest: "
                + ", ".join(f"{name} {cost:.2f}" for name, cost in costs.items())
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
